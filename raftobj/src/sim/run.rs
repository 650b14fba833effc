//! One run, from its first event to its end.

use super::event_generator::Schedule;
use super::report::Report;
use super::schedule::event::Event;
use super::schedule::setup::Setup;
use super::violation::{Violation, caught};
use super::world::{Program, World};
use crate::marks::Counts;
use crate::object::Object;
use std::rc::Rc;

/// What a run came to.
pub(crate) struct Run {
    /// The events, of a run that failed those up to the failure.
    pub(crate) events: Vec<Event>,
    pub(crate) result: Result<(), Violation>,
    pub(crate) report: Report,
}

/// Where a run's events come from.
pub(crate) enum Events<'a> {
    /// So many of them, drawn from the setup's seed.
    Drawn(usize),
    Given(&'a [Event]),
}

/// Runs a schedule through both phases.
pub(crate) fn run<T: Object>(program: &Rc<Program<T>>, setup: &Setup, events: Events<'_>) -> Run {
    let mut done = Vec::new();
    let mut world = None;
    // Whatever somebody else on this thread has counted is not this run's.
    Counts::take();
    let result = caught(|| {
        let world = world.insert(World::new(Rc::clone(program), setup.clone()));
        match events {
            Events::Drawn(count) => {
                let mut schedule = Schedule::of(setup.seed);
                done.reserve(count);
                for _ in 0..count {
                    let event = schedule.next(world);
                    done.push(event);
                    world.happen(event);
                }
            }
            Events::Given(events) => {
                for event in events {
                    done.push(*event);
                    world.happen(*event);
                }
            }
        }
        world.make_peace();
        program.judge.as_ref().map_or(0, |judge| judge(world))
    });
    let mut report = world.as_ref().map(World::report).unwrap_or_default();
    report.undecided = result.as_ref().copied().unwrap_or_default();
    report.coverage.marks = Counts::take();
    Run { events: done, result: result.map(|_| ()), report }
}

/// How a run ended.
pub(crate) struct Ending {
    /// What was seen; `None` where no rule was broken.
    pub(crate) what: Option<String>,
    /// The last calls that took effect.
    pub(crate) calls: Vec<String>,
    /// Each node in a line.
    pub(crate) nodes: Vec<String>,
}

/// So many calls are told.
const CALLS: usize = 12;

/// Runs a schedule that fails once more, to see how it ends.
pub(crate) fn watch<T: Object>(program: &Rc<Program<T>>, setup: &Setup, events: &[Event]) -> Ending {
    let mut world = None;
    let result = caught(|| {
        let world = world.insert(World::new(Rc::clone(program), setup.clone()));
        events.iter().for_each(|event| world.happen(*event));
        world.make_peace();
        program.judge.iter().for_each(|judge| _ = judge(world));
    });
    let world = world.as_ref();
    Ending {
        what: result.err().map(|violation| violation.what),
        calls: world.map(|world| world.oracle.last_calls(CALLS)).unwrap_or_default(),
        nodes: world.iter().flat_map(|world| world.servers.iter().map(ToString::to_string)).collect(),
    }
}
