//! Who leads: campaigns, votes, terms (§5.2, §5.4.1; pre-vote: thesis §9.6; check-quorum: thesis §6.2).
//!
//! These are the steps; the rules that they follow are in `rules`.

use super::durability::Requires;
use super::message::Message;
use super::progress::Progress;
use super::read::ReadQueue;
use super::types::{EntryId, EntryKind, HardState, Index, NodeId, Term, Ticks};
use super::{LeaderState, Raft, ServerState};
use crate::marks::mark;
use crate::planted::planted;
use bytes::Bytes;
use std::collections::BTreeSet;

/// The votes, or pre-votes, that a campaign has received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Votes {
    granted: BTreeSet<NodeId>,
}

impl Votes {
    pub(super) fn granted(&self) -> impl Iterator<Item = NodeId> {
        self.granted.iter().copied()
    }

    pub(super) fn has(&self, voter: NodeId) -> bool {
        self.granted.contains(&voter)
    }
}

impl Raft {
    /// The election timeout has elapsed. First asks whether an election could be won, without a new term: a server
    /// that was cut off must not come back with a term that deposes a working leader (thesis §9.6).
    pub(super) fn campaign(&mut self) {
        mark!(SplitVoteRetried if matches!(self.state, ServerState::Candidate(_)));
        self.attempt += 1;
        if planted!(LeaderMatchForgotten) {
            self.leader_match = Index(0);
        }
        self.restart_election_timer();
        if !self.membership.is_voter(self.config.id) {
            return;
        }
        let pre_votes = Votes { granted: BTreeSet::from([self.config.id]) };
        let votes = self.take_votes();
        self.state = ServerState::PreCandidate { pre_votes, votes };
        if self.is_alone() {
            return self.become_candidate();
        }
        let last = self.log.last();
        self.send_to_all(&Message::PreVote { last });
    }

    /// PreVote request. Its term is at least ours; a lower one is rejected by [`Raft::step`].
    pub(super) fn handle_pre_vote(&mut self, from: NodeId, of: Term, last: EntryId) {
        let granted = self.would_vote_for(last);
        self.send(from, Message::PreVoteReply { of, granted }, Requires::HardState);
    }

    /// PreVote result, from a voter in our term or an earlier one. A refusal needs no action: the next timeout asks
    /// again, and if the refusing server has a higher term, `step` has adopted it (etcd #8501: a refused pre-vote
    /// must bring the higher term back).
    pub(super) fn handle_pre_vote_reply(&mut self, from: NodeId, of: Term, granted: bool) {
        mark!(PreVoteReplyLate if of != self.hard_state.term);
        let ServerState::PreCandidate { pre_votes, .. } = &mut self.state else { return };
        if !granted || of != self.hard_state.term {
            return;
        }
        pre_votes.granted.insert(from);
        if self.membership.is_quorum(|id| pre_votes.has(id)) {
            self.become_candidate();
        }
    }

    /// Starts an election in the next term (§5.2). The vote for itself counts once it is durable.
    fn become_candidate(&mut self) {
        self.set_hard_state(HardState { term: self.hard_state.term.next(), voted_for: Some(self.config.id) });
        self.state = ServerState::Candidate(Votes::default());
        self.restart_election_timer();
        let last = self.log.last();
        self.send_to_all(&Message::RequestVote { last });
    }

    /// A write has become durable: it may be the one with a candidate's vote for itself.
    pub(super) fn count_own_vote(&mut self) {
        if matches!(self.state, ServerState::Candidate(_)) && self.own_vote_counts() {
            self.count_vote(self.config.id);
            mark!(ElectedByOwnVote if self.is_leader());
        }
    }

    /// The votes of a campaign in the present term: a voter whose disk is slow may still reply after the timeout.
    fn take_votes(&mut self) -> Votes {
        match &mut self.state {
            ServerState::Candidate(votes) | ServerState::PreCandidate { votes, .. } => std::mem::take(votes),
            ServerState::Follower { .. } | ServerState::Leader(_) => Votes::default(),
        }
    }

    /// RequestVote request, in our term.
    pub(super) fn handle_request_vote(&mut self, from: NodeId, last: EntryId) {
        let granted = self.can_vote_for(from, last);
        if granted && self.hard_state.voted_for.is_none() {
            self.set_hard_state(HardState { voted_for: Some(from), ..self.hard_state });
            self.restart_election_timer();
        }
        self.send(from, Message::VoteReply { granted }, Requires::HardState);
    }

    /// RequestVote result, in our term.
    pub(super) fn handle_vote_reply(&mut self, from: NodeId, granted: bool) {
        if granted {
            self.count_vote(from);
        }
    }

    /// Counts a vote of the present term. A candidate that has begun to ask for pre-votes again still counts it: the vote is
    /// for this term, and this node has voted for nobody else in it.
    fn count_vote(&mut self, from: NodeId) {
        let own = self.hard_state.voted_for == Some(self.config.id);
        let mut votes = match &self.state {
            ServerState::Candidate(votes) => votes.clone(),
            ServerState::PreCandidate { votes, .. } if own && !planted!(LateVotesIgnored) => votes.clone(),
            _ => return,
        };
        votes.granted.insert(from);
        if self.has_won(&votes) {
            mark!(ElectedByLateVote if !matches!(self.state, ServerState::Candidate(_)));
            return self.become_leader();
        }
        if let ServerState::Candidate(counted) | ServerState::PreCandidate { votes: counted, .. } =
            &mut self.state
        {
            *counted = votes;
        }
    }

    fn become_leader(&mut self) {
        let last = self.log.last_index();
        let now = self.now;
        let peers =
            self.membership.peers_of(self.config.id).map(|id| (id, Progress::new(last, now))).collect();
        self.state = ServerState::Leader(LeaderState {
            peers,
            noop: last.next(),
            next_heartbeat: now,
            reads: ReadQueue::default(),
        });
        self.leader_heard_at = None;
        // A no-op entry of its own term: only with it are earlier entries committed (§5.4.2), and reads allowed (§8).
        self.append_own(EntryKind::Noop, Bytes::new());
        self.send_heartbeats();
    }

    /// Becomes a follower, in a new term or in the present one.
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.hard_state.term, "term would go back from {} to {term}", self.hard_state.term);
        if term > self.hard_state.term {
            mark!(LeaderDeposed if self.is_leader());
            self.set_hard_state(HardState { term, voted_for: None });
        }
        let state = std::mem::replace(&mut self.state, ServerState::Follower { leader });
        if let ServerState::Leader(leader) = state {
            self.give_up_reads(leader.reads);
        }
        self.leader_heard_at = None;
        self.restart_election_timer();
    }

    /// Follows the sender of a message that only the leader of our term sends. Returns false where it cannot be that
    /// leader, because this node leads the term or follows another leader in it; the message is then ignored.
    pub(super) fn follow(&mut self, from: NodeId) -> bool {
        match self.state {
            ServerState::Leader(_) => return false,
            ServerState::Follower { leader: Some(leader) } if leader == from => {}
            ServerState::Follower { leader: Some(_) } => return false,
            _ => {
                mark!(CandidateFollows if self.is_candidate());
                self.become_follower(self.hard_state.term, Some(from));
            }
        }
        self.leader_heard_at = Some(self.now);
        self.attempt = 0;
        self.restart_election_timer();
        true
    }

    /// RequestVote 1, AppendEntries 1: rejects a request of an earlier term. The reply carries the present term, and
    /// the sender adopts it. Replies of an earlier term are dropped.
    pub(super) fn reject_stale_term(&mut self, from: NodeId, term: Term, message: &Message) {
        mark!(PreVoteOfLowerTermAnswered if matches!(message, Message::PreVote { .. }));
        mark!(StaleTermAnswered if matches!(message, Message::AppendEntries { .. } | Message::Heartbeat { .. }));
        mark!(StaleAcknowledgementDropped if matches!(message, Message::Appended { .. }));
        let reply = match message {
            Message::PreVote { .. } if planted!(PreVoteOfLowerTermDropped) => return,
            Message::PreVote { .. } => Message::PreVoteReply { of: term, granted: false },
            Message::RequestVote { .. } => Message::VoteReply { granted: false },
            Message::AppendEntries { .. } | Message::Heartbeat { .. } => Message::HeartbeatReply { round: 0 },
            _ => return,
        };
        self.send(from, reply, Requires::HardState);
    }

    /// A leader's tick: time-outs of each peer, check-quorum, its disk, heartbeats.
    pub(super) fn tick_leader(&mut self) {
        let ServerState::Leader(leader) = &mut self.state else { return };
        for progress in leader.peers.values_mut() {
            progress.tick(self.now, self.config.election_ticks_min);
        }
        let ServerState::Leader(leader) = &self.state else { return };
        if !self.quorum_active(leader) {
            return self.become_follower(self.hard_state.term, None);
        }
        if self.disk_is_stalled(leader) {
            self.disk_stalls += 1;
            return self.become_follower(self.hard_state.term, None);
        }
        if self.now >= leader.next_heartbeat {
            self.send_heartbeats();
        }
    }

    pub(super) fn restart_election_timer(&mut self) {
        let timeout = self.config.election_timeout(self.hard_state.term, self.attempt, self.persist_ticks);
        self.election_deadline = Ticks(self.now.0 + timeout.0);
    }

    pub(super) fn send_to_all(&mut self, message: &Message) {
        let peers: Vec<NodeId> = self.membership.peers_of(self.config.id).collect();
        for peer in peers {
            self.send(peer, message.clone(), Requires::HardState);
        }
    }

    /// The only place where currentTerm and votedFor change (figure 2, persistent state).
    fn set_hard_state(&mut self, new: HardState) {
        let old = self.hard_state;
        assert!(new.term >= old.term, "term would go back from {} to {}", old.term, new.term);
        assert!(
            new.term > old.term || old.voted_for.is_none() || new.voted_for == old.voted_for,
            "a second vote in term {}",
            old.term
        );
        if new.term > old.term {
            self.attempt = 0;
            self.leader_match = Index(0);
        }
        self.hard_state = new;
        if planted!(TermNotPersisted) && new.voted_for.is_none() {
            return;
        }
        self.durability.hard_state_changed();
    }
}
