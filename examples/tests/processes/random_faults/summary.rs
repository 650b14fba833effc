//! What there was in rounds, in numbers.

use super::record::{Asked, Record, Told};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What there was in one or more rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) rounds: usize,
    pub(crate) answers: BTreeMap<&'static str, usize>,
    pub(crate) faults: BTreeMap<&'static str, usize>,
    pub(crate) local_reads_judged: usize,
    pub(crate) keys: u64,
    /// The longest wait, after a fault's span, until a majority that had to serve did. Told, not judged.
    pub(crate) waited_max: Duration,
}

impl Summary {
    /// Counts the answers.
    pub(crate) fn count(&mut self, records: &[Record]) {
        for record in records {
            let answer = match (record.asked, record.told) {
                (Asked::Status, _) => "status",
                (Asked::Get { linearizable: false, .. }, Told::Value(_)) => "read locally",
                (_, Told::Value(_)) => "read",
                (_, Told::Changed { .. }) => "changed",
                (Asked::Get { .. }, _) => "not read",
                (_, Told::Not) => "not applied",
                _ => "unknown",
            };
            *self.answers.entry(answer).or_default() += 1;
        }
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: &Summary) {
        self.rounds += other.rounds;
        self.local_reads_judged += other.local_reads_judged;
        self.keys += other.keys;
        self.waited_max = self.waited_max.max(other.waited_max);
        for (ours, theirs) in [(&mut self.answers, &other.answers), (&mut self.faults, &other.faults)] {
            theirs.iter().for_each(|(name, count)| *ours.entry(name).or_default() += count);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<&str, usize>| {
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        write!(
            f,
            "{} rounds, {} commands at {} keys, all linearizable; {} local reads judged\n\
             a whole majority served after at most {} ms\nanswers: {}\nfaults: {}",
            self.rounds,
            self.answers.values().sum::<usize>(),
            self.keys,
            self.local_reads_judged,
            self.waited_max.as_millis(),
            list(&self.answers),
            list(&self.faults),
        )
    }
}
