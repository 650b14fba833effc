//! Makes a failing schedule as short as possible while it still breaks the same rule.
//!
//! Delta debugging (Zeller, Hildebrandt: "Simplifying and Isolating Failure-Inducing Input", 2002): parts are removed, large
//! ones first, while the rest still fails. Any part of a schedule is a schedule, so nothing needs repair. Then fewer
//! machines and clients are tried, and if that succeeds, parts are removed again.

use super::run::{Events, Runner};
use super::schedule::event::{Event, Kind};
use super::schedule::setup::Setup;
use crate::object::Object;

/// At most this many events are run, which takes some seconds.
const EVENTS_MAX: usize = 4_000_000;

/// A failing schedule.
pub(crate) struct Shrunk {
    pub(crate) setup: Setup,
    pub(crate) events: Vec<Event>,
}

struct Shrinking<'a, T: Object> {
    runner: &'a Runner<T>,
    rule: &'a str,
    best: Shrunk,
    /// How many events may still be run.
    events_left: usize,
}

/// The shortest schedule found that breaks `rule`, as `events` does.
pub(crate) fn shrink<T: Object>(runner: &Runner<T>, setup: &Setup, events: Vec<Event>, rule: &str) -> Shrunk {
    let best = Shrunk { setup: setup.clone(), events };
    let mut shrinking = Shrinking { runner, rule, best, events_left: EVENTS_MAX };
    shrinking.remove_kinds();
    shrinking.remove_parts();
    if shrinking.shrink_cluster() {
        shrinking.remove_parts();
    }
    shrinking.best
}

impl<T: Object> Shrinking<'_, T> {
    /// Whether a schedule still fails. If so it becomes the best, cut off where it failed.
    fn fails(&mut self, setup: &Setup, events: &[Event]) -> bool {
        // The liveness phase costs, too.
        let cost = events.len() + 500;
        if self.events_left < cost {
            return false;
        }
        self.events_left -= cost;
        let run = self.runner.run(setup, Events::Given(events));
        let fails = run.result.is_err_and(|violation| violation.rule == self.rule);
        if fails {
            self.best = Shrunk { setup: setup.clone(), events: run.events };
        }
        fails
    }

    fn remove_kinds(&mut self) {
        for kind in Kind::ALL {
            let without: Vec<Event> =
                self.best.events.iter().copied().filter(|event| event.kind() != *kind).collect();
            if without.len() < self.best.events.len() {
                self.fails(&self.best.setup.clone(), &without);
            }
        }
    }

    fn remove_parts(&mut self) {
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

    /// Tries fewer machines and clients. Returns whether that succeeded.
    fn shrink_cluster(&mut self) -> bool {
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
