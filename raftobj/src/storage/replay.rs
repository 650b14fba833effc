//! Turns the records of a log into its entries and hard state, in memory.

use super::record::{Record, StoredRecord};
use super::scan::RecordLocation;
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Entry, HardState};
use bytes::Bytes;

/// Collects records in order.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) hard_state: HardState,
    pub(super) entries: Vec<Entry>,
    /// For each entry, the frame that its payload is a slice of.
    origins: Vec<Origin>,
}

#[derive(Clone, Copy, Debug)]
struct Origin {
    batch: u64,
    record_bytes: usize,
    payload_bytes: usize,
}

impl Replay {
    /// Takes one record. The scan rejects records that are out of order; here they do no harm.
    pub(super) fn take(&mut self, location: RecordLocation<'_>, stored: StoredRecord) {
        match stored {
            StoredRecord::Opening(_) => {}
            StoredRecord::Record(Record::HardState(state)) => self.hard_state = state,
            StoredRecord::Record(Record::Entry(entry)) => {
                // An entry removes those at its index and after it (rule *append only*).
                if let Some(first) = self.entries.first()
                    && !planted!(TruncationNotReplayed)
                {
                    let kept = entry.id.index.0.saturating_sub(first.id.index.0) as usize;
                    mark!(ConflictReplayed if kept < self.entries.len());
                    self.entries.truncate(kept);
                    self.origins.truncate(kept);
                }
                let RecordLocation { batch, record_bytes, payload_bytes, .. } = location;
                self.entries.push(entry);
                self.origins.push(Origin { batch, record_bytes, payload_bytes });
            }
        }
    }

    /// The entries. Payloads share the buffer of their frame. Where later entries replaced more than half of that
    /// frame, its remaining payloads are copied instead, so that few bytes do not keep many in memory.
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
        let payload_bytes = frame.len();
        let location = RecordLocation { file: Path::new("f"), offset: 0, batch, payload_bytes, record_bytes };
        let id = EntryId { term: Term(batch), index: Index(index) };
        let payload = frame.slice(bytes);
        let entry = Entry { id, time: Time(0), kind: EntryKind::Command, payload };
        replay.take(location, StoredRecord::Record(Record::Entry(entry)));
    }

    // Breaks: ten live bytes keep an overwritten megabyte in memory.
    #[test]
    fn a_mostly_overwritten_frame_is_freed() {
        let mut replay = Replay::default();
        let (first, second) = (Bytes::from(vec![1; 1000]), Bytes::from(vec![2; 1000]));
        take(&mut replay, &first, 1, 1, 0..10);
        take(&mut replay, &first, 1, 2, 10..1000);
        take(&mut replay, &second, 2, 2, 0..500);
        take(&mut replay, &second, 2, 3, 500..1000);
        let entries = replay.into_entries();
        assert_eq!(entries.len(), 3);
        assert_eq!((&entries[0].payload[..], entries[1].id.term), (&[1; 10][..], Term(2)));
        assert!(first.is_unique(), "no entry shares the mostly overwritten frame");
        assert!(!second.is_unique(), "the other frame is shared, not copied");
    }

    // Exactly at the bound, and in frames after the first.
    #[test]
    fn a_half_overwritten_frame_is_shared() {
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
