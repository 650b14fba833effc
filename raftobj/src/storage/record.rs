//! The records of the log, and the order in which they may follow each other.
//!
//! The payload of a frame is a sequence of records, without gaps and up to its last byte:
//!
//! | kind | byte | body | why |
//! |---|---|---|---|
//! | entry | 1 | as in `codec::entry` | replaces the entry at its index and removes all later ones: a conflict needs no record of its own (rule *append only*) |
//! | hard state | 2 | as in `codec::entry` | term and vote together: no vote is read with another term |
//! | opening | 3 | varint: the index of the next entry | begins each segment, followed by the hard state in force: older segments can be released |
//!
//! Kinds from 4 are reserved, for membership and snapshots. An unknown kind is refused.

use crate::codec::entry::{put_entry, put_hard_state, take_entry, take_hard_state};
use crate::codec::{DecodeError, Put, Take};
use crate::raft::types::{Entry, HardState, Index};
use bytes::Bytes;

/// A record that the log's user writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An entry. Earlier entries at its index and after it are no longer part of the log.
    Entry(Entry),
    /// Term and vote in force from here on.
    HardState(HardState),
}

/// A record in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredRecord {
    Record(Record),
    /// The beginning of a segment. The log's next entry has this index.
    Opening(Index),
}

const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const OPENING: u8 = 3;

pub(super) fn put_record(buffer: &mut Vec<u8>, record: &Record) {
    match record {
        Record::Entry(entry) => {
            buffer.put_u8(ENTRY);
            put_entry(buffer, entry);
        }
        Record::HardState(state) => {
            buffer.put_u8(HARD_STATE);
            put_hard_state(buffer, *state);
        }
    }
}

pub(super) fn put_opening(buffer: &mut Vec<u8>, next: Index) {
    buffer.put_u8(OPENING);
    buffer.put_varint(next.0);
}

/// Decodes a record. An entry's payload shares the input's buffer.
pub(super) fn take_stored_record(input: &mut Bytes) -> Result<StoredRecord, DecodeError> {
    match input.take_u8("record kind")? {
        ENTRY => Ok(StoredRecord::Record(Record::Entry(take_entry(input)?))),
        HARD_STATE => Ok(StoredRecord::Record(Record::HardState(take_hard_state(input)?))),
        OPENING => Ok(StoredRecord::Opening(Index(input.take_varint("opening index")?))),
        other => Err(DecodeError::Invalid { field: "record kind", value: u64::from(other) }),
    }
}

/// The state of a log between two records. The writer asserts the order of records with it, and the reader checks
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The index of the first entry kept. Earlier entries were released.
    pub(super) first: Index,
    /// The index of the next entry that overwrites nothing.
    pub(super) next: Index,
    pub(super) hard_state: HardState,
}

/// A record that cannot follow the records before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OrderError {
    #[error("entry {index} cannot follow a log that begins at {first} and continues at {next}")]
    Entry { index: Index, first: Index, next: Index },
    #[error("the hard state goes back from {from:?} to {to:?}")]
    HardState { from: HardState, to: HardState },
    #[error("a segment opens at entry {index}, but the log continues at {next}")]
    Opening { index: Index, next: Index },
}

impl Cursor {
    /// Before the first record of a log whose first entry has this index.
    pub(super) fn at(first: Index) -> Cursor {
        Cursor { first, next: first, hard_state: HardState::default() }
    }

    /// Moves past a record. An error if it cannot follow.
    pub(super) fn advance(&mut self, record: &Record) -> Result<(), OrderError> {
        match record {
            Record::Entry(entry) => {
                let index = entry.id.index;
                // Zero is before the log, and the largest number has no next index.
                let is_index = 0 < index.0 && index.0 < u64::MAX;
                if !is_index || index < self.first || index > self.next {
                    return Err(OrderError::Entry { index, first: self.first, next: self.next });
                }
                self.next = index.next();
            }
            Record::HardState(to) => {
                let from = self.hard_state;
                // One vote a term (§5.2), and terms only grow (§5.1).
                let keeps_vote =
                    to.term == from.term && (from.voted_for.is_none() || to.voted_for == from.voted_for);
                if to.term < from.term || (to.term == from.term && !keeps_vote) {
                    return Err(OrderError::HardState { from, to: *to });
                }
                self.hard_state = *to;
            }
        }
        Ok(())
    }

    /// Checks that a segment which opens at this index continues the log.
    pub(super) fn open_segment(&self, index: Index) -> Result<(), OrderError> {
        if index != self.next {
            return Err(OrderError::Opening { index, next: self.next });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::{EntryId, EntryKind, Term, Time};

    fn entry(index: u64) -> Record {
        let id = EntryId { term: Term(1), index: Index(index) };
        Record::Entry(Entry { id, time: Time(0), kind: EntryKind::Command, payload: Bytes::new() })
    }

    // Breaks: entries after a gap are served; or a damaged index at an end of the range panics.
    #[test]
    fn an_entry_follows_the_log_or_replaces_a_part_of_it() {
        let after = |first, next, index| {
            let mut cursor = Cursor { next: Index(next), ..Cursor::at(Index(first)) };
            cursor.advance(&entry(index)).is_ok().then_some(cursor.next)
        };
        assert_eq!(after(5, 8, 4), None, "before the first");
        assert_eq!(after(5, 8, 5), Some(Index(6)));
        assert_eq!(after(5, 8, 8), Some(Index(9)));
        assert_eq!(after(5, 8, 9), None, "a gap");
        assert_eq!(after(0, 8, 0), None, "zero is no index");
        assert_eq!(after(5, u64::MAX, u64::MAX), None, "no index follows it");
    }

    // Breaks: missing entries between two segments are not noticed.
    #[test]
    fn a_segment_opens_at_the_next_index_of_the_log() {
        let cursor = Cursor { next: Index(8), ..Cursor::at(Index(5)) };
        assert_eq!(cursor.open_segment(Index(8)), Ok(()));
        for index in [7, 9] {
            let error = OrderError::Opening { index: Index(index), next: Index(8) };
            assert_eq!(cursor.open_segment(Index(index)), Err(error));
        }
    }
}
