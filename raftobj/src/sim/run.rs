//! One run, from its first event to its end.
//!
//! A run has two phases. In the first, events happen, faults among them. In the second, the liveness phase, no fault is
//! left, and within a bound the cluster must serve every client. Everything that must hold is checked in both.

use super::event_generator::EventGenerator;
use super::program::Program;
use super::report::Report;
use super::schedule::event::Event;
use super::schedule::setup::Setup;
use super::violation::{Violation, catch_violation};
use super::world::World;
use crate::marks::Counts;
use crate::object::Object;
use std::rc::Rc;

/// Runs a program on clusters.
pub(crate) struct Runner<T: Object> {
    pub(crate) program: Rc<Program<T>>,
    /// Judges what clients saw, where the object can be a model of itself.
    pub(crate) judge: Option<Judge<T>>,
}

/// Judges a run that has ended. Returns how many histories were too long to be decided.
pub(crate) type Judge<T> = fn(&World<T>) -> u64;

/// What a run came to.
pub(crate) struct Run {
    /// The events; of a run that failed, those up to the failure.
    pub(crate) events: Vec<Event>,
    pub(crate) result: Result<(), Violation>,
    pub(crate) report: Report,
}

/// Where a run's events come from.
pub(crate) enum Events<'a> {
    /// This many, drawn from the setup's seed.
    Drawn(usize),
    Given(&'a [Event]),
}

/// A cluster at the end of a run that failed.
pub(crate) struct FinalState {
    /// What was observed; `None` where no rule was broken.
    pub(crate) observed: Option<String>,
    /// The last calls that took effect.
    pub(crate) calls: Vec<String>,
    /// Each node in a line.
    pub(crate) nodes: Vec<String>,
}

/// How many of the last calls a failure shows.
const CALLS_SHOWN: usize = 12;

impl<T: Object> Runner<T> {
    /// Runs a schedule through both phases.
    pub(crate) fn run(&self, setup: &Setup, events: Events<'_>) -> Run {
        let mut happened = Vec::new();
        let mut world = None;
        // Whatever was counted on this thread before is not of this run.
        Counts::take();
        let result = catch_violation(|| {
            let world = world.insert(World::new(Rc::clone(&self.program), setup.clone()));
            match events {
                Events::Drawn(count) => {
                    let mut generator = EventGenerator::new(setup.seed);
                    happened.reserve(count);
                    for _ in 0..count {
                        let event = generator.next(world);
                        happened.push(event);
                        world.handle_event(event);
                    }
                }
                Events::Given(events) => {
                    for event in events {
                        happened.push(*event);
                        world.handle_event(*event);
                    }
                }
            }
            world.run_liveness_phase();
            self.judge.map_or(0, |judge| judge(world))
        });
        let mut report = world.as_ref().map(World::report).unwrap_or_default();
        report.undecided_histories = result.as_ref().copied().unwrap_or_default();
        report.coverage.marks = Counts::take();
        Run { events: happened, result: result.map(|_| ()), report }
    }

    /// Runs a schedule that fails once more, and describes the cluster at its end.
    pub(crate) fn final_state(&self, setup: &Setup, events: &[Event]) -> FinalState {
        let mut world = None;
        let result = catch_violation(|| {
            let world = world.insert(World::new(Rc::clone(&self.program), setup.clone()));
            events.iter().for_each(|event| world.handle_event(*event));
            world.run_liveness_phase();
            self.judge.iter().for_each(|judge| _ = judge(world));
        });
        let world = world.as_ref();
        FinalState {
            observed: result.err().map(|violation| violation.observed),
            calls: world.map(|world| world.oracle.last_calls(CALLS_SHOWN)).unwrap_or_default(),
            nodes: world.iter().flat_map(|world| world.servers.iter().map(ToString::to_string)).collect(),
        }
    }
}
