//! A cluster in which events happen, one at a time, and what follows from each.
//!
//! Begin with [`World::happen`]. What an event does to a node comes out as the node's effects, which [`World::settle`]
//! carries out as far as no time passes: messages go on their links, writes and entries into their queues, and
//! everything that was said or decided is shown to the [`Oracle`].

use super::atlas::Atlas;
use super::blackbox::Judge;
use super::client::{Client, End, Operation, OperationId, What, recorder};
use super::coverage::Coverage;
use super::event::Event;
use super::links::Links;
use super::oracle::Oracle;
use super::random::Random;
use super::report::Report;
use super::server::{Process, Server, Waiting, address, append};
use super::setup::Setup;
use super::violation::{Violation, hold};
use crate::calls::{CallId, ReadTicket};
use crate::codec::message::Message;
use crate::hash::{hash_bytes, mix};
use crate::memory::Write;
use crate::node::Effects;
use crate::node::status::Role;
use crate::object::Object;
use crate::raft::types::{Index, NodeId, Ticks, Time};
use bytes::Bytes;
use std::rc::Rc;

/// Asks for a client's next operation.
pub(crate) type Workload<T> = Box<dyn Fn(&mut Client<'_, T>)>;

/// What a user simulates: how an object is made, and what clients ask of it.
pub(crate) struct Program<T: Object> {
    pub(crate) object: Box<dyn Fn() -> T>,
    pub(crate) workload: Workload<T>,
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
    /// Of everything that happened: equal for equal runs.
    pub(crate) hash: u64,
    /// How many operations have ended.
    pub(crate) ended: usize,
    handle: T::Handle,
    /// The last index that anybody knows to have taken effect.
    seen: Index,
}

/// What a client remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientState {
    /// The machine it talks to.
    home: usize,
    made: u64,
    waiting: u64,
    /// Its last local read: at which machine, in which life, after which index.
    seen: Option<(usize, u64, Index)>,
    /// What its own last call did, in which life of which machine.
    wrote: Option<(usize, u64, Index)>,
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
            hash: setup.seed,
            ended: 0,
            handle: recorder((program.object)()),
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
            Event::Overtake { from, to, nth } | Event::Repeat { from, to, nth } => {
                let (from, to) = (server(from), server(to));
                if !self.servers[to].is_awake() {
                    return false;
                }
                let link = self.links.at(from, to);
                let message = match event {
                    Event::Repeat { .. } => link.peek(nth.into()).cloned(),
                    _ => link.take(nth.into()),
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
            Event::Dial { from, to } => return self.dial(server(from), server(to)),
            Event::Idle { server: at } => return self.mark_idle(server(at)),
            Event::Prepare { server: at } => return self.prepare(server(at)),
            Event::Start { server: at, calls, keep } => {
                let at = server(at);
                if self.servers[at].process.is_some() {
                    return false;
                }
                self.start(at, (calls > 0).then_some(calls.into()), keep);
            }
            _ => return self.go_wrong(event),
        }
        true
    }

    /// A tick of virtual time.
    fn tick(&mut self) {
        for at in 0..self.servers.len() {
            let server = &mut self.servers[at];
            // What a process misses while it stands still is made up for in part, as the driver does.
            server.phase = (server.phase + server.percent).min(500);
            while self.servers[at].phase >= 100 && self.servers[at].is_awake() {
                self.servers[at].phase -= 100;
                self.tick_node(at);
            }
        }
    }

    fn tick_node(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return };
        process.ticks.0 += 1;
        let time = (1_000_000_000 + 10 * self.step).saturating_add_signed(server.clock_ahead_ms);
        process.node.tick(Time(time));
        self.settle(at);
        let Some(process) = &self.servers[at].process else { return };
        for waiting in process.calls.values().chain(process.reads.values()) {
            hold!(
                waiting.end >= process.ticks,
                "every caller is answered by the deadline",
                "operation {} at n{at} outlives its deadline",
                waiting.operation.0
            );
        }
    }

    /// A message arrives, if whom it was sent to is still there.
    fn receive(&mut self, from: usize, to: usize, message: Vec<u8>) -> bool {
        self.hash = hash_bytes(mix(self.hash, (from << 8 | to) as u64), &message);
        let id = match message.get(..8) {
            Some(id) => NodeId(u64::from_le_bytes(id.try_into().expect("eight bytes"))),
            None => unreachable!("messages are sent with their sender's id"),
        };
        let message = match Message::decode(Bytes::from(message).slice(8..)) {
            Ok(message) => message,
            Err(error) => Violation::raise("messages are read back", format!("n{from} to n{to}: {error}")),
        };
        match &mut self.servers[to].process {
            Some(process) => process.node.receive(id, message),
            None => return false,
        }
        true
    }

    /// A disk does what waits for it, as one group.
    fn write(&mut self, at: usize, count: u8) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || server.hung || process.writes.is_empty() {
            return false;
        }
        let count = usize::from(count).clamp(1, process.writes.len());
        let writes: Vec<Write> = process.writes.drain(..count).collect();
        if let Some((call, how)) = server.fails_next.take() {
            self.atlas.fail_disk(&server.disk, call, how);
        }
        let result = server.write(writes);
        let Some(process) = &mut self.servers[at].process else { return true };
        match result {
            Ok(written) => {
                for step in &written.founding {
                    process.node.founding_written(step);
                }
                if let Some(id) = written.persisted {
                    process.node.persisted(id);
                }
                self.settle(at);
            }
            Err(reason) => self.stop(at, &reason),
        }
        true
    }

    /// A process whose disk failed: it stops, says so to its callers, and is gone.
    pub(crate) fn stop(&mut self, at: usize, reason: &str) {
        let injected = self.atlas.explains(&self.servers[at], reason);
        hold!(injected, "a disk that is whole does not fail", "n{at}: {reason}");
        if let Some(process) = &mut self.servers[at].process {
            process.node.stop(reason);
        }
        self.settle(at);
        if let Some(process) = &self.servers[at].process {
            hold!(
                process.calls.is_empty() && process.reads.is_empty(),
                "a node that stops answers its callers",
                "n{at} leaves {} calls and {} reads",
                process.calls.len(),
                process.reads.len()
            );
        }
        self.process_ends(at, 0);
    }

    /// An object applies what waits for it.
    fn apply(&mut self, at: usize, count: u8) -> bool {
        let Some(process) = &mut self.servers[at].process else { return false };
        if process.paused || process.committed.is_empty() {
            return false;
        }
        for _ in 0..usize::from(count).clamp(1, process.committed.len()) {
            let Some(entries) = process.committed.pop_front() else { break };
            let applied = process.machine.apply(&entries, &mut || false);
            let count = applied.checkpoints.len();
            if let Some(stop) = &applied.stop {
                Violation::raise("every committed entry can be applied", format!("n{at}: {stop}"));
            }
            for checkpoint in &applied.checkpoints {
                self.hash = mix(self.hash, checkpoint.digest);
            }
            process.applied = applied.upto.index;
            self.oracle.applied(at, &entries[..count.min(entries.len())], &applied.checkpoints);
            process.node.applied(applied);
        }
        self.settle(at);
        true
    }

    fn mark_idle(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || server.hung || !process.writes.is_empty() {
            return false;
        }
        if let Err(reason) = process.memory.mark_idle() {
            self.stop(at, &reason);
        }
        true
    }

    /// The background's work on the next file: taken at one event, done and handed in at another.
    fn prepare(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || server.hung {
            return false;
        }
        match process.preparing.take() {
            None => process.preparing = process.memory.prepare_next(),
            Some(job) => {
                if let Err(reason) = process.memory.prepared(job.run()) {
                    self.stop(at, &reason);
                }
            }
        }
        true
    }

    /// A machine starts its process.
    pub(crate) fn start(&mut self, at: usize, dies_at: Option<u64>, keep: u8) {
        let object = (self.program.object)();
        let server = &mut self.servers[at];
        match server.start(&self.setup, object, dies_at) {
            Ok(()) => {
                server.disk.power_on();
                let process = server.process.as_ref().expect("it has just started");
                hold!(
                    server.lost != Some(super::server::Loss::Damaged),
                    "a damaged disk is refused",
                    "n{at} starts from a disk with a flipped bit"
                );
                self.hash = mix(self.hash, process.log.len() as u64);
                self.settle(at);
            }
            Err(_) if dies_at.is_some() => self.process_ends(at, keep.max(1)),
            Err(reason) => {
                let injected = self.atlas.explains(&self.servers[at], &reason);
                hold!(injected, "a disk that is whole is read back", "n{at}: {reason}");
                // The process ended with that message; whoever starts it again meets it again.
                self.servers[at].disk.restart();
            }
        }
    }

    /// The process is gone, its callers know nothing.
    pub(crate) fn process_ends(&mut self, at: usize, keep: u8) {
        if let Some(process) = &self.servers[at].process {
            let waiting: Vec<OperationId> =
                process.calls.values().chain(process.reads.values()).map(|w| w.operation).collect();
            for operation in waiting {
                self.end(operation, End::Unknown);
            }
        }
        self.servers[at].crash(keep);
        self.links.process_gone(at);
    }

    /// `from` dials `to`: each shows the other who it is.
    fn dial(&mut self, from: usize, to: usize) -> bool {
        let both = self.servers[from].is_awake() && self.servers[to].is_awake();
        if from == to || !both || self.links.get(from, to).is_cut() || self.links.get(to, from).is_cut() {
            return false;
        }
        let life = self.servers[to].lives;
        if self.links.get(from, to).connected() == Some(life) {
            return false;
        }
        if self.links.at(from, to).disconnect() {
            self.lose_connection(from, to);
        }
        let hello = |world: &World<T>, at: usize| {
            world.servers[at].process.as_ref().map(|process| (process.node.hello().encode(), process.id))
        };
        let (Some((ours, _)), Some((theirs, peer))) = (hello(self, from), hello(self, to)) else {
            return false;
        };
        let accepted = self.node(to).judge(&ours, None);
        let accepted = accepted.and_then(|_| self.node(from).judge(&theirs, Some(&address(to))));
        self.atlas.check_stranger(&self.servers, from, to, accepted.is_ok());
        if accepted.is_ok() {
            self.links.at(from, to).connect(life);
            self.node(from).connected(peer);
        }
        self.settle(to);
        self.settle(from);
        true
    }

    /// Tells a node that the connection it dialled is gone.
    pub(crate) fn lose_connection(&mut self, from: usize, to: usize) {
        let peer = self.servers[to].id(self.setup.seed);
        if let Some(process) = &mut self.servers[from].process {
            process.node.disconnected(peer);
        }
    }

    pub(crate) fn node(&mut self, at: usize) -> &mut crate::node::Node {
        match &mut self.servers[at].process {
            Some(process) => &mut process.node,
            None => unreachable!("n{at} is up"),
        }
    }

    /// A client makes its next operation.
    fn operate(&mut self, client: usize) -> bool {
        self.operate_for(client, None)
    }

    fn operate_for(&mut self, client: usize, deadline: Option<Ticks>) -> bool {
        let number = client % self.clients.len();
        let client = &mut self.clients[number];
        if client.waiting >= self.setup.limits.client_calls_max {
            return false;
        }
        let nodes = self.servers.len();
        if !self.servers[client.home].is_awake() {
            client.home = (client.home + 1) % nodes;
            return false;
        }
        let made = client.made;
        client.made += 1;
        let serial = self.operations.len() as u64 + 1;
        let random = Random::of(mix(self.setup.seed, 100 + number as u64), made);
        let mut face = Client::new(number, serial, random, &self.handle);
        (self.program.workload)(&mut face);
        let mut random = face.random().clone();
        let Some(wanted) = face.into_wanted() else { return false };
        let (at, id) = (client.home, OperationId(self.operations.len()));
        let drawn = Ticks(random.between(1, self.setup.limits.deadline_ticks_max));
        let deadline = deadline.unwrap_or(drawn);
        self.operations.push(Operation {
            client: number,
            server: at,
            life: self.servers[at].lives,
            what: wanted.what.clone(),
            key: wanted.key,
            invoked: self.step,
            floor: self.seen,
            ended: None,
        });
        self.clients[number].waiting += 1;
        let Some(process) = &mut self.servers[at].process else { return false };
        let waiting = Waiting { operation: id, end: Ticks(process.ticks.0 + deadline.0) };
        match wanted.what {
            What::Call { method, arguments, .. } => {
                let call = CallId(serial);
                process.calls.insert(call, waiting);
                process.node.call(call, method, arguments, deadline);
            }
            What::Read { local: false, .. } => {
                let ticket = ReadTicket(serial);
                process.reads.insert(ticket, waiting);
                process.node.read(ticket, deadline);
            }
            What::Read { local: true, read } => {
                let (index, value) = (process.applied, read(&process.state.read()));
                self.end(id, End::Read { index, value });
            }
        }
        self.settle(at);
        true
    }

    /// An operation has ended.
    fn end(&mut self, id: OperationId, end: End) {
        let operation = &mut self.operations[id.0];
        hold!(operation.ended.is_none(), "a caller is answered once", "operation {} ends twice", id.0);
        let client = &mut self.clients[operation.client];
        client.waiting = client.waiting.saturating_sub(1);
        self.ended += 1;
        let here = (operation.server, operation.life);
        self.hash = mix(self.hash, end.index().map_or(0, |index| index.0));
        match (&operation.what, &end) {
            (What::Read { local: true, .. }, End::Read { index, .. }) => {
                // Sequential consistency: what a client sees of one process only grows, and holds its own writes.
                for (server, life, before) in [client.seen, client.wrote].into_iter().flatten() {
                    hold!(
                        (server, life) != here || *index >= before,
                        "local reads go forward, and see the client's own calls",
                        "client {} reads n{} at {index} after {before}",
                        operation.client,
                        operation.server
                    );
                }
                client.seen = Some((here.0, here.1, *index));
            }
            (What::Read { .. }, End::Read { index, .. }) => {
                hold!(
                    *index >= operation.floor,
                    "a linearizable read sees all that ended before it was made",
                    "client {} reads n{} at {index}, {} was known",
                    operation.client,
                    operation.server,
                    operation.floor
                );
                self.seen = self.seen.max(*index);
            }
            (What::Call { .. }, _) => {
                self.oracle.returned(operation.client, &operation.what, &end, operation.floor);
                if let Some(index) = end.index() {
                    let applied = self.servers[here.0].process.as_ref().map(|process| process.applied);
                    hold!(
                        applied.is_some_and(|applied| applied >= index),
                        "a caller can read its write",
                        "client {}'s call is at {index}, n{} has applied {applied:?}",
                        operation.client,
                        operation.server
                    );
                    self.seen = self.seen.max(index);
                    client.wrote = Some((here.0, here.1, index));
                }
            }
            _ => {}
        }
        if matches!(end, End::Unknown | End::Refused) {
            // Whoever got no answer asks elsewhere.
            client.home = (client.home + 1) % self.servers.len();
        }
        operation.ended = Some((self.step, end));
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

    /// For times of peace: a connection that is missing or dead is made anew.
    pub(crate) fn redial(&mut self, from: usize, to: usize) {
        self.dial(from, to);
    }

    /// For times of peace: a tick on every machine.
    pub(crate) fn pass_time(&mut self) {
        self.tick();
    }

    /// For times of peace: everything that waits for the disk.
    pub(crate) fn write_all(&mut self, at: usize) -> bool {
        self.write(at, u8::MAX)
    }

    /// For times of peace: everything that waits for the object.
    pub(crate) fn apply_all(&mut self, at: usize) -> bool {
        self.apply(at, u8::MAX)
    }

    /// For times of peace: everything that is on a link now.
    pub(crate) fn deliver_all(&mut self, from: usize, to: usize) {
        for _ in 0..self.links.get(from, to).len() {
            if let Some(message) = self.links.at(from, to).take(0) {
                self.receive(from, to, message);
            }
        }
        self.settle(to);
    }

    /// For times of peace: a client asks a node for something.
    pub(crate) fn ask_in_peace(&mut self, client: usize, at: usize) {
        self.clients[client].home = at;
        self.clients[client].waiting = 0;
        self.operate_for(client, Some(Ticks(6 * self.setup.limits.election_ticks_max)));
    }

    /// Carries out what follows at once from what a node was told, and checks it.
    pub(crate) fn settle(&mut self, at: usize) {
        loop {
            let Some(process) = &mut self.servers[at].process else { return };
            let Some(effects) = process.node.effects() else { break };
            self.carry_out(at, effects);
        }
        self.look_at(at);
    }

    fn carry_out(&mut self, at: usize, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings: _ } = effects;
        let Some(Process { id, .. }) = self.servers[at].process else { return };
        for (to, message) in messages {
            self.oracle.told(at, id, to, &message, &self.servers[at].durable);
            self.send(at, id, to, &message);
        }
        let Some(process) = &mut self.servers[at].process else { return };
        for persist in persists {
            if let Some(first) = persist.entries.first().map(|entry| entry.id.index) {
                persist.entries.iter().for_each(|entry| append(&mut process.log, entry));
                self.oracle.appended(at, &process.log, first);
            }
            process.writes.push_back(Write::Persist(persist));
        }
        process.writes.extend(founding.map(Write::Founding));
        // What is committed must be known as such before it is handed out.
        self.look_at_commit(at);
        let Server { process, durable, .. } = &mut self.servers[at];
        let Some(process) = process else { return };
        if let Some(last) = committed.last() {
            hold!(
                committed[0].id.index == process.handed.next(),
                "entries are applied without gaps",
                "n{at} is handed {} after {}",
                committed[0].id,
                process.handed
            );
            process.handed = last.id.index;
            self.oracle.handed_out(at, &committed, &process.log, durable);
            process.committed.push_back(committed);
        }
        let mut ended = Vec::new();
        for (call, outcome) in completions {
            let Some(waiting) = process.calls.remove(&call) else {
                Violation::raise("a caller is answered once", format!("n{at} ends {call:?} again"))
            };
            ended.push((waiting.operation, End::of_call(&outcome)));
        }
        for (ticket, outcome) in reads {
            let Some(waiting) = process.reads.remove(&ticket) else {
                Violation::raise("a caller is answered once", format!("n{at} ends {ticket:?} again"))
            };
            if let Ok(index) = outcome {
                hold!(
                    index <= process.applied,
                    "a read is served after what it needs is applied",
                    "n{at} serves a read at {index}, applied is {}",
                    process.applied
                );
            }
            let What::Read { read, .. } = &self.operations[waiting.operation.0].what else { continue };
            // The state may be newer than the read asked for.
            let served = outcome.map(|_| process.applied);
            ended.push((waiting.operation, End::of_read(&served, || read(&process.state.read()))));
        }
        for (operation, end) in ended {
            self.end(operation, end);
        }
    }

    fn send(&mut self, from: usize, id: NodeId, to: NodeId, message: &Message) {
        let seed = self.setup.seed;
        let Some(to) = self.servers.iter().position(|server| server.id(seed) == to) else { return };
        let life = self.servers[to].lives;
        let link = self.links.at(from, to);
        // Whoever dialled an earlier process of the peer writes into a dead connection.
        if link.connected() == Some(life) {
            let mut bytes = Vec::with_capacity(64);
            bytes.extend_from_slice(&id.0.to_le_bytes());
            message.encode(&mut bytes);
            link.send(bytes);
        }
    }

    /// A commit index that grew is shown to the oracle.
    fn look_at_commit(&mut self, at: usize) {
        let Some(process) = &self.servers[at].process else { return };
        let Some(raft) = process.node.raft() else { return };
        let (before, commit) = (process.commit, raft.commit());
        hold!(commit >= before, "a commit index never goes back", "n{at}: from {before} to {commit}");
        if commit > before {
            let durable = self.servers.iter().map(|server| &server.durable);
            self.oracle.committed(at, commit, &process.log, durable, self.atlas.lost());
        }
        if let Some(process) = &mut self.servers[at].process {
            process.commit = commit;
        }
    }

    /// Looks at what a node has become.
    fn look_at(&mut self, at: usize) {
        self.look_at_commit(at);
        let Some(process) = &mut self.servers[at].process else { return };
        let Some(raft) = process.node.raft() else { return };
        let (before, now) = (process.hard_state, raft.hard_state());
        if before != now {
            hold!(
                now.term >= before.term,
                "a term never goes back",
                "n{at}: {} to {}",
                before.term,
                now.term
            );
            hold!(
                now.term > before.term || before.voted_for.is_none(),
                "a vote changes only with its term",
                "n{at} in term {}: from {before:?} to {now:?}",
                now.term
            );
            process.hard_state = now;
        }
        let stopped = process.node.stopped();
        let (role, term, _) = process.node.headline();
        hold!(
            stopped.is_none_or(|reason| reason.starts_with("cannot ") || reason.contains("log")),
            "no node stops without a reason",
            "n{at}: {}",
            stopped.unwrap_or_default()
        );
        self.oracle.member_of(at, raft.membership());
        if role == Role::Leader {
            self.oracle.leads(at, process.id, term, &process.log);
        }
    }
}
