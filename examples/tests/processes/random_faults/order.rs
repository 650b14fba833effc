//! Checks the order of the log, by the printed indexes, and local reads against it.
//!
//! Every acknowledged change prints the index at which it took effect. So:
//!
//! - An index belongs to one change. A change that began after another had ended has a higher index.
//! - A change of a key replaced the value of the previous change of that key, or one of unknown outcome between them.
//! - A node applies the log in order. If a process has shown that it applied an index (by a change of its own, a
//!   status, a value that it read), its later local reads see that index too: read-your-writes and monotonic reads
//!   across all keys.
//!
//! A read of a value whose write has an unknown outcome, and so no known index, passes unchecked; there are few.

use super::record::{Answer, Command, Record};
use raftobj::sim::history::ClientId;
use std::collections::{BTreeMap, BTreeSet};

/// How many local reads were checked. The error describes a violation.
pub(crate) fn check(records: &[Record]) -> Result<usize, String> {
    indexes_grow_with_time(records)?;
    let keys = Key::all(records);
    keys.iter()
        .try_for_each(|(name, key)| key.check_chain().map_err(|error| format!("key {name}: {error}")))?;
    check_local_reads(records, &keys)
}

/// No two changes have the same index. A change that began after another had ended has a higher index.
fn indexes_grow_with_time(records: &[Record]) -> Result<(), String> {
    let mut begins: Vec<(&Record, u64)> = records.iter().filter_map(|it| Some((it, index(it)?))).collect();
    let mut owners: BTreeMap<u64, &Record> = BTreeMap::new();
    for (record, index) in &begins {
        if let Some(owner) = owners.insert(*index, record) {
            return Err(format!("both {record:?} and {owner:?} took effect at index {index}"));
        }
    }
    let mut ends = begins.clone();
    begins.sort_unstable_by_key(|(record, _)| record.begin);
    ends.sort_unstable_by_key(|(record, _)| record.end);
    let mut ends = ends.into_iter().peekable();
    let mut highest: Option<(&Record, u64)> = None;
    for (record, index) in begins {
        while let Some(ended) = ends.next_if(|(ended, _)| ended.end < record.begin) {
            highest = highest.filter(|(_, highest)| *highest > ended.1).or(Some(ended));
        }
        if let Some((before, at)) = highest.filter(|(_, highest)| *highest >= index) {
            return Err(format!("{record:?} took effect at index {index}, after {before:?} at index {at}"));
        }
    }
    Ok(())
}

fn index(record: &Record) -> Option<u64> {
    match record.answer {
        Answer::Changed { index, .. } => Some(index),
        _ => None,
    }
}

/// The history of one key.
#[derive(Debug, Default)]
struct Key {
    /// The acknowledged changes by index: the values before and after.
    changes: BTreeMap<u64, (Option<u64>, Option<u64>)>,
    /// The indexes of acknowledged values, by value.
    index_of: BTreeMap<u64, u64>,
    /// Values of `set`s of unknown outcome.
    unknown: BTreeSet<u64>,
    /// Whether a `pop` has an unknown outcome.
    has_unknown_pop: bool,
}

impl Key {
    fn all(records: &[Record]) -> BTreeMap<u64, Key> {
        let mut keys: BTreeMap<u64, Key> = BTreeMap::new();
        for record in records {
            let (key, after) = match record.command {
                Command::Set { key, value } => (key, Some(value)),
                Command::Pop { key } => (key, None),
                Command::Get { .. } | Command::Status => continue,
            };
            let key = keys.entry(key).or_default();
            match (record.answer, after) {
                (Answer::Changed { index, previous }, _) => {
                    key.changes.insert(index, (previous, after));
                    after.map(|value| key.index_of.insert(value, index));
                }
                (Answer::Unknown, Some(value)) => drop(key.unknown.insert(value)),
                (Answer::Unknown, None) => key.has_unknown_pop = true,
                _ => {}
            }
        }
        keys
    }

    /// Each change replaced the value of the previous one, or a value of unknown outcome.
    fn check_chain(&self) -> Result<(), String> {
        let mut last: (u64, Option<u64>) = (0, None);
        for (index, (previous, after)) in &self.changes {
            let may_be_unknown = match previous {
                Some(value) => self.unknown.contains(value),
                None => self.has_unknown_pop,
            };
            if *previous != last.1 && !may_be_unknown {
                let (at, value) = last;
                return Err(format!(
                    "the change at index {index} replaced {previous:?}, but the one at index {at} left {value:?}"
                ));
            }
            last = (*index, *after);
        }
        Ok(())
    }

    /// The index up to which a node that returns this value must have applied, if known. The error is why a node that
    /// has applied at least up to `applied` cannot return it.
    fn check_read(&self, value: Option<u64>, applied: u64) -> Result<Option<u64>, String> {
        let last = self.changes.range(..=applied).next_back();
        match value {
            Some(value) if self.unknown.contains(&value) => Ok(None),
            Some(value) => {
                let Some(index) = self.index_of.get(&value).copied() else {
                    return Err(format!("no command sets {value}"));
                };
                match last {
                    Some((by, _)) if *by > index => Err(format!("{value} was overwritten at index {by}")),
                    _ => Ok(Some(index)),
                }
            }
            None => {
                let may_be_popped = self.changes.range(applied + 1..).any(|(_, (_, after))| after.is_none())
                    || self.has_unknown_pop;
                match last {
                    Some((index, (_, Some(value)))) if !may_be_popped => {
                        Err(format!("{value} was set at index {index}"))
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}

/// No local read of a process misses an index that the process has shown to be applied. Returns the number of reads.
fn check_local_reads(records: &[Record], keys: &BTreeMap<u64, Key>) -> Result<usize, String> {
    let unused = Key::default();
    let mut applied: BTreeMap<ClientId, u64> = BTreeMap::new();
    let mut checked = 0;
    // The records of each client are in order.
    for record in records {
        let applied = applied.entry(record.client).or_default();
        let shown = match (record.command, record.answer) {
            (Command::Get { key, linearizable }, Answer::Value(value)) => {
                checked += usize::from(!linearizable);
                let key = keys.get(&key).unwrap_or(&unused);
                key.check_read(value, *applied).map_err(|error| {
                    format!("{record:?}, but {error}, and the process had applied up to index {applied}")
                })?
            }
            (_, Answer::Changed { index, .. }) => Some(index),
            (_, Answer::Status { applied, .. }) => Some(applied),
            _ => None,
        };
        *applied = shown.unwrap_or(0).max(*applied);
    }
    Ok(checked)
}
