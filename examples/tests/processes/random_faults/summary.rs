//! Counts of what happened in rounds.

use super::record::{Answer, Command, Record};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts of one or more rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) rounds: usize,
    pub(crate) answers: BTreeMap<&'static str, usize>,
    pub(crate) faults: BTreeMap<&'static str, usize>,
    pub(crate) local_reads_checked: usize,
    pub(crate) keys: u64,
    /// The longest wait, after a fault had lasted its time, until a connected majority served. Printed, not checked.
    pub(crate) waited_max: Duration,
}

impl Summary {
    /// Counts these answers.
    pub(crate) fn count(&mut self, records: &[Record]) {
        for record in records {
            let answer = match (record.command, record.answer) {
                (Command::Status, _) => "status",
                (Command::Get { linearizable: false, .. }, Answer::Value(_)) => "read locally",
                (_, Answer::Value(_)) => "read",
                (_, Answer::Changed { .. }) => "changed",
                (Command::Get { .. }, _) => "not read",
                (_, Answer::NoEffect) => "not applied",
                _ => "unknown",
            };
            *self.answers.entry(answer).or_default() += 1;
        }
    }

    /// Adds the counts of another summary.
    pub(crate) fn add(&mut self, other: &Summary) {
        self.rounds += other.rounds;
        self.local_reads_checked += other.local_reads_checked;
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
            "{} rounds, {} commands at {} keys, all linearizable; {} local reads checked\n\
             a connected majority served after at most {} ms\nanswers: {}\nfaults: {}",
            self.rounds,
            self.answers.values().sum::<usize>(),
            self.keys,
            self.local_reads_checked,
            self.waited_max.as_millis(),
            list(&self.answers),
            list(&self.faults),
        )
    }
}
