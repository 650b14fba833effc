//! What a log amounts to: its records from the first to the last, in memory.

use super::record::{Record, Stored};
use super::recovery::Place;
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
                if let Some(first) = self.entries.first() {
                    let kept = entry.id.index.0.saturating_sub(first.id.index.0) as usize;
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
