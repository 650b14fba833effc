//! Makes a schedule that fails as short as it can be while it still breaks the same rule.
//!
//! Delta debugging (Zeller, Hildebrandt: "Simplifying and Isolating Failure-Inducing Input", 2002): parts are left out,
//! large ones first, as long as what is left fails. Any part of a schedule is a schedule, so nothing has to be mended.
//! Then fewer machines and clients are tried, and the rest once more.

use super::run::{Events, run};
use super::schedule::event::{Event, Kind};
use super::schedule::setup::Setup;
use super::world::Program;
use crate::object::Object;
use std::rc::Rc;

/// So many events are run at most: some seconds.
const EVENTS_MAX: usize = 4_000_000;

/// A schedule that fails.
pub(crate) struct Shrunk {
    pub(crate) setup: Setup,
    pub(crate) events: Vec<Event>,
}

struct Shrinking<'a, T: Object> {
    program: &'a Rc<Program<T>>,
    rule: &'a str,
    best: Shrunk,
    /// What is left of [`EVENTS_MAX`].
    left: usize,
}

/// The shortest schedule found that breaks `rule` as `events` does.
pub(crate) fn shrink<T: Object>(
    program: &Rc<Program<T>>,
    setup: &Setup,
    events: Vec<Event>,
    rule: &str,
) -> Shrunk {
    let best = Shrunk { setup: setup.clone(), events };
    let mut shrinking = Shrinking { program, rule, best, left: EVENTS_MAX };
    shrinking.leave_kinds_out();
    shrinking.leave_parts_out();
    if shrinking.make_smaller() {
        shrinking.leave_parts_out();
    }
    shrinking.best
}

impl<T: Object> Shrinking<'_, T> {
    /// Whether a schedule still fails; if so it is the best from now on, cut where it failed.
    fn fails(&mut self, setup: &Setup, events: &[Event]) -> bool {
        // Peace costs too.
        let cost = events.len() + 500;
        if self.left < cost {
            return false;
        }
        self.left -= cost;
        let run = run(self.program, setup, Events::Given(events));
        let fails = run.result.is_err_and(|violation| violation.rule == self.rule);
        if fails {
            self.best = Shrunk { setup: setup.clone(), events: run.events };
        }
        fails
    }

    fn leave_kinds_out(&mut self) {
        for kind in Kind::ALL {
            let without: Vec<Event> =
                self.best.events.iter().copied().filter(|event| event.kind() != *kind).collect();
            if without.len() < self.best.events.len() {
                self.fails(&self.best.setup.clone(), &without);
            }
        }
    }

    fn leave_parts_out(&mut self) {
        let setup = self.best.setup.clone();
        let mut part = self.best.events.len().div_ceil(2);
        while part > 0 {
            let before = self.best.events.len();
            let mut at = 0;
            while at < self.best.events.len() {
                let events = &self.best.events;
                let end = (at + part).min(events.len());
                let without = [&events[..at], &events[end..]].concat();
                if !self.fails(&setup, &without) {
                    at += part;
                }
            }
            let shorter = self.best.events.len() < before;
            if part > 1 || !shorter {
                part /= 2;
            }
        }
    }

    /// Fewer machines and clients. Returns whether there are.
    fn make_smaller(&mut self) -> bool {
        let before = self.best.setup.clone();
        for nodes in 1..before.nodes {
            if self.fails(&Setup { nodes, ..before.clone() }, &self.best.events.clone()) {
                break;
            }
        }
        for clients in 1..before.clients {
            if self.fails(&Setup { clients, ..self.best.setup.clone() }, &self.best.events.clone()) {
                break;
            }
        }
        self.best.setup != before
    }
}
