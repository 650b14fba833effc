//! The log in memory (log\[\] of figure 2): every entry since the start.
//!
//! Invariants:
//! - indexes are consecutive from `before.index + 1`, terms never decrease;
//! - `bytes` is the sum of the bytes of the entries.

use super::types::{Entry, EntryId, Index, Term};
use std::collections::VecDeque;

/// The log in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Log {
    /// The entry right before the first one here: (0, 0) until there are snapshots.
    before: EntryId,
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// What an entry costs in memory beside its payload.
const ENTRY_BYTES: usize = size_of::<Entry>();

impl Log {
    /// The log as it was read from disk, in order and without gaps.
    pub(crate) fn new(entries: Vec<Entry>) -> Log {
        let mut log = Log::default();
        for entry in entries {
            log.append(entry);
        }
        log
    }

    /// lastLogTerm and lastLogIndex: elections compare logs by them (§5.4.1).
    pub(crate) fn last(&self) -> EntryId {
        self.entries.back().map_or(self.before, |entry| entry.id)
    }

    /// The index of the last entry.
    pub(crate) fn last_index(&self) -> Index {
        self.last().index
    }

    /// The index that the first entry here has, or will have.
    pub(crate) fn first_index(&self) -> Index {
        self.before.index.next()
    }

    /// The term of the entry at `index`; `None` beyond either end of the log.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.before.index {
            return Some(self.before.term);
        }
        self.get(index).map(|entry| entry.id.term)
    }

    /// Whether the log contains an entry of this index and term.
    pub(crate) fn has(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// The entry at `index`, if it is here.
    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        let offset = index.0.checked_sub(self.first_index().0)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Entries from `from` on: as many as fit in `bytes_max` payload bytes, at least one if there is one.
    pub(crate) fn batch(&self, from: Index, bytes_max: usize) -> Vec<Entry> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for entry in self.iter_from(from) {
            bytes += entry.payload.len();
            if bytes > bytes_max && !batch.is_empty() {
                break;
            }
            batch.push(entry.clone());
        }
        batch
    }

    /// The entries from `from` on.
    pub(crate) fn iter_from(&self, from: Index) -> impl Iterator<Item = &Entry> {
        assert!(from >= self.first_index(), "entry {from} is before the first, {}", self.first_index());
        let offset = usize::try_from(from.0 - self.first_index().0).unwrap_or(usize::MAX);
        self.entries.range(offset.min(self.entries.len())..)
    }

    /// Appends one entry.
    pub(crate) fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert!(entry.id.index == last.index.next(), "{} does not follow {last}", entry.id);
        assert!(entry.id.term >= last.term, "{} is of an earlier term than {last}", entry.id);
        self.bytes += ENTRY_BYTES + entry.payload.len();
        self.entries.push_back(entry);
    }

    /// Removes the entries from `from` on.
    pub(crate) fn truncate(&mut self, from: Index) {
        assert!(
            from >= self.first_index(),
            "truncating at {from}, before the first entry {}",
            self.first_index()
        );
        while self.last_index() >= from {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= ENTRY_BYTES + entry.payload.len();
            }
        }
    }

    /// The last entry up to `index` whose term is at most `term`: two logs that differ after it may match up to it (the
    /// faster back-off at the end of §5.3). All earlier entries have at most that term, too.
    pub(crate) fn last_with_term_at_most(&self, index: Index, term: Term) -> EntryId {
        let mut index = index.min(self.last_index());
        while index > self.before.index {
            if let Some(entry) = self.get(index)
                && entry.id.term <= term
            {
                return entry.id;
            }
            index = index.previous();
        }
        self.before
    }

    /// The bytes of all entries in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes in memory of the entries from `from` on.
    pub(crate) fn bytes_from(&self, from: Index) -> usize {
        self.iter_from(from).map(|entry| ENTRY_BYTES + entry.payload.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::{EntryKind, Time};
    use bytes::Bytes;

    fn log(terms: &[u64]) -> Log {
        let entry = |(i, &term): (usize, &u64)| Entry {
            id: EntryId { term: Term(term), index: Index(i as u64 + 1) },
            time: Time(0),
            kind: EntryKind::Command,
            payload: Bytes::from(vec![0; 10]),
        };
        Log::new(terms.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn the_term_is_known_from_index_zero_to_the_last_entry() {
        let log = log(&[1, 1, 2]);
        assert_eq!(log.term_at(Index(0)), Some(Term(0)));
        assert_eq!(log.term_at(Index(3)), Some(Term(2)));
        assert_eq!(log.term_at(Index(4)), None);
        assert_eq!(log.last(), EntryId { term: Term(2), index: Index(3) });
    }

    #[test]
    fn truncating_gives_bytes_back() {
        let mut log = log(&[1, 1, 2]);
        let of_one = log.bytes() / 3;
        log.truncate(Index(2));
        assert_eq!(log.bytes(), of_one);
        assert_eq!(log.last_index(), Index(1));
        log.truncate(Index(1));
        assert_eq!((log.bytes(), log.last()), (0, EntryId::default()));
    }

    #[test]
    fn a_batch_keeps_to_its_bytes_but_has_at_least_one_entry() {
        let log = log(&[1, 1, 1, 1]);
        assert_eq!(log.batch(Index(1), 1).len(), 1);
        assert_eq!(log.batch(Index(1), 25).len(), 2);
        assert_eq!(log.batch(Index(3), 100).len(), 2);
        assert_eq!(log.batch(Index(5), 100).len(), 0);
    }

    #[test]
    fn back_off_finds_the_last_entry_that_may_match() {
        let log = log(&[1, 1, 4, 4, 5]);
        let at = |index, term| log.last_with_term_at_most(Index(index), Term(term)).index.0;
        assert_eq!(at(5, 4), 4);
        assert_eq!(at(9, 3), 2);
        assert_eq!(at(4, 9), 4);
        assert_eq!(at(5, 0), 0);
    }
}
