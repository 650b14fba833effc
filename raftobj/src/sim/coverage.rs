//! What runs have reached. A fault or a branch that no run reaches is not tested, however many runs pass.

use super::schedule::event::Kind;
use crate::marks::{Counts, Mark};
use std::fmt;

/// What no run can reach, because all nodes of a simulation are alike, or almost none. Tests of single rooms reach these.
const UNREACHABLE: &[Mark] = &[
    // A leader never holds more than a follower with the same limits accepts.
    Mark::AppendWithoutRoom,
    // A leader sends entries to peers that have replied in its term, and their reply waited for all earlier writes. So
    // a write in progress then comes from this leader, which never replaces its own entries.
    Mark::CutWhileWritten,
    // All nodes know the same methods.
    Mark::CallBarred,
    // A copy that comes late must be the first of its session at a leader of a later term, after a later call was applied:
    // 3 of 2,000 seeds.
    Mark::RepeatForgotten,
];

/// How often each kind of event had an effect, and each rare branch was taken.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    events: Vec<u64>,
    pub(crate) marks: Counts,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage { events: vec![0; Kind::ALL.len()], marks: Counts::new() }
    }
}

impl Coverage {
    pub(crate) fn count(&mut self, kind: Kind) {
        self.events[kind as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        self.events.iter_mut().zip(&other.events).for_each(|(sum, more)| *sum += more);
        self.marks.add(&other.marks);
    }

    /// What was never reached, of what nodes with equal code and equal limits can reach.
    pub(crate) fn unreached(&self) -> Vec<&'static str> {
        let events = self.events().filter(|(_, count)| *count == 0).map(|(kind, _)| kind.word());
        let marks = self.marks.never().filter(|mark| !UNREACHABLE.contains(mark));
        events.chain(marks.map(Mark::name)).collect()
    }

    /// The number of faults.
    pub(crate) fn faults(&self) -> u64 {
        self.events().filter(|(kind, _)| kind.is_fault()).map(|(_, count)| count).sum()
    }

    fn events(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.iter().copied().zip(self.events.iter().copied())
    }
}

/// A table: ordinary events, faults, rare events.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, faults) in [("events", false), ("faults", true)] {
            write!(f, "{title}:")?;
            for (kind, count) in self.events().filter(|(kind, _)| kind.is_fault() == faults) {
                write!(f, " {} {count}", kind.word())?;
            }
            writeln!(f)?;
        }
        writeln!(f, "rare events:")?;
        self.marks.iter().try_for_each(|(mark, count)| writeln!(f, "{count:>10}  {}", mark.name()))
    }
}
