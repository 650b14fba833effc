//! What runs have reached, so that a run that reaches nothing is not taken for one that finds nothing.

use super::event::Kind;
use crate::marks::{Counts, Mark};
use std::fmt;

/// How often each kind of event did something, and each rare branch was taken.
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

    /// What was never reached.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let events = self.events().filter(|(_, count)| *count == 0).map(|(kind, _)| kind.word());
        events.chain(self.marks.never().map(Mark::name)).collect()
    }

    fn events(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.iter().copied().zip(self.events.iter().copied())
    }
}

/// A table: the ordinary course, then what went wrong.
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
