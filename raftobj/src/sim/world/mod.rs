//! A cluster in which events happen, one at a time, and what follows from each.
//!
//! Begin with [`World::happen`]. Its topics: `course` (what always happens), `faults` (what goes wrong), `asking` (clients),
//! `effects` (what follows from what a node was told), `ending` (how a process ends in order), `peace` (the end of a run),
//! `trouble` (in the middle of it).

mod effects;
mod events;
mod fault_budget;
mod faults;
mod liveness;
mod liveness_faults;
pub(crate) mod network;
mod operations;
pub(crate) mod server;
mod shutdown;

use crate::hash::mix;
use crate::object::Object;
use crate::raft::types::Index;
use crate::sim::client::{Client, Operation, RecordingHandle};
use crate::sim::coverage::Coverage;
use crate::sim::linearizability::Judge;
use crate::sim::oracle::Oracle;
use crate::sim::report::Report;
use crate::sim::schedule::event::Event;
use crate::sim::schedule::setup::Setup;
use fault_budget::Atlas;
use network::Links;
use server::Server;
use std::rc::Rc;

/// Asks for a client's next operation.
pub(crate) type Workload<T> = Box<dyn Fn(&mut Client<'_, T>)>;

/// What a user simulates: how an object is made, and what clients ask of it.
pub(crate) struct Program<T: Object> {
    pub(crate) object: Box<dyn Fn() -> T>,
    pub(crate) workload: Workload<T>,
    /// Compares two copies, where they can be.
    pub(crate) equal: Option<fn(&T, &T) -> bool>,
    /// Judges what clients saw, where the object can be a model of itself.
    pub(crate) judge: Option<Judge<T>>,
}

/// A cluster and its clients.
pub(crate) struct World<T: Object> {
    pub(crate) program: Rc<Program<T>>,
    pub(crate) setup: Setup,
    pub(crate) servers: Vec<Server<T>>,
    pub(crate) links: Links,
    pub(crate) oracle: Oracle<T>,
    pub(crate) atlas: Atlas,
    pub(crate) operations: Vec<Operation<T>>,
    pub(crate) clients: Vec<ClientState>,
    pub(crate) coverage: Coverage,
    pub(crate) step: u64,
    /// Virtual time: wall clocks go by it, so that what one tick brings may have one time.
    pub(super) ticks: u64,
    /// Of everything that happened: equal for equal runs.
    pub(crate) hash: u64,
    /// Whether a replica's digest has differed: a node may stop over it.
    pub(super) diverged: bool,
    /// How many operations have ended.
    pub(crate) ended: usize,
    pub(super) handle: RecordingHandle<T>,
    /// The last index that anybody knows to have taken effect.
    pub(super) seen: Index,
}

/// What a client remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientState {
    /// The machine it talks to.
    pub(super) home: usize,
    pub(super) made: u64,
    pub(super) waiting: u64,
    /// Its last local read: at which machine, in which life, after which index.
    pub(super) seen: Option<(usize, u64, Index)>,
    /// What its own last call did, in which life of which machine.
    pub(super) wrote: Option<(usize, u64, Index)>,
}

impl<T: Object> World<T> {
    pub(crate) fn new(program: Rc<Program<T>>, setup: Setup) -> World<T> {
        let servers = (0..usize::from(setup.nodes)).map(Server::new).collect();
        let clients = (0..setup.clients)
            .map(|client| ClientState { home: usize::from(client % setup.nodes), ..ClientState::default() });
        let mut world = World {
            servers,
            links: Links::new(setup.nodes),
            oracle: Oracle::new((program.object)()),
            atlas: Atlas::new(setup.nodes),
            operations: Vec::new(),
            clients: clients.collect(),
            coverage: Coverage::default(),
            step: 0,
            ticks: 0,
            hash: setup.seed,
            diverged: false,
            ended: 0,
            handle: RecordingHandle::new((program.object)()),
            seen: Index(0),
            setup,
            program,
        };
        (0..world.servers.len()).for_each(|server| world.start(server, None, 0));
        world
    }

    /// Lets an event happen.
    pub(crate) fn happen(&mut self, event: Event) {
        self.step += 1;
        let did = self.dispatch(event);
        if did {
            self.coverage.count(event.kind());
            self.hash = mix(self.hash, event.kind() as u64);
        }
    }

    /// Whether the event did anything.
    fn dispatch(&mut self, event: Event) -> bool {
        let nodes = self.servers.len();
        let server = |number: u8| usize::from(number) % nodes;
        match event {
            Event::Tick {} => self.tick(),
            Event::Deliver { from, to, count } => {
                let (from, to) = (server(from), server(to));
                let awake = self.servers[to].is_awake();
                let mut some = false;
                for _ in 0..count.max(1) {
                    match awake.then(|| self.links.at(from, to).take(0)).flatten() {
                        Some(message) => some |= self.receive(from, to, message),
                        None => break,
                    }
                }
                self.settle(to);
                return some;
            }
            Event::Overtake { from, to, .. } | Event::Repeat { from, to, .. } | Event::Echo { from, to } => {
                let (from, to) = (server(from), server(to));
                if !self.servers[to].is_awake() {
                    return false;
                }
                let link = self.links.at(from, to);
                let message = match event {
                    Event::Overtake { nth, .. } => link.take(nth.into()),
                    Event::Repeat { nth, .. } => link.repeat(nth.into()),
                    _ => link.take_echo(),
                };
                let Some(message) = message else { return false };
                self.receive(from, to, message);
                self.settle(to);
            }
            Event::Drop { from, to, nth } => {
                return self.links.at(server(from), server(to)).take(nth.into()).is_some();
            }
            Event::Write { server: at, count } => return self.write(server(at), count),
            Event::Apply { server: at, count } => return self.apply(server(at), count),
            Event::Call { client } => return self.operate(usize::from(client)),
            Event::Deadline { back, ticks } => return self.set_deadline(back.into(), ticks),
            Event::Dial { from, to } => return self.dial(server(from), server(to)),
            Event::Gather { server: at } => return self.gather(server(at)),
            Event::Turn { server: at } => return self.end_turn(server(at)),
            Event::Idle { server: at } => return self.mark_idle(server(at)),
            Event::Prepare { server: at } => return self.prepare(server(at)),
            Event::Start { server: at, calls, keep } => {
                let at = server(at);
                if self.servers[at].process.is_some() {
                    return false;
                }
                self.start(at, (calls > 0).then_some(calls.into()), keep);
            }
            Event::Shutdown { server: at, keep } => return self.shut_down(server(at), keep),
            _ => return self.go_wrong(event),
        }
        true
    }

    /// What the run has come to so far.
    pub(crate) fn report(&self) -> Report {
        Report {
            runs: 1,
            steps: self.step,
            entries: self.oracle.commit().0,
            calls: self.oracle.calls() as u64,
            operations: self.operations.len() as u64,
            undecided: 0,
            coverage: self.coverage.clone(),
            hash: self.hash,
        }
    }

    /// The machine whose node leads the latest term, if it does.
    pub(crate) fn leader(&self) -> Option<u8> {
        let (_, leader) = self.oracle.leaders.last_key_value()?;
        let at = self
            .servers
            .iter()
            .position(|server| server.process.as_ref().is_some_and(|p| p.id == *leader))?;
        Some(at as u8)
    }
}
