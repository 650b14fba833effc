//! The Raft protocol: it decides, and nothing else. It sees no bytes, clocks, files or threads, and not the user's type;
//! time is ticks, events come in as method calls, and what follows from them is returned as [`Ready`].
//!
//! The algorithm is that of "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout; "§" and "figure"
//! in the comments) with these parts of Ongaro's dissertation ("thesis"): pre-vote (thesis §9.6), check-quorum (thesis
//! §6.2), no votes while a leader is heard from (thesis §4.2.3), pipelined appends and writing in parallel with sending
//! (thesis §10.2.1), read index (thesis §6.4).
//!
//! # Where to begin
//! [`Raft`] has the state of figure 2. [`Raft::step`] handles a message. `rules` maps each rule of figure 2 to the
//! predicate that holds it. The steps are in `election` (RequestVote, PreVote), `replication` (AppendEntries,
//! commitIndex) and `read` (linearizable reads). They use `message` (the RPCs), `log` (the entries), `progress`
//! (nextIndex and matchIndex of a peer), `durability` (what is fsynced, and which messages wait for it), `membership`
//! (quorums), `clock`.
//!
//! # Differences from the paper
//! - A candidate's own vote and a leader's own entries count when they are durable on its own disk, not before.
//! - A message that carries a term, a vote or an acknowledgement is held back until that is durable; the driver never
//!   has to order its sends after its writes.
//! - A follower moves commitIndex only over entries that it knows to match those of this term's leader.
//! - A RequestVote is ignored while a leader is heard from; a PreVote never changes a term.
//! - `Commit` carries a higher commitIndex to a follower when there is no append to carry it.
//!
//! # Limits
//! All entries since the start are kept in memory; at `log_bytes_max` a leader rejects proposals. Membership is fixed
//! when the cluster is founded.

pub(crate) mod clock;
pub(crate) mod config;
mod durability;
mod election;
mod invariants;
pub(crate) mod log;
pub(crate) mod membership;
pub(crate) mod message;
mod progress;
mod read;
mod replication;
mod rules;
#[cfg(test)]
mod tests;
pub(crate) mod types;

use crate::marks::mark;
use crate::planted::planted;
use clock::Clock;
use config::Config;
use durability::{Durability, Requires};
use election::Votes;
use log::Log;
use membership::Membership;
use message::{Envelope, Message};
use progress::Progress;
use read::ReadQueue;
use std::collections::BTreeMap;
use types::{Entry, HardState, Index, NodeId, Term, Ticks, Time};

pub(crate) use durability::{Persist, PersistId};
pub(crate) use read::ReadReady;
pub(crate) use replication::ProposeError;

/// One member of the cluster: the state of figure 2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Raft {
    config: Config,
    membership: Membership,
    /// currentTerm and votedFor (figure 2, persistent state).
    hard_state: HardState,
    /// log\[\] (figure 2, persistent state).
    log: Log,
    durability: Durability,
    state: ServerState,
    /// On a follower: its log is known to match that of this term's leader up to here ("index of last new entry" in
    /// AppendEntries 5). It stays true while the term does, even if this node becomes a candidate meanwhile.
    leader_match: Index,
    /// commitIndex (figure 2): entries up to here are committed, that is, durable at a majority (§5.3).
    commit: Index,
    /// Committed entries were passed to apply up to here.
    applying: Index,
    /// lastApplied (figure 2): committed entries were applied up to here.
    applied: Index,
    now: Ticks,
    clock: Clock,
    /// Campaigns since the term began. The next election timeout depends on it.
    attempt: u64,
    /// When the election timeout elapses, unless a leader is heard from or a vote granted before.
    election_deadline: Ticks,
    /// How long the last write took to become durable.
    persist_ticks: u64,
    /// When the disk last completed a write, or got one while it had none.
    disk_progress_at: Ticks,
    /// How often this node stepped down because its disk was stalled, since the start.
    disk_stalls: u64,
    /// When the last message of this term's leader came.
    leader_heard_at: Option<Ticks>,
    outbox: Vec<Envelope>,
    reads_ready: Vec<ReadReady>,
}

/// The state of a server in its term (§5.1, figure 4; pre-candidate: thesis §9.6).
///
/// ```text
///        election timeout        a quorum would vote             a quorum votes
///  Follower ───────────▶ PreCandidate ───────────▶ Candidate ───────────▶ Leader
///     ▲   a leader is heard from,        │ a leader is heard from,       │ │ a higher term,
///     └───or a higher term───────────────┴─or a higher term──────────────┴─┘ or no quorum
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ServerState {
    Follower {
        leader: Option<NodeId>,
    },
    PreCandidate {
        /// Pre-votes for the next term.
        pre_votes: Votes,
        /// Votes of the present term, where this node was a candidate in it: they may still arrive.
        votes: Votes,
    },
    Candidate(Votes),
    Leader(LeaderState),
}

/// Volatile state on leaders (figure 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LeaderState {
    /// nextIndex and matchIndex of each peer.
    peers: BTreeMap<NodeId, Progress>,
    /// The no-op entry that opened the term. Before it is committed no read is served (§8).
    noop: Index,
    next_heartbeat: Ticks,
    reads: ReadQueue,
}

/// What follows from the events since the last one: four lanes, independent of each other, each in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Send now: all that they require is durable.
    pub(crate) messages: Vec<Envelope>,
    /// Write and fsync, then call [`Raft::persisted`].
    pub(crate) persist: Option<Persist>,
    /// Apply, then call [`Raft::applied`]. Only entries that are durable on this node.
    pub(crate) committed: Vec<Entry>,
    /// Serve each once its index is applied.
    pub(crate) reads: Vec<ReadReady>,
}

/// What [`Raft::new`] takes from the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Entry>,
    /// The last reading of the machine's clock; zero if there is none yet.
    pub(crate) time: Time,
}

impl Raft {
    /// A member that starts, for the first time or again, with the state from its disk.
    pub(crate) fn new(config: Config, membership: Membership, restored: Restored) -> Raft {
        let log = Log::new(restored.entries);
        let mut raft = Raft {
            config,
            membership,
            hard_state: restored.hard_state,
            durability: Durability::new(log.last_index()),
            log,
            state: ServerState::Follower { leader: None },
            leader_match: Index(0),
            commit: Index(0),
            applying: Index(0),
            applied: Index(0),
            now: Ticks(0),
            clock: Clock::at(restored.time),
            attempt: 0,
            election_deadline: Ticks(0),
            persist_ticks: 0,
            disk_progress_at: Ticks(0),
            disk_stalls: 0,
            leader_heard_at: None,
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

    /// A tick has passed; `now` is the reading of the machine's clock. Returns false where the clock jumped and the
    /// reading was refused.
    pub(crate) fn tick(&mut self, now: Time) -> bool {
        self.now.0 += 1;
        let accepted = self.clock.tick(now, self.config.tick_ms, self.config.clock_jump_ms_max);
        match self.state {
            ServerState::Leader(_) => self.tick_leader(),
            _ if self.may_campaign() => self.campaign(),
            _ => {}
        }
        self.check_invariants();
        accepted
    }

    /// Handles a message of a peer. The connection must have proved who `from` is.
    pub(crate) fn step(&mut self, envelope: Envelope) {
        let Envelope { from, to, term, message } = envelope;
        if to != self.config.id || from == self.config.id || !self.counts(from) {
            return;
        }
        if term > self.hard_state.term {
            match message {
                // Only asks: it never changes a term (thesis §9.6).
                Message::PreVote { .. } => {}
                // A server that cannot hear the leader must not depose it (thesis §4.2.3).
                Message::RequestVote { .. } if self.heard_from_leader() => {
                    mark!(VoteRequestIgnored);
                    return;
                }
                // Figure 2, all servers: "if RPC request or response contains term T > currentTerm: set currentTerm = T,
                // convert to follower" (§5.1).
                _ => self.become_follower(term, None),
            }
        } else if term < self.hard_state.term {
            match message {
                // The voter's term is behind the candidate's. The reply names the term that it answers.
                Message::PreVoteReply { of, granted } => {
                    mark!(PreVoteGrantedByLowerTerm if granted);
                    self.handle_pre_vote_reply(from, of, granted);
                }
                Message::Appended { match_index } if planted!(OldTermAcknowledges) => {
                    self.handle_appended(from, match_index)
                }
                // §5.1: "if a server receives a request with a stale term number, it rejects the request".
                _ => self.reject_stale_term(from, term, &message),
            }
            self.check_invariants();
            return;
        }
        match message {
            Message::PreVote { last } => self.handle_pre_vote(from, term, last),
            Message::PreVoteReply { of, granted } => self.handle_pre_vote_reply(from, of, granted),
            Message::RequestVote { last } => self.handle_request_vote(from, last),
            Message::VoteReply { granted } => self.handle_vote_reply(from, granted),
            Message::AppendEntries { prev, commit, entries } => {
                self.handle_append_entries(from, prev, commit, entries)
            }
            Message::Appended { match_index } => self.handle_appended(from, match_index),
            Message::Conflict { rejected, hint } => self.handle_conflict(from, rejected, hint),
            Message::Commit { commit } => self.handle_commit(from, commit),
            Message::Heartbeat { commit, round } => self.handle_heartbeat(from, commit, round),
            Message::HeartbeatReply { round } => self.handle_heartbeat_reply(from, round),
            Message::ReadIndex { id } => self.handle_read_index(from, id),
            Message::ReadIndexReply { id, index } => self.handle_read_index_reply(id, index),
        }
        self.check_invariants();
    }

    /// Whether messages of `node` count: only members vote, acknowledge or lead.
    fn counts(&self, node: NodeId) -> bool {
        self.membership.is_voter(node) || planted!(NonMemberVotes)
    }

    /// All writes up to `id` are durable.
    pub(crate) fn persisted(&mut self, id: PersistId) {
        let waited = !self.durability.hard_state_is_durable();
        let free = self.durability.persisted(id);
        self.persist_ticks = self.now.0 - self.disk_progress_at.0;
        self.disk_progress_at = self.now;
        self.outbox.extend(free);
        if waited && self.durability.hard_state_is_durable() && !planted!(ElectionTimerBeforeFsync) {
            // A candidate's requests, or a voter's reply, leave now: see `may_campaign`.
            self.restart_election_timer();
        }
        self.count_own_vote();
        self.advance_commit();
        self.check_invariants();
    }

    /// The object has applied everything up to `upto`.
    pub(crate) fn applied(&mut self, upto: Index) {
        assert!(upto <= self.applying, "applied {upto}, only up to {} was passed to apply", self.applying);
        self.applied = self.applied.max(upto);
    }

    /// Messages in flight to `peer` may be lost, because its connection is a new one: probe it again.
    pub(crate) fn restart_probe(&mut self, peer: NodeId) {
        if let ServerState::Leader(leader) = &mut self.state
            && let Some(progress) = leader.peers.get_mut(&peer)
        {
            progress.restart_probe();
        }
    }

    /// What is to be done now; `None` where there is nothing.
    pub(crate) fn ready(&mut self) -> Option<Ready> {
        self.open_read_round();
        self.send_appends();
        let messages = std::mem::take(&mut self.outbox);
        let last = self.log.last_index();
        if !self.durability.is_writing() {
            self.disk_progress_at = self.now;
        }
        let persist = self.durability.next_write(self.hard_state, last).map(|(id, hard_state, after)| {
            Persist { id, hard_state, entries: self.log.iter_from(after.next()).cloned().collect() }
        });
        let committed = self.take_committed();
        let reads = std::mem::take(&mut self.reads_ready);
        self.check_invariants();
        let nothing = messages.is_empty() && persist.is_none() && committed.is_empty() && reads.is_empty();
        (!nothing).then_some(Ready { messages, persist, committed, reads })
    }

    /// Figure 2, all servers: "if commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\]".
    fn take_committed(&mut self) -> Vec<Entry> {
        let upto = self.applicable();
        if upto <= self.applying {
            return Vec::new();
        }
        let count = (upto.0 - self.applying.0) as usize;
        let entries = self.log.iter_from(self.applying.next()).take(count).cloned().collect();
        self.applying = upto;
        entries
    }

    /// Sends `message` as soon as what it requires is durable.
    fn send(&mut self, to: NodeId, message: Message, requires: Requires) {
        let envelope = Envelope { from: self.config.id, to, term: self.hard_state.term, message };
        let now = self.durability.hold(envelope, requires, self.log.last_index());
        self.outbox.extend(now);
    }

    fn is_alone(&self) -> bool {
        self.membership.is_quorum(|id| id == self.config.id)
    }
}

/// Read access for the other rooms.
impl Raft {
    /// This node.
    #[cfg(test)]
    pub(crate) fn id(&self) -> NodeId {
        self.config.id
    }

    /// currentTerm.
    pub(crate) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Term and vote, durable or not.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// commitIndex, as this node knows it.
    pub(crate) fn commit(&self) -> Index {
        self.commit
    }

    /// The log, durable or not.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The log is durable on this node up to here.
    pub(crate) fn durable_index(&self) -> Index {
        self.durability.durable_index()
    }

    /// Who the members are.
    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The leader of the present term, if this node knows one; itself where it leads.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match &self.state {
            ServerState::Leader(_) => Some(self.config.id),
            ServerState::Follower { leader } => *leader,
            ServerState::PreCandidate { .. } | ServerState::Candidate(_) => None,
        }
    }

    /// On a leader: matchIndex and nextIndex of `peer`.
    pub(crate) fn progress_of(&self, peer: NodeId) -> Option<(Index, Index)> {
        let ServerState::Leader(leader) = &self.state else { return None };
        leader.peers.get(&peer).map(|progress| (progress.match_index(), progress.next_index()))
    }

    /// Whether this node is a candidate or a pre-candidate.
    pub(crate) fn is_candidate(&self) -> bool {
        matches!(self.state, ServerState::PreCandidate { .. } | ServerState::Candidate(_))
    }

    /// Whether this node is a pre-candidate.
    #[cfg(test)]
    pub(crate) fn is_pre_candidate(&self) -> bool {
        matches!(self.state, ServerState::PreCandidate { .. })
    }

    /// On a leader: whether it does not know yet up to where the peer's log matches its own.
    #[cfg(test)]
    pub(crate) fn is_probing(&self, peer: NodeId) -> bool {
        let ServerState::Leader(leader) = &self.state else { return false };
        leader.peers.get(&peer).is_some_and(Progress::is_probing)
    }

    /// Ticks until the election timeout elapses.
    #[cfg(test)]
    pub(crate) fn election_in(&self) -> Ticks {
        Ticks(self.election_deadline.0 - self.now.0)
    }

    /// Whether this node leads.
    pub(crate) fn is_leader(&self) -> bool {
        matches!(self.state, ServerState::Leader(_))
    }

    /// How often this node stepped down because its disk was stalled, since the start.
    pub(crate) fn disk_stalls(&self) -> u64 {
        self.disk_stalls
    }

    /// The clock for the time of entries.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}
