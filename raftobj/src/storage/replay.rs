//! What a log amounts to: its records from the first to the last, in memory.

use super::record::{Record, Stored};
use super::recovery::Place;
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Entry, HardState};
use bytes::Bytes;

/// Gathers records in order.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) hard_state: HardState,
    pub(super) entries: Vec<Entry>,
    /// One for each entry: where its payload's bytes live.
    origins: Vec<Origin>,
}

#[derive(Clone, Copy, Debug)]
struct Origin {
    batch: u64,
    record_bytes: usize,
    payload_bytes: usize,
}

impl Replay {
    /// Takes one record. Those that cannot follow the ones before are the survey's to find; here they do no
    /// harm.
    pub(super) fn take(&mut self, place: Place<'_>, stored: Stored) {
        match stored {
            Stored::Opening(_) => {}
            Stored::Record(Record::HardState(state)) => self.hard_state = state,
            Stored::Record(Record::Entry(entry)) => {
                // Rule 11: an entry removes those at its index and after it.
                if let Some(first) = self.entries.first()
                    && !planted!(TruncationNotReplayed)
                {
                    let kept = entry.id.index.0.saturating_sub(first.id.index.0) as usize;
                    mark!(ConflictReplayed if kept < self.entries.len());
                    self.entries.truncate(kept);
                    self.origins.truncate(kept);
                }
                let Place { batch, record_bytes, payload_bytes, .. } = place;
                self.entries.push(entry);
                self.origins.push(Origin { batch, record_bytes, payload_bytes });
            }
        }
    }

    /// The entries. Payloads share the buffer of the frame they came in, except where most of that frame was
    /// overwritten since: few bytes would keep many.
    pub(super) fn into_entries(mut self) -> Vec<Entry> {
        let mut start = 0;
        for batch in self.origins.chunk_by(|a, b| a.batch == b.batch) {
            let live: usize = batch.iter().map(|origin| origin.record_bytes).sum();
            if live < batch[0].payload_bytes / 2 {
                for entry in &mut self.entries[start..start + batch.len()] {
                    entry.payload = Bytes::copy_from_slice(&entry.payload);
                }
            }
            start += batch.len();
        }
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::{EntryId, EntryKind, Index, Term, Time};
    use std::path::Path;

    fn take(replay: &mut Replay, frame: &Bytes, batch: u64, index: u64, bytes: std::ops::Range<usize>) {
        let record_bytes = bytes.len();
        let place =
            Place { file: Path::new("f"), offset: 0, batch, payload_bytes: frame.len(), record_bytes };
        let id = EntryId { term: Term(batch), index: Index(index) };
        let payload = frame.slice(bytes);
        let entry = Entry { id, time: Time(0), kind: EntryKind::Command, payload };
        replay.take(place, Stored::Record(Record::Entry(entry)));
    }

    // If it breaks, an overwritten megabyte lives on behind ten bytes.
    #[test]
    fn overwritten_bytes_are_not_kept_by_the_few_that_live() {
        let mut replay = Replay::default();
        let (first, second) = (Bytes::from(vec![1; 1000]), Bytes::from(vec![2; 1000]));
        take(&mut replay, &first, 1, 1, 0..10);
        take(&mut replay, &first, 1, 2, 10..1000);
        take(&mut replay, &second, 2, 2, 0..500);
        take(&mut replay, &second, 2, 3, 500..1000);
        let entries = replay.into_entries();
        assert_eq!(entries.len(), 3);
        assert_eq!((&entries[0].payload[..], entries[1].id.term), (&[1; 10][..], Term(2)));
        assert!(first.is_unique(), "nothing shares the frame that was mostly overwritten");
        assert!(!second.is_unique(), "the other is shared, and not copied");
    }

    // The bound itself, and frames after the first.
    #[test]
    fn a_frame_of_which_half_lives_is_shared() {
        let mut replay = Replay::default();
        let frames: Vec<Bytes> = (1..=3).map(|byte| Bytes::from(vec![byte; 1000])).collect();
        take(&mut replay, &frames[0], 1, 1, 0..500);
        take(&mut replay, &frames[0], 1, 2, 500..1000);
        take(&mut replay, &frames[1], 2, 2, 0..499);
        take(&mut replay, &frames[2], 3, 4, 0..1000);
        let entries = replay.into_entries();
        let copied: Vec<bool> = frames.iter().map(Bytes::is_unique).collect();
        assert_eq!((copied, entries.len()), (vec![false, true, false], 3));
    }
}
