//! A simulated cluster with its clients, and what each event does to it.
//!
//! Begin with [`World::handle_event`]. Then, a topic per file: `events` (the ordinary ones), `faults`, `operations` (of
//! clients), `effects` (what a node wants done, and the checks of it), `shutdown` (an orderly end of a process), `liveness`
//! (the second phase of a run), `liveness_faults` (single faults in it). The parts: `server` (a machine), `network`, and
//! `fault_budget` (how many faults a cluster must survive).

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
use crate::sim::client::RecordingHandle;
use crate::sim::coverage::Coverage;
use crate::sim::operation::Operation;
use crate::sim::oracle::Oracle;
use crate::sim::program::Program;
use crate::sim::report::Report;
use crate::sim::schedule::event::Event;
use crate::sim::schedule::setup::Setup;
use fault_budget::FaultBudget;
use network::Network;
use server::Server;
use std::rc::Rc;

/// A cluster and its clients.
pub(crate) struct World<T: Object> {
    pub(crate) program: Rc<Program<T>>,
    pub(crate) setup: Setup,
    pub(crate) servers: Vec<Server<T>>,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle<T>,
    pub(crate) fault_budget: FaultBudget,
    pub(crate) operations: Vec<Operation<T>>,
    pub(crate) clients: Vec<ClientState>,
    pub(crate) coverage: Coverage,
    pub(crate) step: u64,
    /// Virtual time, which wall clocks follow: everything within one tick has the same time.
    pub(super) ticks: u64,
    /// A hash of everything that happened: equal for equal runs.
    pub(crate) hash: u64,
    /// Whether a replica's digest has differed, which may stop a node.
    pub(super) divergence_seen: bool,
    /// In the liveness phase: the machine whose object does not apply entries for a while.
    pub(super) apply_held: Option<usize>,
    /// In the liveness phase: the only machine whose node may stop, because its replica is wrong.
    pub(super) may_stop: Option<usize>,
    /// The number of operations that have ended.
    pub(crate) operations_ended: usize,
    /// Records the calls of workloads.
    pub(super) handle: RecordingHandle<T>,
    /// The last index that was acknowledged to any client.
    pub(super) acknowledged: Index,
}

/// The state of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientState {
    /// The machine that gets its operations.
    pub(super) home: usize,
    /// The number of operations that it has made.
    pub(super) operations: u64,
    /// The number of its operations that have not ended.
    pub(super) pending: u64,
    /// Its last local read: the machine, its life, the index.
    pub(super) last_local_read: Option<(usize, u64, Index)>,
    /// Its last acknowledged call: the machine, its life, the index.
    pub(super) last_call: Option<(usize, u64, Index)>,
}

impl<T: Object> World<T> {
    pub(crate) fn new(program: Rc<Program<T>>, setup: Setup) -> World<T> {
        let servers = (0..usize::from(setup.nodes)).map(Server::new).collect();
        let clients = (0..setup.clients)
            .map(|client| ClientState { home: usize::from(client % setup.nodes), ..ClientState::default() });
        let mut world = World {
            servers,
            network: Network::new(setup.nodes),
            oracle: Oracle::new((program.object)()),
            fault_budget: FaultBudget::new(setup.nodes),
            operations: Vec::new(),
            clients: clients.collect(),
            coverage: Coverage::default(),
            step: 0,
            ticks: 0,
            hash: setup.seed,
            divergence_seen: false,
            apply_held: None,
            may_stop: None,
            operations_ended: 0,
            handle: RecordingHandle::new((program.object)()),
            acknowledged: Index(0),
            setup,
            program,
        };
        (0..world.servers.len()).for_each(|server| world.start(server, None, 0));
        world
    }

    /// Lets an event happen, and counts it if it had an effect.
    pub(crate) fn handle_event(&mut self, event: Event) {
        self.step += 1;
        let had_effect = self.dispatch(event);
        if had_effect {
            self.coverage.count(event.kind());
            self.hash = mix(self.hash, event.kind() as u64);
        }
    }

    /// Lets an event happen. Returns whether it had an effect.
    fn dispatch(&mut self, event: Event) -> bool {
        let nodes = self.servers.len();
        let server = |number: u8| usize::from(number) % nodes;
        match event {
            Event::Tick {} => self.tick(),
            Event::Deliver { from, to, count } => {
                let (from, to) = (server(from), server(to));
                let awake = self.servers[to].is_awake();
                let mut received = false;
                for _ in 0..count.max(1) {
                    match awake.then(|| self.network.at(from, to).take(0)).flatten() {
                        Some(message) => received |= self.receive(from, to, message),
                        None => break,
                    }
                }
                self.handle_effects(to);
                return received;
            }
            Event::Overtake { from, to, .. } | Event::Repeat { from, to, .. } | Event::Echo { from, to } => {
                let (from, to) = (server(from), server(to));
                if !self.servers[to].is_awake() {
                    return false;
                }
                let link = self.network.at(from, to);
                let message = match event {
                    Event::Overtake { nth, .. } => link.take(nth.into()),
                    Event::Repeat { nth, .. } => link.repeat(nth.into()),
                    _ => link.take_echo(),
                };
                let Some(message) = message else { return false };
                self.receive(from, to, message);
                self.handle_effects(to);
            }
            Event::Drop { from, to, nth } => {
                return self.network.at(server(from), server(to)).take(nth.into()).is_some();
            }
            Event::Write { server: at, count } => return self.write(server(at), count),
            Event::Apply { server: at, count } => return self.apply(server(at), count),
            Event::Call { client } => return self.handle_call(usize::from(client)),
            Event::Deadline { back, ticks } => return self.set_deadline(back.into(), ticks),
            Event::Dial { from, to } => return self.dial(server(from), server(to)),
            Event::Gather { server: at } => return self.begin_turn(server(at)),
            Event::Turn { server: at } => return self.end_turn(server(at)),
            Event::Idle { server: at } => return self.mark_idle(server(at)),
            Event::Prepare { server: at } => return self.prepare_segment(server(at)),
            Event::Start { server: at, calls, keep } => {
                let at = server(at);
                if self.servers[at].process.is_some() {
                    return false;
                }
                self.start(at, (calls > 0).then_some(calls.into()), keep);
            }
            Event::Shutdown { server: at, keep } => return self.shut_down(server(at), keep),
            _ => return self.inject_fault(event),
        }
        true
    }

    /// A report on the run so far.
    pub(crate) fn report(&self) -> Report {
        Report {
            runs: 1,
            steps: self.step,
            entries: self.oracle.commit().0,
            calls: self.oracle.calls() as u64,
            operations: self.operations.len() as u64,
            undecided_histories: 0,
            coverage: self.coverage.clone(),
            hash: self.hash,
        }
    }

    /// The machine of the latest term's leader, if its process still runs.
    pub(crate) fn leader(&self) -> Option<u8> {
        let (_, leader) = self.oracle.leaders.last_key_value()?;
        let at = self
            .servers
            .iter()
            .position(|server| server.process.as_ref().is_some_and(|p| p.id == *leader))?;
        Some(at as u8)
    }
}
