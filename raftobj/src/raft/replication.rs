//! How the log becomes the same everywhere: proposals, AppendEntries and its results, commitIndex (§5.3, §5.4.2).
//!
//! These are the steps; the rules that they follow are in `rules`.

use super::durability::Requires;
use super::message::Message;
use super::progress::Progress;
use super::types::{Entry, EntryId, EntryKind, Index, NodeId, Ticks, Time};
use super::{Raft, ServerState};
use crate::marks::mark;
use crate::planted::planted;
use bytes::Bytes;

/// Why a proposal was rejected. Applied: no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProposeError {
    /// Another node leads, or none. Retry there.
    #[error("this node does not lead")]
    NotLeader,
    /// The log has reached its limit. Retry here, later.
    #[error("the log holds {bytes} bytes, the limit is {limit}")]
    Busy { bytes: usize, limit: usize },
}

impl Raft {
    /// Appends a command to the leader's log. The next [`ready`](Raft::ready) sends it, together with all others
    /// proposed until then.
    pub(crate) fn propose(&mut self, payload: Bytes) -> Result<EntryId, ProposeError> {
        if !self.is_leader() {
            return Err(ProposeError::NotLeader);
        }
        let (bytes, limit) = (self.log.bytes() + payload.len(), self.config.log_bytes_max);
        if bytes > limit {
            mark!(ProposalRefusedFull);
            return Err(ProposeError::Busy { bytes, limit });
        }
        Ok(self.append_own(EntryKind::Command, payload))
    }

    /// Appends an entry of the leader's own term. Its time is never before that of the entry ahead of it.
    pub(super) fn append_own(&mut self, kind: EntryKind, payload: Bytes) -> EntryId {
        let last = self.log.last();
        let id = EntryId { term: self.hard_state.term, index: last.index.next() };
        let previous = self.log.get(last.index).map_or(Time(0), |entry| entry.time);
        mark!(StampHeldByLog if self.clock.now() < previous);
        self.log.append(Entry { id, time: self.clock.now().max(previous), kind, payload });
        id
    }

    /// Sends each peer the entries that it lacks, as far as its window allows (figure 2, leaders: "if last log index
    /// ≥ nextIndex for a follower, send AppendEntries RPC with log entries starting at nextIndex").
    pub(super) fn send_appends(&mut self) {
        let ServerState::Leader(leader) = &mut self.state else { return };
        let (log, config, last) = (&self.log, &self.config, self.log.last_index());
        let request = |next_index: Index, entries: Vec<Entry>| {
            let index = next_index.previous();
            let term = log.term_at(index).expect("the log reaches back to its first entry");
            Message::AppendEntries { prev: EntryId { term, index }, commit: self.commit, entries }
        };
        let mut requests = Vec::new();
        for (&peer, progress) in &mut leader.peers {
            let before = requests.len();
            if progress.may_probe() {
                requests.push((peer, request(progress.next_index(), Vec::new())));
                progress.probe_sent(self.now);
            }
            while progress.next_index() <= last
                && progress.has_room(config.window_messages_max, config.window_bytes_max)
            {
                let entries = log.batch(progress.next_index(), config.append_bytes_max);
                let bytes = entries.iter().map(|entry| entry.payload.len()).sum();
                let end = entries.last().map_or(last, |entry| entry.id.index);
                requests.push((peer, request(progress.next_index(), entries)));
                progress.append_sent(end, bytes, self.now);
            }
            mark!(WindowFull if progress.next_index() <= last && !progress.is_probing());
            if requests.len() == before && progress.lacks_commit(self.commit) {
                mark!(CommitSent);
                progress.commit_sent = self.commit;
                if !planted!(CommitNotSent) {
                    requests.push((peer, Message::Commit { commit: self.commit }));
                }
            }
            if requests.len() > before {
                progress.commit_sent = self.commit;
            }
        }
        for (peer, message) in requests {
            self.send(peer, message, Requires::HardState);
        }
    }

    /// AppendEntries request, in our term. The numbers are the steps of figure 2, receiver implementation.
    pub(super) fn handle_append_entries(
        &mut self,
        from: NodeId,
        prev: EntryId,
        commit: Index,
        entries: Vec<Entry>,
    ) {
        // 1. `step` has rejected a term below ours; a sender that cannot be the leader of ours is ignored.
        if !self.follow(from) {
            return;
        }
        // 2. Reply false if the log has no entry that matches prevLogIndex and prevLogTerm.
        if !self.has_prev(prev) {
            let hint = self.log.last_with_term_at_most(prev.index, prev.term);
            let conflict = Message::Conflict { rejected: prev.index, hint };
            return self.send(from, conflict, Requires::HardState);
        }
        // Not in figure 2: a sender that lies, and a log that is full because apply lags, get no answer. The leader
        // sends again when its time-out for this peer has passed.
        let comparison = self.find_conflict(&entries);
        if self.contradicts_leader(&entries, comparison) || !self.has_room_for(&entries, comparison) {
            return;
        }
        // 3. If an existing entry conflicts with a new one, delete it and all that follow it.
        let match_index = entries.last().map_or(prev.index, |entry| entry.id.index);
        self.delete_conflict(comparison.conflict, match_index);
        // 4. Append the new entries that are not in the log yet.
        entries.into_iter().skip(comparison.known).for_each(|entry| self.log.append(entry));
        // 5. Set commitIndex = min(leaderCommit, index of the last new entry).
        self.leader_match = match_index.max(self.leader_match);
        self.commit = self.new_commit_index(commit);
        self.send(from, Message::Appended { match_index }, Requires::Log);
    }

    /// The leader's commitIndex has grown.
    pub(super) fn handle_commit(&mut self, from: NodeId, commit: Index) {
        if self.follow(from) {
            self.commit = self.new_commit_index(commit);
        }
    }

    /// Heartbeat of the leader of our term (§5.2).
    pub(super) fn handle_heartbeat(&mut self, from: NodeId, commit: Index, round: u64) {
        if self.follow(from) {
            if !planted!(CommitNotSent) {
                self.commit = self.new_commit_index(commit);
            }
            self.send(from, Message::HeartbeatReply { round }, Requires::HardState);
        }
    }

    /// AppendEntries result, success: "update nextIndex and matchIndex for follower" (figure 2, leaders).
    pub(super) fn handle_appended(&mut self, from: NodeId, match_index: Index) {
        let last = self.log.last_index();
        let now = self.now;
        if let Some(progress) = self.progress_of_sender(from)
            && match_index <= last
        {
            progress.acknowledged(match_index, now);
            self.advance_commit();
        }
    }

    /// AppendEntries result, failure: "decrement nextIndex and retry" (figure 2, leaders), by a term at a time (§5.3).
    pub(super) fn handle_conflict(&mut self, from: NodeId, rejected: Index, hint: EntryId) {
        let last_possible_match = self.log.last_with_term_at_most(hint.index, hint.term).index;
        if let Some(progress) = self.progress_of_sender(from)
            && progress.is_current(rejected)
        {
            mark!(BackedOffByTerm if last_possible_match.next() < rejected);
            progress.back_off(last_possible_match);
        } else {
            mark!(ConflictLate);
        }
    }

    /// Heartbeat result: it may confirm read rounds (thesis §6.4).
    pub(super) fn handle_heartbeat_reply(&mut self, from: NodeId, round: u64) {
        if let Some(progress) = self.progress_of_sender(from) {
            progress.round = round.max(progress.round);
            self.close_read_rounds();
        }
    }

    /// The progress of a peer that has just answered, if this node leads. It counts as active from now on.
    fn progress_of_sender(&mut self, from: NodeId) -> Option<&mut Progress> {
        let now = self.now;
        let ServerState::Leader(leader) = &mut self.state else { return None };
        let progress = leader.peers.get_mut(&from)?;
        progress.last_heard = now;
        Some(progress)
    }

    /// Sends each peer a heartbeat, with the latest read round.
    pub(super) fn send_heartbeats(&mut self) {
        let commit = self.commit;
        let ServerState::Leader(leader) = &mut self.state else { return };
        leader.next_heartbeat = Ticks(self.now.0 + self.config.heartbeat_ticks.0);
        let round = leader.reads.round();
        for progress in leader.peers.values_mut() {
            if !progress.is_probing() {
                progress.commit_sent = commit;
            }
        }
        self.send_to_all(&Message::Heartbeat { commit, round });
    }

    /// Figure 2, leaders: "if there exists an N such that N > commitIndex, a majority of matchIndex\[i\] ≥ N, and
    /// log\[N\].term == currentTerm: set commitIndex = N".
    pub(super) fn advance_commit(&mut self) {
        let ServerState::Leader(leader) = &self.state else { return };
        let index = self.quorum_match_index(leader);
        if self.can_commit(index) {
            self.commit = index;
        }
    }
}
