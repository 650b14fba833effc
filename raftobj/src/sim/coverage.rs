//! What runs have reached, so that a run that reaches nothing is not taken for one that finds nothing.

use super::event::Kind;
use std::fmt;

/// How often each kind of event did something.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    events: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage { events: vec![0; Kind::ALL.len()] }
    }
}

impl Coverage {
    pub(crate) fn count(&mut self, kind: Kind) {
        self.events[kind as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        self.events.iter_mut().zip(&other.events).for_each(|(sum, more)| *sum += more);
    }

    /// What was never reached.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        self.events().filter(|(_, count)| *count == 0).map(|(kind, _)| kind.word()).collect()
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
        Ok(())
    }
}
