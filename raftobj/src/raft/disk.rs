//! What of this node is on its disk, and what must wait until it is.
//!
//! Persistence is asynchronous: each [`Persist`] carries a number, they are carried out in that order, and
//! the owner reports the last one that an fsync covers. Messages that tell something not yet durable are
//! kept here until it is, so that what leaves in `Ready::messages` may always be sent at once.
//!
//! Invariants:
//! - `stable` and every `last` in flight are at most the log's last index: a cut tail lowers them, so "written
//!   up to i" of an overwritten tail never counts for the new one (the ABA of asynchronous appends);
//! - numbers in `flights` rise, and lie above `done`.

use super::message::{Envelope, Message};
use super::types::{Entry, HardState, Index};
use crate::marks::mark;
use crate::planted::planted;
use std::collections::VecDeque;

/// Counts the writes of one life of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PersistId(pub(crate) u64);

/// Write this, in order, and fsync; then report its id. Several may be covered by one fsync.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Persist {
    pub(crate) id: PersistId,
    /// The term and vote, if they changed.
    pub(crate) hard_state: Option<HardState>,
    /// Consecutive entries. The first may have the index of one written before: it replaces that and all after it.
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// The last write handed out.
    written: PersistId,
    /// The last write known to be durable.
    done: PersistId,
    /// Term or vote differ from what was handed out last.
    hard_state_changed: bool,
    /// The write that carries the present term and vote.
    hard_state_in: PersistId,
    /// The log is durable up to here.
    stable: Index,
    /// The log was handed out up to here.
    handed: Index,
    flights: VecDeque<Flight>,
    held: VecDeque<(PersistId, Envelope)>,
}

/// A write that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    id: PersistId,
    /// The last entry that is durable with it, as far as it has not been cut since.
    last: Index,
}

/// What a message tells, and so what has to be durable before it may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    /// The term, perhaps the vote.
    HardState,
    /// Entries of this log, and the term.
    Log,
}

impl Disk {
    /// A node that starts: all that was read back is durable.
    pub(crate) fn new(last: Index) -> Disk {
        Disk { stable: last, handed: last, ..Disk::default() }
    }

    /// The log is durable up to here.
    pub(crate) fn stable(&self) -> Index {
        self.stable
    }

    /// Whether the present term and vote are durable.
    pub(crate) fn hard_state_is_durable(&self) -> bool {
        planted!(OwnVoteBeforeFsync) || !self.hard_state_changed && self.hard_state_in <= self.done
    }

    pub(crate) fn hard_state_changed(&mut self) {
        self.hard_state_changed = true;
    }

    /// The log was cut: entries from `from` on are gone, whatever was or will be reported of them.
    pub(crate) fn log_cut(&mut self, from: Index) {
        let last = from.previous();
        mark!(CutWhileWritten if self.flights.iter().any(|flight| flight.last > last));
        self.stable = self.stable.min(last);
        self.handed = self.handed.min(last);
        if planted!(PersistedAba) {
            return;
        }
        for flight in &mut self.flights {
            flight.last = flight.last.min(last);
        }
    }

    /// Keeps `envelope` until what it tells is durable, or gives it back to be sent now. `last` is the log's last index.
    pub(crate) fn hold(&mut self, envelope: Envelope, tells: Tells, last: Index) -> Option<Envelope> {
        if planted!(VoteBeforePersist) && matches!(envelope.message, Message::VoteReply { .. }) {
            return Some(envelope);
        }
        if planted!(AcknowledgedBeforeFsync) && matches!(envelope.message, Message::Appended { .. }) {
            return Some(envelope);
        }
        let pending = PersistId(self.written.0 + 1);
        let needs = match tells {
            _ if self.hard_state_changed => pending,
            Tells::Log if self.handed < last => pending,
            Tells::Log => self.written,
            Tells::HardState => self.hard_state_in,
        };
        if needs <= self.done {
            return Some(envelope);
        }
        // One acknowledgement for all the appends that one write makes durable.
        if let Message::Appended { matched } = envelope.message
            && let Some((id, newest)) = self.held.back_mut()
            && let Message::Appended { matched: before } = &mut newest.message
            && (*id, newest.to, newest.term) == (needs, envelope.to, envelope.term)
        {
            mark!(AcknowledgementsMerged);
            *before = matched.max(*before);
            return None;
        }
        self.held.push_back((needs, envelope));
        None
    }

    /// What has to be written next: the entries after the returned index, and the hard state where it changed.
    pub(crate) fn next_write(
        &mut self,
        hard_state: HardState,
        last: Index,
    ) -> Option<(PersistId, Option<HardState>, Index)> {
        if !self.hard_state_changed && self.handed == last {
            return None;
        }
        self.written.0 += 1;
        if self.hard_state_changed {
            self.hard_state_changed = false;
            self.hard_state_in = self.written;
        }
        let after = std::mem::replace(&mut self.handed, last);
        self.flights.push_back(Flight { id: self.written, last });
        let hard_state = (self.hard_state_in == self.written).then_some(hard_state);
        Some((self.written, hard_state, after))
    }

    /// Everything up to `id` is durable; the messages that waited for it come out, in order.
    pub(crate) fn persisted(&mut self, id: PersistId) -> Vec<Envelope> {
        assert!(id <= self.written, "write {} was never handed out, the last is {}", id.0, self.written.0);
        self.done = self.done.max(id);
        while let Some(flight) = self.flights.front()
            && flight.id <= self.done
        {
            self.stable = self.stable.max(flight.last);
            self.flights.pop_front();
        }
        let mut free = Vec::new();
        self.held.retain(|(needs, envelope)| {
            let waits = *needs > id;
            if !waits {
                free.push(envelope.clone());
            }
            waits
        });
        free
    }

    /// Counts the writes anew from the last durable one, and returns by how much their numbers went down. Only
    /// what differs between numbers matters, so this is the same disk; the model wants one name for it.
    #[cfg(test)]
    pub(super) fn renumber(&mut self) -> u64 {
        let down = self.done.0;
        let lower = |id: &mut PersistId| id.0 = id.0.saturating_sub(down);
        [&mut self.written, &mut self.done, &mut self.hard_state_in].into_iter().for_each(lower);
        self.flights.iter_mut().for_each(|flight| lower(&mut flight.id));
        self.held.iter_mut().for_each(|(needs, _)| lower(needs));
        // The model's network repeats what it likes: of two equal messages that wait, the later one adds nothing.
        for (needs, envelope) in std::mem::take(&mut self.held) {
            if self.held.iter().all(|(_, earlier)| *earlier != envelope) {
                self.held.push_back((needs, envelope));
            }
        }
        down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::{Counts, Mark};
    use crate::planted::{Bug, with};
    use std::panic::catch_unwind;

    // Breaks: an entry counts as durable because another one was, at the same index, before it was cut.
    #[test]
    fn a_late_report_of_a_cut_tail_does_not_count_for_the_new_tail() {
        let mut disk = Disk::new(Index(1));
        let write = |disk: &mut Disk| disk.next_write(HardState::default(), Index(3)).unwrap().0;
        let old = write(&mut disk);
        Counts::take();
        disk.log_cut(Index(2));
        assert_eq!(Counts::take().of(Mark::CutWhileWritten), 1);
        let new = write(&mut disk);
        disk.persisted(old);
        assert_eq!(disk.stable(), Index(1));
        disk.persisted(new);
        assert_eq!(disk.stable(), Index(3));
    }

    /// Breaks: the story above would not see it. No schedule of whole nodes does: a leader sends entries to those who
    /// have answered in its term, and that answer waited for all that was written before.
    #[test]
    fn planted_late_reports_that_count_are_found() {
        let check = || with(Bug::PersistedAba, a_late_report_of_a_cut_tail_does_not_count_for_the_new_tail);
        assert!(catch_unwind(check).is_err(), "it was not found");
    }

    // Breaks: a candidate counts a vote for itself that a crash takes back (§5.2: one vote a term).
    #[test]
    fn term_and_vote_are_durable_when_the_write_that_has_them_is() {
        let mut disk = Disk::new(Index(0));
        assert!(disk.hard_state_is_durable());
        let earlier = disk.next_write(HardState::default(), Index(1)).unwrap().0;
        disk.hard_state_changed();
        assert!(!disk.hard_state_is_durable(), "not handed out");
        let write = disk.next_write(HardState::default(), Index(1)).unwrap().0;
        disk.persisted(earlier);
        assert!(!disk.hard_state_is_durable(), "handed out");
        disk.persisted(write);
        assert!(disk.hard_state_is_durable());
    }
}
