//! The user's interface to the simulator.

use super::client::Client;
use super::linearizability;
use super::program::Program;
use super::report::{Failure, FailureReport, Report};
use super::run::{Events, FinalState, Run, Runner};
use super::schedule::event;
use super::schedule::line::Line;
use super::schedule::setup::{Bounds, Setup};
use super::shrink::{Shrunk, shrink};
use crate::object::Object;
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

/// The environment variable that makes [`Simulation::run`] repeat one run.
const REPEAT: &str = "RAFTOBJ_SIM";

/// If this environment variable is `0`, failing schedules are not shrunk, which takes some seconds.
const SHRINK: &str = "RAFTOBJ_SIM_SHRINK";

/// Runs clusters of a replicated object under seeds, with faults; see the [module](super).
///
/// # Panics of the user's code
/// A replicated method may panic, here as elsewhere: its caller gets an error, and the cluster continues. A panic in a
/// workload, or in the closure of a read, fails the run as a broken rule does: the run is repeated and shrunk, and
/// reported as `an assertion at` its place. So a read may assert what must hold in every state of the object. (Not with
/// [`check_linearizability`](Simulation::check_linearizability): its search also makes reads in states that no replica
/// was in, with the calls of one key only.)
///
/// During a run panics print nothing; they are caught by unwinding. A build with `panic = "abort"` cannot catch them: the
/// first panic, and the first broken rule, ends the process without printing the seed.
pub struct Simulation<T: Object> {
    pub(super) runner: Runner<T>,
    pub(super) bounds: Bounds,
    pub(super) steps: usize,
    seeds: Range<u64>,
    regressions: Vec<String>,
}

impl<T: Object> Simulation<T> {
    /// `object` makes the state before the first call. `workload` is called each time a client makes an operation, and
    /// chooses that operation.
    pub fn new(
        object: impl Fn() -> T + 'static,
        workload: impl Fn(&mut Client<'_, T>) + 'static,
    ) -> Simulation<T> {
        Simulation {
            runner: Runner {
                program: Rc::new(Program {
                    object: Box::new(object),
                    workload: Box::new(workload),
                    equal: None,
                }),
                judge: None,
            },
            bounds: Bounds { nodes: 1..=7, faults: true },
            steps: 2_000,
            seeds: 0..100,
            regressions: Vec::new(),
        }
    }

    /// Compares the whole states of replicas after each apply, not only their replies. So a method after which replicas
    /// differ is found, and named, before a reply or a read differs. Use it whenever the type has `==`.
    pub fn check_state(mut self) -> Simulation<T>
    where
        T: PartialEq,
    {
        match Rc::get_mut(&mut self.runner.program) {
            Some(program) => program.equal = Some(T::eq),
            None => unreachable!("no run holds the program any more when it has ended"),
        }
        self
    }

    /// Checks at the end of each run that what clients saw is linearizable, by a search that does not use the log. The
    /// object is its own model: this finds errors of the cluster, not of the object. (To find those, let a read assert
    /// what must always hold.)
    ///
    /// Values that methods get from their [`ApplyContext`](crate::ApplyContext) may go into replies, but not into the
    /// state. A method that is not deterministic looks like an error of the cluster: see
    /// [`check_state`](Simulation::check_state).
    ///
    /// Long histories are left undecided; [`Report::undecided_histories`] counts them.
    pub fn check_linearizability(mut self) -> Simulation<T>
    where
        T: Clone + Eq + Hash + Debug,
    {
        self.runner.judge = Some(linearizability::judge);
        self
    }

    /// The cluster sizes that seeds draw from, within 1 to 7, which is the default.
    ///
    /// # Panics
    /// If the range is empty or not within 1 to 7.
    pub fn nodes(mut self, nodes: RangeInclusive<u8>) -> Simulation<T> {
        assert!(!nodes.is_empty(), "the range of cluster sizes is empty");
        assert!(*nodes.start() >= 1 && *nodes.end() <= 7, "clusters have 1 to 7 nodes, not {nodes:?}");
        self.bounds.nodes = nodes;
        self
    }

    /// The number of events of a run before its faults end; the default is 2,000.
    pub fn steps(mut self, steps: usize) -> Simulation<T> {
        self.steps = steps;
        self
    }

    /// The seeds that [`run`](Simulation::run) runs; the default is `0..100`.
    pub fn seeds(mut self, seeds: Range<u64>) -> Simulation<T> {
        self.seeds = seeds;
        self
    }

    /// Injects no faults: what fails then is an error of the object.
    pub fn without_faults(mut self) -> Simulation<T> {
        self.bounds.faults = false;
        self
    }

    /// Adds runs that have failed before, one per line, as [`Failure::run`] and [`Failure::shrunk_run`] return them. They
    /// run before the seeds. Empty lines, and text after a `#`, are ignored.
    pub fn regressions(mut self, lines: &str) -> Simulation<T> {
        let lines = lines.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        self.regressions.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        self
    }

    /// Runs the regressions, then the seeds, until one fails. If the environment variable `RAFTOBJ_SIM` is set, repeats the
    /// run that it names, and nothing else. With `RAFTOBJ_SIM_SHRINK=0` a failing run is reported without being shrunk.
    ///
    /// # Errors
    /// The first run that broke a rule.
    ///
    /// # Panics
    /// If `RAFTOBJ_SIM`, or a line of the regressions, is not a run.
    pub fn run(&self) -> Result<Report, Failure> {
        if let Some(line) = std::env::var(REPEAT).ok().filter(|line| !line.trim().is_empty()) {
            let line = line.parse().unwrap_or_else(|error| panic!("{REPEAT}='{line}' is not a run: {error}"));
            return self.repeat(line);
        }
        let mut report = Report::default();
        for line in &self.regressions {
            report += &self.replay(line)?;
        }
        for seed in self.seeds.clone() {
            report += &self.run_seed(seed)?;
        }
        Ok(report)
    }

    /// Runs one seed.
    ///
    /// # Errors
    /// The run broke a rule.
    pub fn run_seed(&self, seed: u64) -> Result<Report, Failure> {
        self.repeat(Line::of_seed(seed, self.steps))
    }

    /// Repeats a run: `seed 17`, or a whole schedule, as [`Failure::run`] and [`Failure::shrunk_run`] return them.
    ///
    /// # Errors
    /// The run broke a rule.
    ///
    /// # Panics
    /// If the text is not a run; [`validate_run`](Simulation::validate_run) checks that.
    pub fn replay(&self, run: &str) -> Result<Report, Failure> {
        match run.parse() {
            Ok(line) => self.repeat(line),
            Err(error) => panic!("`{run}` is not a run: {error}"),
        }
    }

    /// Checks that a text is a run, as [`replay`](Simulation::replay) takes it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate_run(run: &str) -> Result<(), String> {
        run.parse::<Line>().map(|_| ()).map_err(|error| format!("`{run}` is not a run: {error}"))
    }

    /// Encodes a schedule, such as `12*tick; deliver 0 1 1`, for
    /// [`run_encoded_schedule`](Simulation::run_encoded_schedule).
    ///
    /// # Errors
    /// The part that is not an event.
    pub fn encode_schedule(schedule: &str) -> Result<Vec<u8>, String> {
        let events = event::from_text(schedule)?;
        Ok(events.iter().flat_map(|event| event.to_bytes()).collect())
    }

    /// Runs a schedule of encoded events, five bytes each: any bytes are a schedule, which serves fuzzers. The seed draws
    /// sizes and limits.
    ///
    /// # Errors
    /// The run broke a rule.
    pub fn run_encoded_schedule(&self, seed: u64, bytes: &[u8]) -> Result<Report, Failure> {
        let setup = Setup::draw(seed, &self.bounds);
        self.repeat(Line::of_schedule(&setup, event::from_bytes(bytes).collect()))
    }

    fn repeat(&self, line: Line) -> Result<Report, Failure> {
        let setup = line.override_setup(Setup::draw(line.seed, &self.bounds));
        let events = match &line.events {
            Some(events) => Events::Given(events),
            None => Events::Drawn(line.steps.unwrap_or(self.steps)),
        };
        let Run { events, result, report } = self.runner.run(&setup, events);
        let Err(violation) = result else { return Ok(report) };
        let was_shrunk = std::env::var(SHRINK).map_or(true, |value| value != "0");
        let Shrunk { setup, events } = match was_shrunk {
            true => shrink(&self.runner, &setup, events, &violation.rule),
            false => Shrunk { setup, events },
        };
        let FinalState { observed: shrunk_observed, calls, nodes } = self.runner.final_state(&setup, &events);
        let first_shown = events.len().saturating_sub(EVENTS_SHOWN);
        Err(Failure(Box::new(FailureReport {
            rule: violation.rule,
            observed: violation.observed,
            line,
            shrunk_observed,
            was_shrunk,
            last_calls: calls,
            last_events: events[first_shown..].iter().map(ToString::to_string).collect(),
            shrunk: Line::of_schedule(&setup, events),
            nodes,
        })))
    }
}

/// How many of the last events a failure shows.
const EVENTS_SHOWN: usize = 20;
