//! The order of the log, as the printed indexes tell it, and what local reads may see of it.
//!
//! Every acknowledged change says at which index it took effect. So:
//!
//! - An index belongs to one change, and what began after another had ended has a higher one.
//! - At one key, a change found what the one before it left, or something of unknown outcome between them.
//! - A node sees ever longer beginnings of the log. What it has shown once (by a change of its own, a status, a value that
//!   it read), a later local read of the same process sees too: read-your-writes and monotonic reads across all keys.
//!
//! Reads of values whose own index nobody was told are passed over; they are few.

use super::record::{Asked, Record, Told};
use raftobj::sim::history::ClientId;
use std::collections::{BTreeMap, BTreeSet};

/// What contradicts the order, or how many local reads were judged.
pub(crate) fn judge(records: &[Record]) -> Result<usize, String> {
    indexes_grow_with_time(records)?;
    let keys = Key::all(records);
    keys.iter().try_for_each(|(name, key)| key.is_one_chain().map_err(|why| format!("key {name}: {why}")))?;
    local_reads(records, &keys)
}

/// Of two changes none has the other's index, and if one began after the other had ended, it has the higher one.
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
    match record.told {
        Told::Changed { index, .. } => Some(index),
        _ => None,
    }
}

/// What is known of one key.
#[derive(Debug, Default)]
struct Key {
    /// The acknowledged changes by index: what each found, and what it left.
    changes: BTreeMap<u64, (Option<u64>, Option<u64>)>,
    /// The indexes of acknowledged values.
    index_of: BTreeMap<u64, u64>,
    /// Values of unknown outcome.
    open: BTreeSet<u64>,
    /// Whether there is a `pop` of unknown outcome.
    is_pop_open: bool,
}

impl Key {
    fn all(records: &[Record]) -> BTreeMap<u64, Key> {
        let mut keys: BTreeMap<u64, Key> = BTreeMap::new();
        for record in records {
            let (key, left) = match record.asked {
                Asked::Set { key, value } => (key, Some(value)),
                Asked::Pop { key } => (key, None),
                Asked::Get { .. } | Asked::Status => continue,
            };
            let key = keys.entry(key).or_default();
            match (record.told, left) {
                (Told::Changed { index, previous }, _) => {
                    key.changes.insert(index, (previous, left));
                    left.map(|value| key.index_of.insert(value, index));
                }
                (Told::Unknown, Some(value)) => drop(key.open.insert(value)),
                (Told::Unknown, None) => key.is_pop_open = true,
                _ => {}
            }
        }
        keys
    }

    /// Each change found what the one before it left, or something of unknown outcome.
    fn is_one_chain(&self) -> Result<(), String> {
        let mut before: (u64, Option<u64>) = (0, None);
        for (index, (found, left)) in &self.changes {
            let may_be_between = match found {
                Some(value) => self.open.contains(value),
                None => self.is_pop_open,
            };
            if *found != before.1 && !may_be_between {
                let (at, left) = before;
                return Err(format!(
                    "the change at index {index} found {found:?}, the one at index {at} left {left:?}"
                ));
            }
            before = (*index, *left);
        }
        Ok(())
    }

    /// Whether a node that has applied all up to `applied`, and maybe more, can show this value. If so, how much more it must have
    /// applied, where that is known.
    fn shows(&self, value: Option<u64>, applied: u64) -> Result<Option<u64>, String> {
        let last = self.changes.range(..=applied).next_back();
        match value {
            Some(value) if self.open.contains(&value) => Ok(None),
            Some(value) => {
                let Some(index) = self.index_of.get(&value).copied() else {
                    return Err(format!("nobody has set {value}"));
                };
                match last {
                    Some((by, _)) if *by > index => Err(format!("{value} was overwritten at index {by}")),
                    _ => Ok(Some(index)),
                }
            }
            None => {
                let is_popped_later = self.changes.range(applied + 1..).any(|(_, (_, left))| left.is_none())
                    || self.is_pop_open;
                match last {
                    Some((index, (_, Some(value)))) if !is_popped_later => {
                        Err(format!("{value} was set at index {index}"))
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}

/// No local read of a process misses what that process has shown before; how many there were.
fn local_reads(records: &[Record], keys: &BTreeMap<u64, Key>) -> Result<usize, String> {
    let nothing = Key::default();
    let mut applied: BTreeMap<ClientId, u64> = BTreeMap::new();
    let mut judged = 0;
    // Each client's records are in its own order.
    for record in records {
        let applied = applied.entry(record.client).or_default();
        let shown = match (record.asked, record.told) {
            (Asked::Get { key, linearizable }, Told::Value(value)) => {
                judged += usize::from(!linearizable);
                let key = keys.get(&key).unwrap_or(&nothing);
                key.shows(value, *applied).map_err(|why| {
                    format!("{record:?}, but {why}, and the process had applied up to index {applied}")
                })?
            }
            (_, Told::Changed { index, .. }) => Some(index),
            (_, Told::Status { applied, .. }) => Some(applied),
            _ => None,
        };
        *applied = shown.unwrap_or(0).max(*applied);
    }
    Ok(judged)
}
