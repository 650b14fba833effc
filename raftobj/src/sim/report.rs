//! What runs came to: counts of those that passed, and a report on one that failed.

use super::coverage::Coverage;
use super::schedule::line::Line;
use std::error::Error;
use std::fmt;
use std::ops::AddAssign;

/// Counts of runs that passed every check.
///
/// It displays as a few lines; `{:#}` adds a table of how often each kind of event and each rare branch was reached.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub(crate) runs: u64,
    pub(crate) steps: u64,
    pub(crate) entries: u64,
    pub(crate) calls: u64,
    pub(crate) operations: u64,
    pub(crate) undecided_histories: u64,
    pub(crate) coverage: Coverage,
    pub(crate) hash: u64,
}

impl Report {
    /// The number of histories that [`check_linearizability`](super::Simulation::check_linearizability) left undecided because
    /// the search was too long. Fewer steps, or keys ([`Client::set_key`](super::Client::set_key)), make it shorter.
    pub fn undecided_histories(&self) -> u64 {
        self.undecided_histories
    }

    /// The number of runs.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The number of steps of all runs: their events, and the ticks of their liveness phases.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The number of calls that took effect.
    pub fn applied_calls(&self) -> u64 {
        self.calls
    }

    /// A hash of everything that happened: equal for equal runs, on every machine.
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
        let Report { runs, steps, entries, calls, operations, undecided_histories, coverage, hash } = other;
        self.runs += runs;
        self.steps += steps;
        self.entries += entries;
        self.calls += calls;
        self.operations += operations;
        self.undecided_histories += undecided_histories;
        self.coverage.add(coverage);
        self.hash = crate::hash::mix(self.hash, *hash);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { runs, steps, entries, calls, operations, undecided_histories, coverage, hash } = self;
        let faults = coverage.faults();
        writeln!(f, "{runs} runs passed, of {steps} steps and {faults} faults together; hash {hash:016x}")?;
        write!(
            f,
            "{operations} operations were made, {calls} calls took effect, {entries} entries committed"
        )?;
        if *undecided_histories > 0 {
            write!(f, "\n{undecided_histories} histories were too long for the linearizability check")?;
        }
        if f.alternate() {
            write!(f, "\n{coverage}")?;
        }
        Ok(())
    }
}

/// A run that broke a rule.
///
/// It displays as the broken rule, how to repeat the run, its last events and calls, each node's state, and the shortest
/// schedule found, as a test.
#[derive(Clone)]
pub struct Failure(pub(crate) Box<FailureReport>);

/// What a [`Failure`] displays.
#[derive(Clone)]
pub(crate) struct FailureReport {
    pub(crate) rule: String,
    pub(crate) observed: String,
    pub(crate) line: Line,
    pub(crate) shrunk: Line,
    /// What was observed at the end of the shrunk run; `None` if it broke no rule when it was repeated.
    pub(crate) shrunk_observed: Option<String>,
    /// Whether a shorter schedule was searched for.
    pub(crate) was_shrunk: bool,
    /// The last events of the shrunk run, and the last calls that took effect in it.
    pub(crate) last_events: Vec<String>,
    pub(crate) last_calls: Vec<String>,
    /// Each node at the end of the shrunk run, in a line.
    pub(crate) nodes: Vec<String>,
}

impl Failure {
    /// The broken rule, and what was observed.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.0.rule, self.0.observed)
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
        let FailureReport {
            rule,
            observed,
            line,
            shrunk,
            shrunk_observed,
            was_shrunk,
            last_events,
            last_calls,
            nodes,
        } = &*self.0;
        writeln!(f, "{rule}: {observed}")?;
        writeln!(f, "repeat it: RAFTOBJ_SIM='{line}' and the same command")?;
        let events = shrunk.events.as_ref().map_or(0, Vec::len);
        match (was_shrunk, events) {
            (true, 0) => write!(
                f,
                "\nthe shortest schedule found has no events: it fails in the liveness phase that ends each run, \
                 without faults"
            )?,
            (true, _) => write!(f, "\nthe shortest schedule found has {events} events")?,
            (false, _) => write!(f, "\nthe schedule was not shrunk, and has {events} events")?,
        }
        // The rule is the same; what was observed may differ.
        match shrunk_observed {
            Some(shrunk_observed) if shrunk_observed == observed => writeln!(f)?,
            Some(shrunk_observed) => writeln!(f, ", and ends with: {shrunk_observed}")?,
            None => writeln!(
                f,
                "; repeated, it broke no rule: a method, a read or the workload is not deterministic (it uses a clock, \
                 a random number, the order of a hash map?), and the failure may be rare"
            )?,
        }
        last_events.iter().try_for_each(|event| writeln!(f, "  {event}"))?;
        if !last_calls.is_empty() {
            writeln!(f, "the last calls that took effect")?;
            last_calls.iter().try_for_each(|call| writeln!(f, "  {call}"))?;
        }
        writeln!(f, "the nodes at the end")?;
        nodes.iter().try_for_each(|node| writeln!(f, "  {node}"))?;
        writeln!(f, "\n#[test]\nfn a_schedule_that_failed() {{")?;
        writeln!(f, "    // {rule}. `simulation()` makes the Simulation that found it.")?;
        writeln!(f, "    simulation().replay({:?}).unwrap();\n}}", shrunk.to_string())
    }
}

/// As [`Display`](fmt::Display): `unwrap` prints it.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}
