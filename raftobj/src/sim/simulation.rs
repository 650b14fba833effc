//! The user's face of the simulator.

use super::client::Client;
use super::linearizability;
use super::report::{Failure, Report, Story};
use super::run::{Ending, Events, Run, run, watch};
use super::schedule::line::Line;
use super::schedule::setup::{Bounds, Setup};
use super::shrink::{Shrunk, shrink};
use super::world::Program;
use crate::object::Object;
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

/// The environment variable that makes [`Simulation::run`] repeat one run.
const REPEAT: &str = "RAFTOBJ_SIM";

/// The environment variable that says `0` where nobody will read the shortest schedule: it takes some seconds to find.
const SHRINK: &str = "RAFTOBJ_SIM_SHRINK";

/// Clusters of a replicated object under seeds, with faults; see the [module](super).
///
/// # Panics of the user's code
/// A replicated method may panic, here as elsewhere: its caller is told, and the cluster goes on. A panic in
/// a workload, or in a closure that reads, fails the run as a broken rule does: it is repeated and shrunk, and reported
/// as `an assertion at` its place. So a read may assert what must hold in every state of the object. (With
/// [`check_linearizability`](Simulation::check_linearizability) it may not: there reads are also made in states that the
/// search only tries, of the calls of one key.)
///
/// Panics are caught by unwinding, and print nothing while a run goes on. Built with `panic = "abort"`, nothing can be
/// caught: the first one, and the first broken rule, ends the process without a word of the seed.
pub struct Simulation<T: Object> {
    pub(super) program: Rc<Program<T>>,
    pub(super) bounds: Bounds,
    pub(super) steps: usize,
    seeds: Range<u64>,
    regressions: Vec<String>,
}

impl<T: Object> Simulation<T> {
    /// `object` makes the state before the first call; `workload` is called with a client each time one makes an
    /// operation, and asks for it.
    pub fn new(
        object: impl Fn() -> T + 'static,
        workload: impl Fn(&mut Client<'_, T>) + 'static,
    ) -> Simulation<T> {
        Simulation {
            program: Rc::new(Program {
                object: Box::new(object),
                workload: Box::new(workload),
                equal: None,
                judge: None,
            }),
            bounds: Bounds { nodes: 1..=7, faults: true },
            steps: 2_000,
            seeds: 0..100,
            regressions: Vec::new(),
        }
    }

    /// Compares copies whole after they have applied something, not only their replies: a method that leaves copies
    /// different is found, and named, before a reply or a read shows it. To be used wherever the type has `==`.
    pub fn check_state(mut self) -> Simulation<T>
    where
        T: PartialEq,
    {
        self.program_mut().equal = Some(T::eq);
        self
    }

    /// Has what clients saw judged a second time, by a search for an order of their operations that explains it and
    /// that knows nothing of the log. The object is its own model, so this finds what the cluster does wrong, not what
    /// the object does: for that, let a read assert what must always hold. What methods learn from their
    /// [`ApplyContext`](crate::ApplyContext) may show in replies, and must not in the state. A method that is not
    /// deterministic looks as if the cluster were wrong: see [`check_state`](Simulation::check_state).
    ///
    /// Long histories are left undecided: [`Report::undecided_histories`] counts them.
    pub fn check_linearizability(mut self) -> Simulation<T>
    where
        T: Clone + Eq + Hash + Debug,
    {
        self.program_mut().judge = Some(Rc::new(linearizability::judge));
        self
    }

    fn program_mut(&mut self) -> &mut Program<T> {
        match Rc::get_mut(&mut self.program) {
            Some(program) => program,
            None => unreachable!("a run gives its share back when it ends"),
        }
    }

    /// How many nodes clusters have; each seed draws one of the sizes. Default 1 to 7, which is the most.
    ///
    /// # Panics
    /// Where the range is empty or leaves 1 to 7.
    pub fn nodes(mut self, nodes: RangeInclusive<u8>) -> Simulation<T> {
        assert!(!nodes.is_empty(), "a cluster has some size");
        assert!(
            *nodes.start() >= 1 && *nodes.end() <= 7,
            "clusters of 1 to 7 nodes are simulated, not {nodes:?}"
        );
        self.bounds.nodes = nodes;
        self
    }

    /// How many events a run has before its faults end. Default 2,000.
    pub fn steps(mut self, steps: usize) -> Simulation<T> {
        self.steps = steps;
        self
    }

    /// Which seeds [`run`](Simulation::run) runs. Default 0 to 99.
    pub fn seeds(mut self, seeds: Range<u64>) -> Simulation<T> {
        self.seeds = seeds;
        self
    }

    /// No faults: what is found then is the object's own.
    pub fn without_faults(mut self) -> Simulation<T> {
        self.bounds.faults = false;
        self
    }

    /// Runs that ever failed, one a line, as a [`Failure`] tells them; they run before the seeds. Empty lines and
    /// what follows a `#` are left out.
    pub fn regressions(mut self, lines: &str) -> Simulation<T> {
        let lines = lines.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        self.regressions.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        self
    }

    /// Runs the regressions, then the seeds, until one fails. With the environment variable `RAFTOBJ_SIM` it repeats
    /// the run that it holds, and nothing else. With `RAFTOBJ_SIM_SHRINK=0` a run that fails is told as it is, and not
    /// made shorter first.
    ///
    /// # Errors
    /// The first run in which something happened that must not.
    ///
    /// # Panics
    /// Where a line is not one of a run.
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
    /// What happened that must not.
    pub fn run_seed(&self, seed: u64) -> Result<Report, Failure> {
        self.repeat(Line::of_seed(seed, self.steps))
    }

    /// Repeats a run: `seed 17`, or a whole schedule, as a [`Failure`] tells them.
    ///
    /// # Errors
    /// What happened that must not.
    ///
    /// # Panics
    /// Where the line is not one of a run.
    pub fn replay(&self, line: &str) -> Result<Report, Failure> {
        match line.parse() {
            Ok(line) => self.repeat(line),
            Err(error) => panic!("`{line}` is not a run: {error}"),
        }
    }

    /// Whether [`replay`](Simulation::replay) takes a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate_run(line: &str) -> Result<(), String> {
        line.parse::<Line>().map(|_| ()).map_err(|error| format!("`{line}` is not a run: {error}"))
    }

    /// The events of a schedule as [`run_encoded_schedule`](Simulation::run_encoded_schedule) takes them: `12*tick; deliver 0 1 1`.
    ///
    /// # Errors
    /// What is not an event.
    pub fn encode_schedule(schedule: &str) -> Result<Vec<u8>, String> {
        let events = super::schedule::event::from_text(schedule)?;
        Ok(events.iter().flat_map(|event| event.to_bytes()).collect())
    }

    /// Runs a schedule that is decoded from bytes, five an event: for coverage-guided fuzzers. The seed draws sizes and
    /// limits.
    ///
    /// # Errors
    /// What happened that must not.
    pub fn run_encoded_schedule(&self, seed: u64, bytes: &[u8]) -> Result<Report, Failure> {
        let setup = Setup::draw(seed, &self.bounds);
        self.repeat(Line::of_schedule(&setup, super::schedule::event::from_bytes(bytes).collect()))
    }

    fn repeat(&self, line: Line) -> Result<Report, Failure> {
        let setup = line.change(Setup::draw(line.seed, &self.bounds));
        let events = match &line.events {
            Some(events) => Events::Given(events),
            None => Events::Drawn(line.steps.unwrap_or(self.steps)),
        };
        let Run { events, result, report } = run(&self.program, &setup, events);
        let Err(violation) = result else { return Ok(report) };
        let was_shrunk = std::env::var(SHRINK).map_or(true, |says| says != "0");
        let Shrunk { setup, events } = match was_shrunk {
            true => shrink(&self.program, &setup, events, &violation.rule),
            false => Shrunk { setup, events },
        };
        let Ending { what: shrunk_what, calls, nodes } = watch(&self.program, &setup, &events);
        let last = events.len().saturating_sub(LAST_EVENTS);
        Err(Failure(Box::new(Story {
            rule: violation.rule,
            what: violation.what,
            line,
            shrunk_what,
            was_shrunk,
            calls,
            last: events[last..].iter().map(ToString::to_string).collect(),
            shrunk: Line::of_schedule(&setup, events),
            nodes,
        })))
    }
}

/// So many of the last events are printed one by one.
const LAST_EVENTS: usize = 20;
