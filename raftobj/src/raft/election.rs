//! Who leads: campaigns, votes, terms (§5.2, §5.4.1; pre-vote: thesis §9.6; check-quorum: §6.2).

use super::disk::Tells;
use super::message::Message;
use super::progress::Progress;
use super::read::ReadQueue;
use super::types::{EntryId, EntryKind, HardState, Index, NodeId, Term, Ticks};
use super::{Leader, Raft, Role};
use crate::marks::mark;
use crate::planted::planted;
use bytes::Bytes;
use std::collections::BTreeSet;

/// Who has said yes in a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Votes {
    granted: BTreeSet<NodeId>,
}

impl Votes {
    pub(super) fn granted(&self) -> impl Iterator<Item = NodeId> {
        self.granted.iter().copied()
    }
}

impl Raft {
    /// Asks whether a campaign could be won, without touching the term: a server that is cut off must not
    /// come back with a term that deposes a working leader (thesis §9.6).
    pub(super) fn campaign(&mut self) {
        mark!(SplitVoteRetried if matches!(self.role, Role::Candidate(_)));
        self.attempt += 1;
        if planted!(ConfirmedForgotten) {
            self.confirmed = Index(0);
        }
        self.restart_election_timer();
        if !self.membership.is_voter(self.config.id) {
            return;
        }
        let granted = BTreeSet::from([self.config.id]);
        self.role = Role::PreCandidate(Votes { granted });
        if self.is_alone() {
            return self.become_candidate();
        }
        let last = self.log.last();
        self.send_to_all(&Message::PreVote { last });
    }

    /// A candidate asks; its term is at least ours, or it would have been answered as stale.
    pub(super) fn handle_pre_vote(&mut self, from: NodeId, of: Term, last: EntryId) {
        let led = self.hears_a_leader() && !planted!(PreVoteBesideLeader);
        let granted = !led && (last >= self.log.last() || planted!(VoteForLogBehind));
        mark!(PreVoteRefusedBesideLeader if self.hears_a_leader());
        mark!(PreVoteRefusedLogBehind if last < self.log.last());
        self.send(from, Message::PreVoteReply { of, granted }, Tells::HardState);
    }

    /// An answer to our question, of a voter in our term or behind it. A refusal needs no action: the next timeout
    /// asks again, and if the refusing server has a higher term, `step` has adopted it (etcd #8501: a refused
    /// pre-vote teaches the term).
    pub(super) fn handle_pre_vote_reply(&mut self, from: NodeId, of: Term, granted: bool) {
        mark!(PreVoteReplyLate if of != self.hard_state.term);
        let Role::PreCandidate(votes) = &mut self.role else { return };
        if !granted || of != self.hard_state.term {
            return;
        }
        votes.granted.insert(from);
        if self.membership.is_quorum(|id| votes.granted.contains(&id)) {
            self.become_candidate();
        }
    }

    /// Starts an election in the next term (§5.2). The vote for itself counts once it is on disk.
    fn become_candidate(&mut self) {
        self.set_hard_state(HardState { term: self.hard_state.term.next(), voted_for: Some(self.config.id) });
        self.role = Role::Candidate(Votes::default());
        self.restart_election_timer();
        let last = self.log.last();
        self.send_to_all(&Message::Vote { last });
    }

    /// The disk has moved: perhaps a candidate's vote for itself is durable now.
    pub(super) fn count_own_vote(&mut self) {
        if matches!(self.role, Role::Candidate(_)) && self.disk.hard_state_is_durable() {
            self.count_vote(self.config.id);
            mark!(ElectedByOwnVote if self.is_leader());
        }
    }

    /// A candidate of our term asks for our vote.
    pub(super) fn handle_vote(&mut self, from: NodeId, last: EntryId) {
        // One vote a term, first come first served (§5.2); none for a log behind ours (§5.4.1); none beside a
        // leader that this term already has.
        let free = match self.hard_state.voted_for {
            None => self.leader().is_none(),
            Some(candidate) => candidate == from,
        };
        let granted = free && (last >= self.log.last() || planted!(VoteForLogBehind));
        mark!(VoteRefusedGivenAway if !free && self.hard_state.voted_for.is_some());
        mark!(VoteRefusedBesideLeader if !free && self.hard_state.voted_for.is_none());
        mark!(VoteRefusedLogBehind if last < self.log.last());
        mark!(VoteRepeated if granted && self.hard_state.voted_for.is_some());
        if granted && self.hard_state.voted_for.is_none() {
            self.set_hard_state(HardState { voted_for: Some(from), ..self.hard_state });
            self.restart_election_timer();
        }
        self.send(from, Message::VoteReply { granted }, Tells::HardState);
    }

    /// An answer in our term.
    pub(super) fn handle_vote_reply(&mut self, from: NodeId, granted: bool) {
        if granted {
            self.count_vote(from);
        }
    }

    fn count_vote(&mut self, from: NodeId) {
        let Role::Candidate(votes) = &mut self.role else { return };
        votes.granted.insert(from);
        let by_strangers = planted!(StrangerVotes if votes.granted.len() > self.membership.members.len() / 2);
        if self.membership.is_quorum(|id| votes.granted.contains(&id)) || by_strangers {
            self.become_leader();
        }
    }

    fn become_leader(&mut self) {
        let last = self.log.last_index();
        let now = self.now;
        let peers =
            self.membership.peers_of(self.config.id).map(|id| (id, Progress::new(last, now))).collect();
        self.role = Role::Leader(Leader {
            peers,
            noop: last.next(),
            heartbeat_due: now,
            reads: ReadQueue::default(),
        });
        self.leader_heard = None;
        // An entry of its own term: only with it are earlier ones committed (§5.4.2), and reads allowed (§8).
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
        let role = std::mem::replace(&mut self.role, Role::Follower { leader });
        if let Role::Leader(leader) = role {
            self.give_up_reads(leader.reads);
        }
        self.leader_heard = None;
        self.restart_election_timer();
    }

    /// A message that only the leader of our term sends: follow it. False where that cannot be, because this
    /// node leads the term, or follows another in it: the sender lies, and is not heard.
    pub(super) fn follow(&mut self, from: NodeId) -> bool {
        match self.role {
            Role::Leader(_) => return false,
            Role::Follower { leader: Some(leader) } if leader == from => {}
            Role::Follower { leader: Some(_) } => return false,
            _ => {
                mark!(CandidateFollows if self.is_candidate());
                self.become_follower(self.hard_state.term, Some(from));
            }
        }
        self.leader_heard = Some(self.now);
        self.attempt = 0;
        self.restart_election_timer();
        true
    }

    /// Someone speaks in a term that is over: what asks for an answer gets one, so that it learns ours.
    pub(super) fn answer_stale(&mut self, from: NodeId, term: Term, message: &Message) {
        mark!(PreVoteOfLowerTermAnswered if matches!(message, Message::PreVote { .. }));
        mark!(StaleTermAnswered if matches!(message, Message::Append { .. } | Message::Heartbeat { .. }));
        mark!(StaleAcknowledgementDropped if matches!(message, Message::Appended { .. }));
        let reply = match message {
            Message::PreVote { .. } if planted!(PreVoteOfLowerTermDropped) => return,
            Message::PreVote { .. } => Message::PreVoteReply { of: term, granted: false },
            Message::Vote { .. } => Message::VoteReply { granted: false },
            Message::Append { .. } | Message::Heartbeat { .. } => Message::HeartbeatReply { round: 0 },
            _ => return,
        };
        self.send(from, reply, Tells::HardState);
    }

    /// Whether a leader of this term was heard within the shortest election timeout, or is this node itself.
    pub(super) fn hears_a_leader(&self) -> bool {
        match self.role {
            Role::Leader(_) => true,
            _ => {
                self.leader_heard.is_some_and(|heard| self.now.0 - heard.0 < self.config.election_ticks_min.0)
            }
        }
    }

    /// A leader's tick: heartbeats, patience with each peer, and whether a quorum still answers.
    pub(super) fn tick_leader(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let (now, own) = (self.now, self.config.id);
        for progress in leader.peers.values_mut() {
            progress.tick(now, self.config.election_ticks_min);
        }
        let silent_max = self.config.election_ticks_max.0;
        let answers = |id| id == own || leader.peers.get(&id).is_some_and(|p| now.0 - p.heard.0 < silent_max);
        // Check-quorum (§6.2): a leader that a majority cannot answer stops calling itself one.
        if !self.membership.is_quorum(answers) {
            mark!(LeaderWithoutQuorum);
            return self.become_follower(self.hard_state.term, None);
        }
        if now >= leader.heartbeat_due {
            self.send_heartbeats();
        }
    }

    pub(super) fn restart_election_timer(&mut self) {
        let timeout = self.config.election_timeout(self.hard_state.term, self.attempt);
        self.election_due = Ticks(self.now.0 + timeout.0);
    }

    pub(super) fn send_to_all(&mut self, message: &Message) {
        let peers: Vec<NodeId> = self.membership.peers_of(self.config.id).collect();
        for peer in peers {
            self.send(peer, message.clone(), Tells::HardState);
        }
    }

    /// The only place where term and vote change.
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
            self.confirmed = Index(0);
        }
        self.hard_state = new;
        if planted!(TermNotPersisted) && new.voted_for.is_none() {
            return;
        }
        self.disk.hard_state_changed();
    }
}
