//! The rules of the protocol, each a predicate with the paragraph that it comes from.
//!
//! `election` and `replication` are the steps; they ask here whether a step may be taken.
//!
//! | figure 2, §5, thesis | here |
//! |---|---|
//! | election timeout elapses: start an election (§5.2) | [`Raft::may_campaign`] |
//! | all servers: a higher term converts to follower (§5.1) | [`Raft::step`], `become_follower` |
//! | randomised election timeouts (§5.2) | `Config::election_timeout` |
//! | one vote in a term, first come first served (§5.2) | [`Raft::can_vote_for`] |
//! | no vote for a log that is less up to date (§5.4.1) | [`Raft::is_up_to_date`] |
//! | pre-vote (thesis §9.6) | [`Raft::would_vote_for`] |
//! | no vote while a leader is heard from (thesis §4.2.3) | [`Raft::heard_from_leader`], asked by [`Raft::step`] |
//! | votes from a majority: become leader (§5.2) | [`Raft::has_won`] |
//! | a new leader appends a no-op (§8) | `become_leader` |
//! | check-quorum: a leader without a majority steps down (thesis §6.2) | [`Raft::quorum_active`] |
//! | a leader whose disk hangs steps down (not in the paper) | [`Raft::disk_is_stalled`] |
//! | RequestVote 1, AppendEntries 1: reject a lower term | [`Raft::step`], `reject_stale_term` |
//! | AppendEntries 2: consistency check (§5.3) | [`Raft::has_prev`] |
//! | AppendEntries 3: delete conflicting entries (§5.3) | [`Raft::find_conflict`], [`Raft::delete_conflict`] |
//! | AppendEntries 4: append new entries | [`Raft::find_conflict`] (`known`), [`Raft::handle_append_entries`] |
//! | AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry) | [`Raft::new_commit_index`] |
//! | commit only entries of the own term by counting (§5.4.2) | [`Raft::quorum_match_index`], [`Raft::can_commit`] |
//! | apply committed entries (§5.3) | [`Raft::applicable`] |
//! | read index (thesis §6.4) | `open_read_round`, `close_read_rounds`; the wait for lastApplied is in `calls/reads.rs` |
//! | no read before the term's no-op is committed (§8) | [`Raft::may_open_read_round`] |
//! | retry AppendEntries with a lower nextIndex (§5.3) | `Progress::back_off` |
//! | persist term, vote and entries before answering (figure 2) | `Durability::hold`, `durability::Requires` |
//! | exactly once (§8, thesis §6.3) | `object/sessions.rs` |
//!
//! Test instruments (`mark!`, `planted!`) belong into these predicates and not between the steps.

use super::election::Votes;
use super::types::{Entry, EntryId, Index, NodeId};
use super::{LeaderState, Raft, ServerState};
use crate::marks::mark;
use crate::planted::planted;

/// Elections.
impl Raft {
    /// Whether the election timeout has elapsed (§5.2). It counts from when term and vote are durable, because only then
    /// does a candidate send its requests and a voter its reply: where an fsync takes longer than the timeout, each would
    /// otherwise campaign again before the other could answer.
    pub(super) fn may_campaign(&self) -> bool {
        let waits_for_disk = !self.durability.hard_state_is_durable();
        mark!(CampaignWaitedForDisk if waits_for_disk && self.now >= self.election_deadline);
        self.now >= self.election_deadline && (!waits_for_disk || planted!(ElectionTimerBeforeFsync))
    }

    /// §5.4.1: whether a log that ends with `last` is at least as up to date as this one. "If the logs have last
    /// entries with different terms, then the log with the later term is more up-to-date. If the logs end with the
    /// same term, then whichever log is longer is more up-to-date." [`EntryId`] is ordered so.
    pub(super) fn is_up_to_date(&self, last: EntryId) -> bool {
        last >= self.log.last() || planted!(VoteForLogBehind)
    }

    /// RequestVote 2: whether this node may vote for `candidate`, whose log ends with `last`, in the present term.
    ///
    /// One vote in a term, first come first served (§5.2): votedFor is null or the candidate. A node that already
    /// follows a leader of this term, without having voted, does not vote either. No vote for a log that is less up
    /// to date (§5.4.1).
    pub(super) fn can_vote_for(&self, candidate: NodeId, last: EntryId) -> bool {
        let vote_is_free = match self.hard_state.voted_for {
            None => self.leader().is_none(),
            Some(voted_for) => voted_for == candidate,
        };
        let granted = vote_is_free && self.is_up_to_date(last);
        mark!(VoteRefusedAlreadyGiven if !vote_is_free && self.hard_state.voted_for.is_some());
        mark!(VoteRefusedBesideLeader if !vote_is_free && self.hard_state.voted_for.is_none());
        mark!(VoteRefusedLogBehind if last < self.log.last());
        mark!(VoteRepeated if granted && self.hard_state.voted_for.is_some());
        granted
    }

    /// Whether a candidate's vote for itself counts: only when it is durable, or a crash takes it back and the node votes for
    /// another in the same term (§5.2).
    pub(super) fn own_vote_counts(&self) -> bool {
        self.durability.hard_state_is_durable() || planted!(OwnVoteBeforeFsync)
    }

    /// Thesis §9.6: whether this node would vote for a candidate whose log ends with `last`, in a term after the
    /// present one: it has not heard from a leader recently, and the log is up to date.
    pub(super) fn would_vote_for(&self, last: EntryId) -> bool {
        mark!(PreVoteRefusedBesideLeader if self.heard_from_leader());
        mark!(PreVoteRefusedLogBehind if last < self.log.last());
        let beside_leader = self.heard_from_leader() && !planted!(PreVoteBesideLeader);
        !beside_leader && self.is_up_to_date(last)
    }

    /// Thesis §4.2.3: whether this node leads, or has heard from a leader of the present term within the shortest
    /// election timeout. Such a node neither votes nor moves its term for a candidate, so a server that cannot hear
    /// the leader does not depose it.
    pub(crate) fn heard_from_leader(&self) -> bool {
        let recent = |at: super::Ticks| self.now.0 - at.0 < self.config.election_ticks_min.0;
        matches!(self.state, ServerState::Leader(_)) || self.leader_heard_at.is_some_and(recent)
    }

    /// §5.2: whether `votes` come from a majority of the voters.
    pub(super) fn has_won(&self, votes: &Votes) -> bool {
        let by_non_members =
            planted!(NonMemberVotes if votes.granted().count() > self.membership.members.len() / 2);
        self.membership.is_quorum(|id| votes.has(id)) || by_non_members
    }

    /// Check-quorum, thesis §6.2: whether a majority, this leader included, has answered within the longest election
    /// timeout. A leader without it steps down, so that clients go elsewhere.
    pub(super) fn quorum_active(&self, leader: &LeaderState) -> bool {
        let silent_max = self.config.election_ticks_max.0;
        let recent = |at: super::Ticks| self.now.0 - at.0 < silent_max;
        let active = self.membership.is_quorum(|id| {
            id == self.config.id || leader.peers.get(&id).is_some_and(|progress| recent(progress.last_heard))
        });
        mark!(LeaderWithoutQuorum if !active);
        active
    }
}

/// Disks.
impl Raft {
    /// Whether this leader must step down because its disk is stalled: it has completed no write for
    /// `disk_stall_ticks_max`, and a majority of voters without this one has durable entries beyond its own. Heartbeats
    /// would otherwise keep a leader in power whose disk hangs (hashicorp/raft #503). A disk that is only slow, like those
    /// of the others, is no reason.
    pub(super) fn disk_is_stalled(&self, leader: &LeaderState) -> bool {
        let stalled = self.durability.is_writing()
            && self.now.0 - self.disk_progress_at.0 >= self.config.disk_stall_ticks_max.0
            && self.membership.is_quorum(|id| {
                let progress = leader.peers.get(&id);
                progress.is_some_and(|progress| progress.match_index() > self.durable_index())
            });
        mark!(LeaderDiskStalled if stalled);
        stalled && !planted!(DiskStallIgnored)
    }
}

/// What an append brings, compared with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// So many of the first entries are in the log already.
    pub(super) known: usize,
    /// Where the entry after those differs from the log: it and all that follow it are to be deleted.
    pub(super) conflict: Option<Index>,
}

/// Replication.
impl Raft {
    /// AppendEntries 2, the consistency check (§5.3): whether the log contains prevLogIndex with prevLogTerm. Below
    /// commitIndex there is nothing to check: what is committed here is in the leader's log too (§5.4.3).
    pub(super) fn has_prev(&self, prev: EntryId) -> bool {
        let has = prev.index < self.commit || self.log.has(prev);
        mark!(AppendConflict if !has);
        mark!(AppendBelowCommit if prev.index < self.commit);
        has
    }

    /// AppendEntries 3 and 4: which entries are in the log already, and whether the first that is not conflicts with
    /// an entry there (same index, other term). Only such a conflict deletes entries: an append that arrives late must
    /// not take back what came after it.
    pub(super) fn find_conflict(&self, entries: &[Entry]) -> Comparison {
        let is_known = |entry: &&Entry| entry.id.index <= self.commit || self.log.has(entry.id);
        let known = entries.iter().take_while(is_known).count();
        let first_new = entries.get(known).map(|entry| entry.id.index);
        mark!(AppendKnownAlready if known > 0 && known == entries.len());
        Comparison { known, conflict: first_new.filter(|index| *index <= self.log.last_index()) }
    }

    /// AppendEntries 3: deletes the conflicting entry and all that follow it.
    pub(super) fn delete_conflict(&mut self, conflict: Option<Index>, match_index: Index) {
        let stale = planted!(StaleAppendTruncates if match_index < self.log.last_index());
        let Some(from) = (if stale { Some(match_index.next()) } else { conflict }) else { return };
        mark!(TailOverwritten);
        self.log.truncate(from);
        self.durability.truncated(from);
    }

    /// Whether the sender cannot be the leader of this term, although it sends as one: a leader keeps what it has
    /// replicated here in its term, and the terms in its log never decrease.
    pub(super) fn contradicts_leader(&self, entries: &[Entry], comparison: Comparison) -> bool {
        let Some(first) = entries.get(comparison.known) else { return false };
        let follows = self.log.term_at(first.id.index.previous()) <= Some(first.id.term);
        comparison.conflict.is_some_and(|index| index <= self.leader_match) || !follows
    }

    /// Whether the log has room for the new ones of `entries`. Those that are here already need none, and those that
    /// conflict make room. A probe or a no-op always has room; a follower over its limit could not agree with a new
    /// leader otherwise.
    pub(super) fn has_room_for(&self, entries: &[Entry], comparison: Comparison) -> bool {
        let (counted, slack) = match planted!(NearlyFullRefuses) {
            true => (entries, 0),
            false => (&entries[comparison.known..], self.config.window_bytes_max),
        };
        let incoming: usize = counted.iter().map(|entry| entry.payload.len()).sum();
        let kept = self.log.bytes() - comparison.conflict.map_or(0, |from| self.log.bytes_from(from));
        let has_room = incoming == 0 || kept + incoming <= self.config.log_bytes_max + slack;
        mark!(AppendWithoutRoom if !has_room);
        has_room
    }

    /// AppendEntries 5: "if leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
    /// That last entry is [`Raft::leader_match`]: beyond it this log may end with entries that the leader does not have.
    pub(super) fn new_commit_index(&self, leader_commit: Index) -> Index {
        mark!(CommitBeyondLeaderMatch if leader_commit > self.leader_match);
        let limit = if planted!(CommitBeyondLeaderMatch) { self.log.last_index() } else { self.leader_match };
        self.commit.max(leader_commit.min(limit))
    }

    /// Figure 2, leaders: the highest N such that a majority of matchIndex\[i\] ≥ N. This leader counts with what is
    /// on its own disk.
    pub(super) fn quorum_match_index(&self, leader: &LeaderState) -> Index {
        let own =
            if planted!(LeaderCountsBeforeFsync) { self.log.last_index() } else { self.durable_index() };
        let match_index = |id| match leader.peers.get(&id) {
            Some(progress) => progress.match_index(),
            None if id == self.config.id => own,
            None => Index(0),
        };
        self.membership.quorum_value(match_index).unwrap_or_default()
    }

    /// §5.4.2, figure 8: whether a leader may set commitIndex to `index`, which a majority has on disk. Only entries of
    /// its own term are committed by counting; those of earlier terms become committed with them.
    pub(super) fn can_commit(&self, index: Index) -> bool {
        let own_term = self.log.term_at(index) == Some(self.hard_state.term);
        let may = index > self.commit && (own_term || planted!(CommitByCounting));
        mark!(CommitHeldByTerm if index > self.commit && !may);
        mark!(CommitCoversEarlierTerm if may && self.log.term_at(self.commit.next()) != Some(self.hard_state.term));
        mark!(CommitBeforeOwnDisk if may && self.durable_index() < index);
        may
    }

    /// Up to where entries may be passed to apply: committed (§5.3), durable on this node, and not more at a time than
    /// `apply_entries_max`.
    pub(super) fn applicable(&self) -> Index {
        let stable = if planted!(AppliedBeforeDurable) { self.commit } else { self.durable_index() };
        let durable = self.commit.min(stable);
        let limit = durable.min(Index(self.applied.0 + self.config.apply_entries_max));
        mark!(CommittedNotDurable if durable < self.commit);
        mark!(ApplyBehind if limit < durable);
        limit
    }
}

/// Reads.
impl Raft {
    /// §8: a new leader knows which entries are committed only once the no-op of its term is.
    pub(super) fn may_open_read_round(&self, leader: &LeaderState) -> bool {
        mark!(ReadBeforeNoop if self.commit < leader.noop);
        self.commit >= leader.noop || planted!(ReadBeforeNoop)
    }
}
