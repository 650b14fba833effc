//! Logs as hash chains: two logs are compared by one comparison.
//!
//! Each entry carries a hash of itself and of all entries before it. Two entries with equal ids and equal hashes have
//! equal logs up to them.

use crate::hash::{hash_bytes, mix};
use crate::node::FoundingWrite;
use crate::raft::types::{Entry, EntryId, HardState, Time};
use crate::sim::violation::ensure;
use crate::storage::Record;

/// An entry of a log, with a hash of the log up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainedEntry {
    pub(crate) id: EntryId,
    pub(crate) time: Time,
    pub(crate) hash: u64,
}

/// What is durable on a disk, in the simplest form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) hard_state: HardState,
    pub(crate) log: Vec<ChainedEntry>,
    pub(crate) proposed: bool,
    pub(crate) formed: bool,
}

impl ChainedEntry {
    /// The entry that follows `before` in a log.
    pub(crate) fn after(before: Option<&ChainedEntry>, entry: &Entry) -> ChainedEntry {
        let hash = before.map_or(0, |before| before.hash);
        let hash = mix(mix(mix(hash, entry.id.term.0), entry.id.index.0), entry.time.0);
        ChainedEntry { id: entry.id, time: entry.time, hash: hash_bytes(hash, &entry.payload) }
    }
}

/// Appends an entry to a log, and removes those from its index on.
pub(crate) fn append(log: &mut Vec<ChainedEntry>, entry: &Entry) {
    let at = entry.id.index.0 as usize - 1;
    ensure!(at <= log.len(), "logs have no gaps", "{} after {} entries", entry.id, log.len());
    log.truncate(at);
    log.push(ChainedEntry::after(log.last(), entry));
}

/// A log as chained entries.
pub(crate) fn chained(entries: &[Entry]) -> Vec<ChainedEntry> {
    let mut log = Vec::with_capacity(entries.len());
    entries.iter().for_each(|entry| append(&mut log, entry));
    log
}

impl Durable {
    pub(crate) fn write(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => append(&mut self.log, entry),
            Record::HardState(hard_state) => self.hard_state = *hard_state,
        }
    }

    pub(crate) fn write_founding(&mut self, write: &FoundingWrite) {
        self.proposed = true;
        self.formed |= matches!(write, FoundingWrite::Formed { .. });
    }
}
