//! The protocol: it decides, and nothing else. Bytes, clocks, files, threads and the user's type are unknown
//! here; time is ticks, events come in as method calls, and all that follows from them goes out in [`Ready`].
//!
//! The algorithm is that of "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout; "§" in
//! the comments) with these parts of Ongaro's dissertation ("thesis"): pre-vote (§9.6), check-quorum and
//! leader stickiness (§6.2, §4.2.3), pipelined appends (§10.2.1), writing in parallel with sending (§10.2.1),
//! read index (§6.4).
//!
//! # Where to begin
//! [`Raft::step`] is the door for messages. Then, a topic a file: `election` (campaigns, votes, who leads),
//! `replication` (appends, acknowledgements, commit), `read` (linearizable reads). Their material: `log` (the
//! entries), `progress` (a leader's view of a peer), `disk` (what is durable, and what must wait for it),
//! `membership` (quorums), `clock`.
//!
//! # Differences from the paper
//! - A candidate's own vote and a leader's own entries count when they are on its own disk, not before.
//! - A message that tells a term, a vote or entries is kept back until they are durable; the caller never has
//!   to order its sends after its writes.
//! - A follower moves its commit index only over entries that this term's leader has confirmed.
//! - A vote request is ignored while a leader is heard; a pre-vote request never moves a term.
//! - `Commit` tells a follower of a grown commit index when there is no append to carry it.
//!
//! # Limits
//! All entries since the last snapshot are kept in memory; at `log_bytes_max` a leader accepts no proposals.
//! Membership is fixed when the cluster is founded.

pub(crate) mod clock;
pub(crate) mod config;
mod disk;
mod election;
mod invariants;
pub(crate) mod log;
pub(crate) mod membership;
pub(crate) mod message;
#[cfg(test)]
mod model;
mod progress;
mod read;
mod replication;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;
pub(crate) mod types;

use crate::marks::mark;
use crate::planted::planted;
use clock::Clock;
use config::Config;
use disk::{Disk, Tells};
use election::Votes;
use log::Log;
use membership::Membership;
use message::{Envelope, Message};
use progress::Progress;
use read::ReadQueue;
use std::collections::BTreeMap;
use types::{Entry, HardState, Index, NodeId, Term, Ticks, Time};

pub(crate) use disk::{Persist, PersistId};
pub(crate) use read::ReadReady;
pub(crate) use replication::ProposeError;

/// One member's part in the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Raft {
    config: Config,
    membership: Membership,
    hard_state: HardState,
    log: Log,
    disk: Disk,
    role: Role,
    /// Entries up to here are known to be this term's leader's: how far its commit index counts. It stays true
    /// while the term does, whatever this node thinks of the leader meanwhile.
    confirmed: Index,
    /// Entries up to here are committed: on the disks of a majority (§5.3).
    commit: Index,
    /// Committed entries were handed out up to here.
    handed: Index,
    /// Committed entries were applied up to here.
    applied: Index,
    now: Ticks,
    clock: Clock,
    /// Campaigns since the term began: draws the next election timeout.
    attempt: u64,
    /// When to campaign, unless a leader is heard or a vote given before.
    election_due: Ticks,
    /// When a leader of this term was last heard.
    leader_heard: Option<Ticks>,
    outbox: Vec<Envelope>,
    reads_ready: Vec<ReadReady>,
}

/// What a node is in its term.
///
/// ```text
///              timeout              a quorum would vote            a quorum votes
///  Follower ───────────▶ PreCandidate ───────────▶ Candidate ───────────▶ Leader
///     ▲   a leader heard, a higher term │ a leader heard, a higher term │ │ a higher term,
///     └──────────────────────────────────┴───────────────────────────────┴─┘ or no quorum
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    Follower { leader: Option<NodeId> },
    PreCandidate(Votes),
    Candidate(Votes),
    Leader(Leader),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Leader {
    peers: BTreeMap<NodeId, Progress>,
    /// The no-op that opened the term: until it is committed there are no reads (§8).
    noop: Index,
    heartbeat_due: Ticks,
    reads: ReadQueue,
}

/// What follows from the events since the last one: four lanes, independent of each other, each in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Send now: all that they tell is durable.
    pub(crate) messages: Vec<Envelope>,
    /// Write and fsync, then call [`Raft::persisted`].
    pub(crate) persist: Option<Persist>,
    /// Apply, then call [`Raft::applied`]. Only entries that are durable here.
    pub(crate) committed: Vec<Entry>,
    /// Serve each once its index is applied.
    pub(crate) reads: Vec<ReadReady>,
}

/// What [`Raft::new`] needs of the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Entry>,
    /// What the machine's clock said last; zero where it was not asked yet.
    pub(crate) time: Time,
}

impl Raft {
    /// A member that starts, or starts again, with what its disk remembers.
    pub(crate) fn new(config: Config, membership: Membership, restored: Restored) -> Raft {
        let log = Log::new(restored.entries);
        let mut raft = Raft {
            config,
            membership,
            hard_state: restored.hard_state,
            disk: Disk::new(log.last_index()),
            log,
            role: Role::Follower { leader: None },
            confirmed: Index(0),
            commit: Index(0),
            handed: Index(0),
            applied: Index(0),
            now: Ticks(0),
            clock: Clock::at(restored.time),
            attempt: 0,
            election_due: Ticks(0),
            leader_heard: None,
            outbox: Vec::new(),
            reads_ready: Vec::new(),
        };
        if planted!(VoteForgottenAtStart) {
            raft.hard_state.voted_for = None;
        }
        if raft.is_alone() {
            raft.campaign();
        } else {
            raft.restart_election_timer();
        }
        raft.check_invariants();
        raft
    }

    /// A tick passed; `now` is the machine's clock. Returns false where the clock jumped and was not believed.
    pub(crate) fn tick(&mut self, now: Time) -> bool {
        self.now.0 += 1;
        let believed = self.clock.tick(now, self.config.tick_ms, self.config.clock_jump_ms_max);
        match self.role {
            Role::Leader(_) => self.tick_leader(),
            _ if self.now >= self.election_due => self.campaign(),
            _ => {}
        }
        self.check_invariants();
        believed
    }

    /// A message from a peer. `from` must have been proven by the connection it came on.
    pub(crate) fn step(&mut self, envelope: Envelope) {
        let Envelope { from, to, term, message } = envelope;
        // Votes and acknowledgements count only from members, and so does everything else.
        let counts = self.membership.is_voter(from) || planted!(StrangerVotes);
        if to != self.config.id || from == self.config.id || !counts {
            return;
        }
        if term > self.hard_state.term {
            match message {
                // A pre-vote is a question: it never moves a term.
                Message::PreVote { .. } => {}
                // Leader stickiness: a server that cannot hear the leader must not depose it (thesis §4.2.3).
                Message::Vote { .. } if self.hears_a_leader() => {
                    mark!(VoteRequestIgnored);
                    return;
                }
                _ => self.become_follower(term, None),
            }
        } else if term < self.hard_state.term {
            match message {
                // The answer of a server whose term is behind the question's: it names the question's.
                Message::PreVoteReply { of, granted } => {
                    mark!(PreVoteGrantedByLowerTerm if granted);
                    self.handle_pre_vote_reply(from, of, granted);
                }
                Message::Appended { matched } if planted!(OldTermAcknowledges) => {
                    self.handle_appended(from, matched)
                }
                _ => self.answer_stale(from, term, &message),
            }
            self.check_invariants();
            return;
        }
        match message {
            Message::PreVote { last } => self.handle_pre_vote(from, term, last),
            Message::PreVoteReply { of, granted } => self.handle_pre_vote_reply(from, of, granted),
            Message::Vote { last } => self.handle_vote(from, last),
            Message::VoteReply { granted } => self.handle_vote_reply(from, granted),
            Message::Append { prev, commit, entries } => self.handle_append(from, prev, commit, entries),
            Message::Appended { matched } => self.handle_appended(from, matched),
            Message::Conflict { rejected, hint } => self.handle_conflict(from, rejected, hint),
            Message::Commit { commit } => self.handle_commit(from, commit),
            Message::Heartbeat { commit, round } => self.handle_heartbeat(from, commit, round),
            Message::HeartbeatReply { round } => self.handle_heartbeat_reply(from, round),
            Message::ReadIndex { id } => self.handle_read_index(from, id),
            Message::ReadIndexReply { id, index } => self.handle_read_index_reply(id, index),
        }
        self.check_invariants();
    }

    /// Everything up to `id` is written and fsynced.
    pub(crate) fn persisted(&mut self, id: PersistId) {
        let free = self.disk.persisted(id);
        self.outbox.extend(free);
        self.count_own_vote();
        self.advance_commit();
        self.check_invariants();
    }

    /// The object has applied everything up to `upto`.
    pub(crate) fn applied(&mut self, upto: Index) {
        assert!(upto <= self.handed, "applied {upto}, handed out only {}", self.handed);
        self.applied = self.applied.max(upto);
    }

    /// The connection to `peer` was lost, is new, or dropped something: what was on its way may not arrive.
    pub(crate) fn lost(&mut self, peer: NodeId) {
        if let Role::Leader(leader) = &mut self.role
            && let Some(progress) = leader.peers.get_mut(&peer)
        {
            progress.lost();
        }
    }

    /// What is to be done now; `None` where there is nothing.
    pub(crate) fn ready(&mut self) -> Option<Ready> {
        self.open_read_round();
        self.send_appends();
        let messages = std::mem::take(&mut self.outbox);
        let last = self.log.last_index();
        let persist = self.disk.next_write(self.hard_state, last).map(|(id, hard_state, after)| Persist {
            id,
            hard_state,
            entries: self.log.iter_from(after.next()).cloned().collect(),
        });
        let committed = self.take_committed();
        let reads = std::mem::take(&mut self.reads_ready);
        self.check_invariants();
        let nothing = messages.is_empty() && persist.is_none() && committed.is_empty() && reads.is_empty();
        (!nothing).then_some(Ready { messages, persist, committed, reads })
    }

    fn take_committed(&mut self) -> Vec<Entry> {
        let stable = if planted!(AppliedBeforeDurable) { self.commit } else { self.disk.stable() };
        let durable = self.commit.min(stable);
        let upto = durable.min(Index(self.applied.0 + self.config.apply_entries_max));
        mark!(CommittedNotDurable if durable < self.commit);
        mark!(ApplyBehind if upto < durable);
        if upto <= self.handed {
            return Vec::new();
        }
        let count = (upto.0 - self.handed.0) as usize;
        let entries = self.log.iter_from(self.handed.next()).take(count).cloned().collect();
        self.handed = upto;
        entries
    }

    /// Sends `message` as soon as what it tells is durable.
    fn send(&mut self, to: NodeId, message: Message, tells: Tells) {
        let envelope = Envelope { from: self.config.id, to, term: self.hard_state.term, message };
        let now = self.disk.hold(envelope, tells, self.log.last_index());
        self.outbox.extend(now);
    }

    fn is_alone(&self) -> bool {
        self.membership.is_quorum(|id| id == self.config.id)
    }
}

/// What others may see of a node's part in the protocol.
impl Raft {
    /// This node.
    #[cfg(test)]
    pub(crate) fn id(&self) -> NodeId {
        self.config.id
    }

    /// The present term.
    pub(crate) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Term and vote, durable or not.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The commit index as this node knows it.
    pub(crate) fn commit(&self) -> Index {
        self.commit
    }

    /// The log, durable or not.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The log is on this node's disk up to here.
    pub(crate) fn stable(&self) -> Index {
        self.disk.stable()
    }

    /// Who the members are.
    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The leader of the present term, if this node knows one; itself where it leads.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.config.id),
            Role::Follower { leader } => *leader,
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// On a leader: the last entry known to be durable at `peer`, and the next to be sent there.
    pub(crate) fn progress_of(&self, peer: NodeId) -> Option<(Index, Index)> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.peers.get(&peer).map(|progress| (progress.matched(), progress.next()))
    }

    /// Whether this node asks for votes, or asks whether it would get them.
    pub(crate) fn is_candidate(&self) -> bool {
        matches!(self.role, Role::PreCandidate(_) | Role::Candidate(_))
    }

    /// Whether this node only asks whether it would be elected.
    #[cfg(test)]
    pub(crate) fn is_pre_candidate(&self) -> bool {
        matches!(self.role, Role::PreCandidate(_))
    }

    /// On a leader: whether it does not know yet where the peer's log agrees with its own.
    #[cfg(test)]
    pub(crate) fn is_probing(&self, peer: NodeId) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        leader.peers.get(&peer).is_some_and(Progress::is_probing)
    }

    /// Whether a leader protects itself from elections here.
    #[cfg(test)]
    pub(crate) fn is_led(&self) -> bool {
        self.hears_a_leader()
    }

    /// Ticks until this node campaigns, unless it leads or hears something.
    #[cfg(test)]
    pub(crate) fn election_in(&self) -> Ticks {
        Ticks(self.election_due.0 - self.now.0)
    }

    /// Whether this node leads.
    pub(crate) fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The stamp's clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}
