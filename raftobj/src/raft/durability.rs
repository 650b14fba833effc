//! What of this node's state is durable, and which messages wait until it is.
//!
//! Persistence is asynchronous (thesis §10.2.1): each [`Persist`] carries a number, the writes are done in that order,
//! and the driver reports the last one that an fsync covers. A message that depends on a write is held back here until
//! the write is durable, so every message in `Ready::messages` may be sent at once.
//!
//! Invariants:
//! - `durable_index` and every `last` in `inflight` are at most the log's last index. Deleting a tail of the log lowers
//!   them, so "written up to i" of deleted entries never counts for the entries that replace them (the ABA problem of
//!   asynchronous appends);
//! - numbers in `inflight` increase, and are above `done`.

use super::message::{Envelope, Message};
use super::types::{Entry, HardState, Index};
use crate::marks::mark;
use crate::planted::planted;
use std::collections::VecDeque;
use std::mem::discriminant;

/// Counts the writes of one life of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PersistId(pub(crate) u64);

/// A write: to be done in order and fsynced, then reported by its id. One fsync may cover several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Persist {
    pub(crate) id: PersistId,
    /// currentTerm and votedFor, if they changed.
    pub(crate) hard_state: Option<HardState>,
    /// Consecutive entries. If the first has the index of an entry written before, it replaces that entry and all
    /// after it.
    pub(crate) entries: Vec<Entry>,
}

/// What is durable, what is being written, and the messages that wait for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Durability {
    /// The last write that was submitted.
    submitted: PersistId,
    /// The last write that is durable.
    done: PersistId,
    /// Whether term or vote differ from what was last submitted.
    hard_state_changed: bool,
    /// The write that carries the present term and vote.
    hard_state_write: PersistId,
    /// The log is durable up to here.
    durable_index: Index,
    /// The log was submitted up to here.
    submitted_index: Index,
    inflight: VecDeque<InflightWrite>,
    held: VecDeque<(PersistId, Envelope)>,
}

/// A write that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct InflightWrite {
    id: PersistId,
    /// The last entry that becomes durable with it, if it has not been deleted since.
    last: Index,
}

/// What must be durable before a message may be sent (figure 2: "updated on stable storage before responding to RPCs").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requires {
    /// currentTerm and votedFor: every message carries the term.
    HardState,
    /// The log as it is now, and the term.
    Log,
}

impl Durability {
    /// A node that starts: all that was read from disk is durable.
    pub(crate) fn new(last: Index) -> Durability {
        Durability { durable_index: last, submitted_index: last, ..Durability::default() }
    }

    /// The log is durable up to here.
    pub(crate) fn durable_index(&self) -> Index {
        self.durable_index
    }

    /// Whether a write is in flight.
    pub(crate) fn is_writing(&self) -> bool {
        !self.inflight.is_empty()
    }

    /// Whether the present term and vote are durable.
    pub(crate) fn hard_state_is_durable(&self) -> bool {
        !self.hard_state_changed && self.hard_state_write <= self.done
    }

    /// Term or vote have changed: the next write carries them.
    pub(crate) fn hard_state_changed(&mut self) {
        self.hard_state_changed = true;
    }

    /// The log was truncated: entries from `from` on are gone, whatever was or will be reported of them.
    pub(crate) fn truncated(&mut self, from: Index) {
        let last = from.previous();
        mark!(CutWhileWritten if self.inflight.iter().any(|write| write.last > last));
        self.durable_index = self.durable_index.min(last);
        self.submitted_index = self.submitted_index.min(last);
        if planted!(PersistedAba) {
            return;
        }
        for write in &mut self.inflight {
            write.last = write.last.min(last);
        }
    }

    /// Holds `envelope` back until what it requires is durable, or returns it if it may be sent now. `last` is the
    /// log's last index.
    pub(crate) fn hold(&mut self, envelope: Envelope, requires: Requires, last: Index) -> Option<Envelope> {
        let write = self.write_with(requires, last);
        if write <= self.done || planted_early(&envelope.message) {
            return Some(envelope);
        }
        // While a disk hangs, a leader's heartbeats and a node's own campaigns go on: without merging, the messages that wait
        // would grow without a bound.
        for (id, earlier) in self.held.iter_mut().rev() {
            if (*id, earlier.to, earlier.term) == (write, envelope.to, envelope.term)
                && replaces(&mut earlier.message, &envelope.message)
            {
                return None;
            }
        }
        let is_read =
            |message: &Message| matches!(message, Message::ReadIndex { .. } | Message::ReadIndexReply { .. });
        if is_read(&envelope.message) {
            let same =
                |(_, earlier): &(PersistId, Envelope)| is_read(&earlier.message) && earlier.to == envelope.to;
            if self.held.iter().filter(|held| same(held)).count() >= READS_HELD_MAX {
                let oldest = self.held.iter().position(same);
                oldest.and_then(|oldest| self.held.remove(oldest));
            }
        }
        self.held.push_back((write, envelope));
        None
    }

    /// How many messages wait.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.held.len()
    }

    /// The write with which all that `requires` names is durable: one that was submitted, or the next.
    fn write_with(&self, requires: Requires, last: Index) -> PersistId {
        let next = PersistId(self.submitted.0 + 1);
        match requires {
            _ if self.hard_state_changed => next,
            Requires::Log if self.submitted_index < last => next,
            Requires::Log => self.submitted,
            Requires::HardState => self.hard_state_write,
        }
    }

    /// What has to be written next: the entries after the returned index, and the hard state if it changed.
    pub(crate) fn next_write(
        &mut self,
        hard_state: HardState,
        last: Index,
    ) -> Option<(PersistId, Option<HardState>, Index)> {
        if !self.hard_state_changed && self.submitted_index == last {
            return None;
        }
        self.submitted.0 += 1;
        if self.hard_state_changed {
            self.hard_state_changed = false;
            self.hard_state_write = self.submitted;
        }
        let after = std::mem::replace(&mut self.submitted_index, last);
        self.inflight.push_back(InflightWrite { id: self.submitted, last });
        let hard_state = (self.hard_state_write == self.submitted).then_some(hard_state);
        Some((self.submitted, hard_state, after))
    }

    /// Everything up to `id` is durable. Returns the messages that waited for it, in order.
    pub(crate) fn persisted(&mut self, id: PersistId) -> Vec<Envelope> {
        assert!(id <= self.submitted, "write {} was never submitted, the last is {}", id.0, self.submitted.0);
        self.done = self.done.max(id);
        while let Some(write) = self.inflight.front()
            && write.id <= self.done
        {
            self.durable_index = self.durable_index.max(write.last);
            self.inflight.pop_front();
        }
        let mut free = Vec::new();
        self.held.retain(|(write, envelope)| {
            let waits = *write > id;
            if !waits {
                free.push(envelope.clone());
            }
            waits
        });
        free
    }

    /// Counts the writes anew from the last durable one, and returns by how much their numbers decreased. Only
    /// differences between the numbers matter, so this is the same state; the model needs one form of it.
    #[cfg(test)]
    pub(super) fn renumber(&mut self) -> u64 {
        let down = self.done.0;
        let lower = |id: &mut PersistId| id.0 = id.0.saturating_sub(down);
        [&mut self.submitted, &mut self.done, &mut self.hard_state_write].into_iter().for_each(lower);
        self.inflight.iter_mut().for_each(|write| lower(&mut write.id));
        self.held.iter_mut().for_each(|(write, _)| lower(write));
        // The model's network duplicates any message: of two equal messages that wait, the later one adds nothing.
        for (write, envelope) in std::mem::take(&mut self.held) {
            if self.held.iter().all(|(_, earlier)| *earlier != envelope) {
                self.held.push_back((write, envelope));
            }
        }
        down
    }
}

/// How many reads may wait for the disk, of or for one peer. At the limit the oldest is dropped: its node requests it again.
const READS_HELD_MAX: usize = 64;

/// Puts what `later` carries into an `earlier` message of the same sender, receiver and term, if one of them is enough.
/// Messages may be lost in any case, so the latest of each kind is enough; reads have ids and do not replace each other.
fn replaces(earlier: &mut Message, later: &Message) -> bool {
    match (&mut *earlier, later) {
        // One acknowledgement for all the appends that one write makes durable.
        (Message::Appended { match_index: before }, Message::Appended { match_index }) => {
            mark!(AcknowledgementsMerged);
            *before = *match_index.max(before);
        }
        (Message::HeartbeatReply { round: before }, Message::HeartbeatReply { round }) => {
            *before = *round.max(before);
        }
        // A vote that was granted stays granted.
        (Message::VoteReply { granted: true }, Message::VoteReply { .. }) => {}
        (Message::ReadIndex { .. } | Message::ReadIndexReply { .. }, _) => return false,
        (earlier, later) if discriminant(earlier) == discriminant(later) => *earlier = later.clone(),
        _ => return false,
    }
    true
}

/// Whether a planted bug sends this message before what it requires is durable.
fn planted_early(message: &Message) -> bool {
    match message {
        Message::VoteReply { .. } => planted!(VoteBeforePersist),
        Message::Appended { .. } => planted!(AcknowledgedBeforeFsync),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::{Counts, Mark};
    use crate::planted::{Bug, with};
    use crate::raft::message::ReadId;
    use crate::raft::types::{EntryId, NodeId, Term};
    use std::panic::catch_unwind;

    // Breaks: an entry counts as durable because another one was, at the same index, before it was deleted.
    #[test]
    fn a_late_report_of_deleted_entries_does_not_count_for_their_replacements() {
        let mut durability = Durability::new(Index(1));
        let write =
            |durability: &mut Durability| durability.next_write(HardState::default(), Index(3)).unwrap().0;
        let old = write(&mut durability);
        Counts::take();
        durability.truncated(Index(2));
        assert_eq!(Counts::take().of(Mark::CutWhileWritten), 1);
        let new = write(&mut durability);
        durability.persisted(old);
        assert_eq!(durability.durable_index(), Index(1));
        durability.persisted(new);
        assert_eq!(durability.durable_index(), Index(3));
    }

    /// Breaks: the test above would not find it. No schedule of whole nodes does: a leader sends entries to peers that
    /// have answered in its term, and that answer waited for everything written before.
    #[test]
    fn planted_late_report_that_counts_is_found() {
        let test = a_late_report_of_deleted_entries_does_not_count_for_their_replacements;
        let check = || with(Bug::PersistedAba, test);
        assert!(catch_unwind(check).is_err(), "it was not found");
    }

    // Breaks: while a disk hangs, messages that wait for it grow without a bound: 20 heartbeat replies a second, each
    // campaign's requests, each retry of a read.
    #[test]
    fn messages_that_wait_for_a_hung_disk_have_a_bound() {
        let mut durability = Durability::new(Index(0));
        durability.hard_state_changed();
        durability.next_write(HardState::default(), Index(0)).unwrap();
        for time in 0..72_000 {
            let messages = [
                Message::HeartbeatReply { round: time },
                Message::PreVote { last: EntryId::default() },
                Message::PreVoteReply { of: Term(time), granted: time % 2 == 0 },
                Message::VoteReply { granted: time == 7 },
                Message::ReadIndex { id: ReadId(time) },
            ];
            for (message, to) in messages.into_iter().flat_map(|message| [(message.clone(), 2), (message, 3)])
            {
                let envelope = Envelope { from: NodeId(1), to: NodeId(to), term: Term(1), message };
                assert_eq!(durability.hold(envelope, Requires::HardState, Index(0)), None);
            }
        }
        assert_eq!(durability.held(), 2 * (4 + READS_HELD_MAX));
        let sent = durability.persisted(PersistId(1));
        let latest = [Message::HeartbeatReply { round: 71_999 }, Message::VoteReply { granted: true }];
        for message in latest {
            assert_eq!(sent.iter().filter(|envelope| envelope.message == message).count(), 2, "{message:?}");
        }
        let last_read = Message::ReadIndex { id: ReadId(71_999) };
        assert!(sent.iter().any(|envelope| envelope.message == last_read), "the newest reads are kept");
    }

    // Breaks: a candidate counts a vote for itself that a crash takes back (§5.2: one vote a term).
    #[test]
    fn term_and_vote_are_durable_when_the_write_that_has_them_is() {
        let mut durability = Durability::new(Index(0));
        assert!(durability.hard_state_is_durable());
        let earlier = durability.next_write(HardState::default(), Index(1)).unwrap().0;
        durability.hard_state_changed();
        assert!(!durability.hard_state_is_durable(), "not submitted");
        let write = durability.next_write(HardState::default(), Index(1)).unwrap().0;
        durability.persisted(earlier);
        assert!(!durability.hard_state_is_durable(), "submitted");
        durability.persisted(write);
        assert!(durability.hard_state_is_durable());
    }
}
