//! What runs came to: counts of those that held, and the story of one that did not.

use super::coverage::Coverage;
use super::schedule::line::Line;
use std::error::Error;
use std::fmt;
use std::ops::AddAssign;

/// Runs in which every check held.
///
/// It displays as a few lines; with `{:#}` as a table, too, of how often each kind of event and each rare branch was
/// reached.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub(crate) runs: u64,
    pub(crate) steps: u64,
    pub(crate) entries: u64,
    pub(crate) calls: u64,
    pub(crate) operations: u64,
    pub(crate) undecided: u64,
    pub(crate) coverage: Coverage,
    pub(crate) hash: u64,
}

impl Report {
    /// How many histories [`check_linearizability`](super::Simulation::check_linearizability) left undecided, because the search
    /// would have been too long. Fewer steps, or keys ([`Client::set_key`](super::Client::set_key)), make it shorter.
    pub fn undecided_histories(&self) -> u64 {
        self.undecided
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How many events they had together.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many calls took effect.
    pub fn applied_calls(&self) -> u64 {
        self.calls
    }

    /// A hash of everything that happened: the same for the same runs, on every machine.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The kinds of events and the rare branches that were never reached.
    pub fn unreached(&self) -> Vec<&'static str> {
        self.coverage.unreached()
    }
}

impl AddAssign<&Report> for Report {
    fn add_assign(&mut self, other: &Report) {
        let Report { runs, steps, entries, calls, operations, undecided, coverage, hash } = other;
        self.runs += runs;
        self.steps += steps;
        self.entries += entries;
        self.calls += calls;
        self.operations += operations;
        self.undecided += undecided;
        self.coverage.add(coverage);
        self.hash = crate::hash::mix(self.hash, *hash);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { runs, steps, entries, calls, operations, undecided, coverage, hash } = self;
        let faults = coverage.faults();
        writeln!(f, "{runs} runs of {steps} steps with {faults} faults held; hash {hash:016x}")?;
        write!(
            f,
            "{operations} operations asked for, {calls} calls took effect, {entries} entries committed"
        )?;
        if *undecided > 0 {
            write!(f, "\n{undecided} histories were too long to be decided by the checker of histories")?;
        }
        if f.alternate() {
            write!(f, "\n{coverage}")?;
        }
        Ok(())
    }
}

/// A run in which something happened that must not.
///
/// It displays as what a person needs: what was broken, how to repeat it, what came last, and the shortest schedule
/// that was found, as a test.
#[derive(Clone)]
pub struct Failure(pub(crate) Box<Story>);

/// What a [`Failure`] tells.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) rule: String,
    pub(crate) what: String,
    pub(crate) line: Line,
    pub(crate) shrunk: Line,
    /// What is seen at the end of the shrunk run; nothing where it breaks no rule the next time.
    pub(crate) shrunk_what: Option<String>,
    /// Whether a shorter schedule was looked for.
    pub(crate) was_shrunk: bool,
    /// The last events of the shrunk run, and the last calls that took effect in it.
    pub(crate) last: Vec<String>,
    pub(crate) calls: Vec<String>,
    /// Each node as it was then, a line each.
    pub(crate) nodes: Vec<String>,
}

impl Failure {
    /// The rule that was broken, and what was seen.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.0.rule, self.0.what)
    }

    /// The run, for [`Simulation::replay`](super::Simulation::replay): `seed 17 steps 2000`.
    pub fn run(&self) -> String {
        self.0.line.to_string()
    }

    /// The shortest schedule that breaks the same rule, for [`Simulation::replay`](super::Simulation::replay).
    pub fn shrunk_run(&self) -> String {
        self.0.shrunk.to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { rule, what, line, shrunk, shrunk_what, was_shrunk, last, calls, nodes } = &*self.0;
        writeln!(f, "{rule}: {what}")?;
        writeln!(f, "repeat it: RAFTOBJ_SIM='{line}' and the same command")?;
        let events = shrunk.events.as_ref().map_or(0, Vec::len);
        match (was_shrunk, events) {
            (true, 0) => write!(
                f,
                "\nthe shortest schedule found has no events: it fails in the peace that ends each run, when faults are \
                 over and clients go on"
            )?,
            (true, _) => write!(f, "\nthe shortest schedule found has {events} events")?,
            (false, _) => write!(f, "\nthe schedule was not made shorter, and has {events} events")?,
        }
        // The rule is the same; what is seen may differ.
        match shrunk_what {
            Some(seen) if seen == what => writeln!(f)?,
            Some(seen) => writeln!(f, ", and ends with: {seen}")?,
            None => writeln!(
                f,
                "; run again, it broke no rule: a method, a read or the workload is not a function of what it is given \
                 (a clock, a random number, the order of a hash map?), so that it may fail seldom"
            )?,
        }
        last.iter().try_for_each(|event| writeln!(f, "  {event}"))?;
        if !calls.is_empty() {
            writeln!(f, "the last calls that took effect")?;
            calls.iter().try_for_each(|call| writeln!(f, "  {call}"))?;
        }
        writeln!(f, "then")?;
        nodes.iter().try_for_each(|node| writeln!(f, "  {node}"))?;
        writeln!(f, "\n#[test]\nfn a_schedule_that_failed() {{")?;
        writeln!(f, "    // {rule}. `simulation()` is to make the Simulation that found it.")?;
        writeln!(f, "    simulation().replay({:?}).unwrap();\n}}", shrunk.to_string())
    }
}

/// As [`Display`](fmt::Display), so that `unwrap` tells all.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}
