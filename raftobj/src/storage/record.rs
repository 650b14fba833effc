//! What the log remembers, one thing at a time, and the order these things may come in.
//!
//! A frame's payload is records back to back, to its last byte:
//!
//! | kind | byte | body | why |
//! |---|---|---|---|
//! | entry | 1 | `codec::entry` | at index i it removes all entries from i on: a conflict needs no record of its own |
//! | hard state | 2 | `codec::entry` | term and vote in one, so that no vote is read with another term |
//! | opening | 3 | varint: the index of the next entry | first in each segment, then the hard state in force: old segments can go |
//!
//! Numbers from 4 are for what comes: membership and snapshot marks. A kind that is not known is refused.

use crate::codec::entry::{put_entry, put_hard_state, take_entry, take_hard_state};
use crate::codec::{DecodeError, Put, Take};
use crate::raft::types::{Entry, HardState, Index};
use bytes::Bytes;

/// One thing to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An entry. Those at its index and after it are no longer part of the log.
    Entry(Entry),
    /// Term and vote from now on.
    HardState(HardState),
}

/// A record as it lies in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Record(Record),
    /// A segment begins; the log's next entry has this index.
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

/// Takes a record; an entry's payload shares the input's buffer.
pub(super) fn take_stored(input: &mut Bytes) -> Result<Stored, DecodeError> {
    match input.take_u8("record kind")? {
        ENTRY => Ok(Stored::Record(Record::Entry(take_entry(input)?))),
        HARD_STATE => Ok(Stored::Record(Record::HardState(take_hard_state(input)?))),
        OPENING => Ok(Stored::Opening(Index(input.take_varint("opening index")?))),
        other => Err(DecodeError::Invalid { field: "record kind", value: u64::from(other) }),
    }
}

/// Where a log stands between two records. The writer asserts by it what the reader checks by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The index of the first entry kept. Entries before it were released.
    pub(super) first: Index,
    /// The index that an entry would have that overwrites nothing.
    pub(super) next: Index,
    pub(super) hard_state: HardState,
}

/// A record that cannot follow what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disorder {
    #[error("entry {index} cannot follow a log of {first} to before {next}")]
    Entry { index: Index, first: Index, next: Index },
    #[error("the hard state goes back from {from:?} to {to:?}")]
    HardState { from: HardState, to: HardState },
    #[error("a segment opens at entry {index}, but the log stands before {next}")]
    Opening { index: Index, next: Index },
}

impl Cursor {
    /// Before the first record of a log whose first entry has this index.
    pub(super) fn at(first: Index) -> Cursor {
        Cursor { first, next: first, hard_state: HardState::default() }
    }

    /// Moves over a record, or says why it cannot come here.
    pub(super) fn advance(&mut self, record: &Record) -> Result<(), Disorder> {
        match record {
            Record::Entry(entry) => {
                let index = entry.id.index;
                // The ends of the range are no index: zero is before the log, and the last has no next.
                let possible = 0 < index.0 && index.0 < u64::MAX;
                if !possible || index < self.first || index > self.next {
                    return Err(Disorder::Entry { index, first: self.first, next: self.next });
                }
                self.next = index.next();
            }
            Record::HardState(to) => {
                let from = self.hard_state;
                // One vote a term, and terms only grow (§5.1, §5.4).
                let kept =
                    to.term == from.term && (from.voted_for.is_none() || to.voted_for == from.voted_for);
                if to.term < from.term || (to.term == from.term && !kept) {
                    return Err(Disorder::HardState { from, to: *to });
                }
                self.hard_state = *to;
            }
        }
        Ok(())
    }

    /// Checks that a segment which opens at this index is the next.
    pub(super) fn open(&self, index: Index) -> Result<(), Disorder> {
        if index != self.next {
            return Err(Disorder::Opening { index, next: self.next });
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

    // Breaks: entries that nothing leads to are served; or a damaged index at an end of the range is a panic.
    #[test]
    fn an_entry_follows_what_is_there_or_replaces_it() {
        let after = |first, next, index| {
            let mut cursor = Cursor { next: Index(next), ..Cursor::at(Index(first)) };
            cursor.advance(&entry(index)).is_ok().then_some(cursor.next)
        };
        assert_eq!(after(5, 8, 4), None, "before the first");
        assert_eq!(after(5, 8, 5), Some(Index(6)));
        assert_eq!(after(5, 8, 8), Some(Index(9)));
        assert_eq!(after(5, 8, 9), None, "a gap");
        assert_eq!(after(0, 8, 0), None, "no index");
        assert_eq!(after(5, u64::MAX, u64::MAX), None, "none follows it");
    }

    // Breaks: entries between two segments are missing, and nobody notices.
    #[test]
    fn a_segment_opens_where_the_log_stands() {
        let cursor = Cursor { next: Index(8), ..Cursor::at(Index(5)) };
        assert_eq!(cursor.open(Index(8)), Ok(()));
        for index in [7, 9] {
            let disorder = Disorder::Opening { index: Index(index), next: Index(8) };
            assert_eq!(cursor.open(Index(index)), Err(disorder));
        }
    }
}
