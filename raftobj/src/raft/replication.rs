//! The log made equal everywhere: proposals, appends, acknowledgements, commit (§5.3, §5.4.2).

use super::disk::Tells;
use super::message::Message;
use super::types::{Entry, EntryId, EntryKind, Index, NodeId, Ticks};
use super::{Leader, Raft, Role};
use crate::marks::mark;
use crate::planted::planted;
use bytes::Bytes;

/// Why a proposal was not taken. Applied: no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProposeError {
    /// Another node leads, or none. Retry there.
    #[error("this node does not lead")]
    NotLeader,
    /// The log holds as many bytes as it may. Retry here, later.
    #[error("the log holds {bytes} bytes, the limit is {limit}")]
    Busy { bytes: usize, limit: usize },
}

impl Raft {
    /// Appends a command to the leader's log. It leaves with the next [`ready`](Raft::ready), together with
    /// all others that came in between.
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

    pub(super) fn append_own(&mut self, kind: EntryKind, payload: Bytes) -> EntryId {
        let last = self.log.last();
        let id = EntryId { term: self.hard_state.term, index: last.index.next() };
        let before = self.log.get(last.index).map_or(super::types::Time(0), |entry| entry.time);
        mark!(StampHeldByLog if self.clock.now() < before);
        self.log.append(Entry { id, time: self.clock.now().max(before), kind, payload });
        id
    }

    /// Sends each peer what it lacks, as far as its window reaches.
    pub(super) fn send_appends(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let mut messages = Vec::new();
        let last = self.log.last_index();
        let config = &self.config;
        for (&peer, progress) in &mut leader.peers {
            let mut told = false;
            let mut append = |next: Index, entries: Vec<Entry>| {
                let before = next.previous();
                let term = self.log.term_at(before);
                let prev =
                    EntryId { term: term.expect("the log reaches back to its first entry"), index: before };
                messages.push((peer, Message::Append { prev, commit: self.commit, entries }));
                told = true;
            };
            if progress.may_probe() {
                append(progress.next(), Vec::new());
                progress.probed(self.now);
            }
            while progress.next() <= last
                && progress.has_room(config.window_messages_max, config.window_bytes_max)
            {
                let entries = self.log.batch(progress.next(), config.append_bytes_max);
                let bytes = entries.iter().map(|entry| entry.payload.len()).sum();
                let end = entries.last().map_or(last, |entry| entry.id.index);
                append(progress.next(), entries);
                progress.sent(end, bytes, self.now);
            }
            mark!(WindowFull if progress.next() <= last && !progress.is_probing());
            if !told && !progress.is_probing() && self.commit > progress.commit_told {
                mark!(CommitTold);
                if !planted!(CommitNotTold) {
                    messages.push((peer, Message::Commit { commit: self.commit }));
                }
                told = true;
            }
            if told {
                progress.commit_told = self.commit;
            }
        }
        for (peer, message) in messages {
            self.send(peer, message, Tells::HardState);
        }
    }

    /// The leader of our term appends, or asks whether `prev` is here.
    pub(super) fn handle_append(&mut self, from: NodeId, prev: EntryId, commit: Index, entries: Vec<Entry>) {
        if !self.follow(from) {
            return;
        }
        // What is committed here is in the leader's log too (§5.4.3): only above it can logs differ.
        if prev.index >= self.commit && !self.log.has(prev) {
            mark!(AppendConflict);
            let hint = self.log.last_with_term_at_most(prev.index, prev.term);
            return self.send(from, Message::Conflict { rejected: prev.index, hint }, Tells::HardState);
        }
        let matched = entries.last().map_or(prev.index, |entry| entry.id.index);
        // Only a real conflict cuts: a late append must not take back what came after it (§5.3; figure 2).
        let known = entries.iter().take_while(|e| e.id.index <= self.commit || self.log.has(e.id)).count();
        let new = &entries[known..];
        mark!(AppendBelowCommit if prev.index < self.commit);
        mark!(AppendKnownAlready if known > 0 && new.is_empty());
        let cut = new.first().map(|first| first.id.index).filter(|first| *first <= self.log.last_index());
        // A leader keeps what it has confirmed in its term, and its log's terms never go down: the sender lies.
        let follows = |first: &Entry| self.log.term_at(first.id.index.previous()) <= Some(first.id.term);
        if cut.is_some_and(|from| from <= self.confirmed) || !new.first().is_none_or(follows) {
            return;
        }
        // What is here already, and what makes way, takes no room.
        let (counted, slack) =
            if planted!(NearlyFullRefuses) { (&entries[..], 0) } else { (new, self.config.window_bytes_max) };
        let incoming: usize = counted.iter().map(|entry| entry.payload.len()).sum();
        let kept = self.log.bytes() - cut.map_or(0, |from| self.log.bytes_from(from));
        if incoming > 0 && kept + incoming > self.config.log_bytes_max + slack {
            // No room, because apply lags: not answered, so the leader asks again when its patience ends.
            mark!(AppendWithoutRoom);
            return;
        }
        let stale = planted!(StaleAppendTruncates if matched < self.log.last_index());
        let cut = if stale { Some(matched.next()) } else { cut };
        if let Some(from) = cut {
            mark!(TailOverwritten);
            self.log.truncate(from);
            self.disk.log_cut(from);
        }
        entries.into_iter().skip(known).for_each(|entry| self.log.append(entry));
        self.confirmed = matched.max(self.confirmed);
        self.commit_confirmed(commit);
        self.send(from, Message::Appended { matched }, Tells::Log);
    }

    /// The leader's commit index has grown.
    pub(super) fn handle_commit(&mut self, from: NodeId, commit: Index) {
        if self.follow(from) {
            self.commit_confirmed(commit);
        }
    }

    /// The leader of our term is alive.
    pub(super) fn handle_heartbeat(&mut self, from: NodeId, commit: Index, round: u64) {
        if self.follow(from) {
            if !planted!(CommitNotTold) {
                self.commit_confirmed(commit);
            }
            self.send(from, Message::HeartbeatReply { round }, Tells::HardState);
        }
    }

    /// The leader's commit index counts only over entries that it has confirmed in this term: beyond them this
    /// log may hold a tail that the leader does not have.
    fn commit_confirmed(&mut self, leader_commit: Index) {
        mark!(CommitBeyondConfirmed if leader_commit > self.confirmed);
        let confirmed = if planted!(CommitUnconfirmed) { self.log.last_index() } else { self.confirmed };
        self.commit = self.commit.max(leader_commit.min(confirmed));
    }

    /// A peer has the log up to `matched` on its disk, in this term.
    pub(super) fn handle_appended(&mut self, from: NodeId, matched: Index) {
        let last = self.log.last_index();
        let now = self.now;
        if let Some(progress) = self.heard_from(from)
            && matched <= last
        {
            progress.acknowledged(matched, now);
            self.advance_commit();
        }
    }

    /// A peer does not have the entry before what we sent.
    pub(super) fn handle_conflict(&mut self, from: NodeId, rejected: Index, hint: EntryId) {
        let candidate = self.log.last_with_term_at_most(hint.index, hint.term);
        if let Some(progress) = self.heard_from(from)
            && progress.is_news(rejected)
        {
            mark!(BackedOffByTerm if candidate.index.next() < rejected);
            progress.back_off(candidate.index);
        } else {
            mark!(ConflictLate);
        }
    }

    /// A peer has heard our heartbeat.
    pub(super) fn handle_heartbeat_reply(&mut self, from: NodeId, round: u64) {
        if let Some(progress) = self.heard_from(from) {
            progress.round = round.max(progress.round);
            self.close_read_rounds();
        }
    }

    /// The peer's progress, if this node leads; it counts as alive from now on.
    fn heard_from(&mut self, from: NodeId) -> Option<&mut super::Progress> {
        let now = self.now;
        let Role::Leader(leader) = &mut self.role else { return None };
        let progress = leader.peers.get_mut(&from)?;
        progress.heard = now;
        Some(progress)
    }

    pub(super) fn send_heartbeats(&mut self) {
        let commit = self.commit;
        let Role::Leader(leader) = &mut self.role else { return };
        leader.heartbeat_due = Ticks(self.now.0 + self.config.heartbeat_ticks.0);
        let round = leader.reads.round();
        for progress in leader.peers.values_mut() {
            if !progress.is_probing() {
                progress.commit_told = commit;
            }
        }
        self.send_to_all(&Message::Heartbeat { commit, round });
    }

    /// Counts: what a quorum has on disk is committed, if it is of our own term (§5.4.2, figure 8); what came
    /// before it is then committed with it.
    pub(super) fn advance_commit(&mut self) {
        let Role::Leader(Leader { peers, .. }) = &self.role else { return };
        let (own, mut stable) = (self.config.id, self.disk.stable());
        if planted!(LeaderCountsBeforeFsync) {
            stable = self.log.last_index();
        }
        let on_disk = |id| match peers.get(&id) {
            Some(progress) => progress.matched(),
            None if id == own => stable,
            None => Index(0),
        };
        let reached = self.membership.quorum_value(on_disk).unwrap_or_default();
        let own_term = self.log.term_at(reached) == Some(self.hard_state.term) || planted!(CommitByCounting);
        if reached > self.commit && own_term {
            mark!(CommitCoversEarlierTerm if self.log.term_at(self.commit.next()) != Some(self.hard_state.term));
            mark!(CommitBeforeOwnDisk if stable < reached);
            self.commit = reached;
        } else {
            mark!(CommitHeldByTerm if reached > self.commit);
        }
    }
}
