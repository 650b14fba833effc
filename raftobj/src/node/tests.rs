//! Whole nodes with their machines and calls under random schedules: a network that loses, repeats and reorders;
//! disks and methods that are late; processes that crash, lose what was not synced, and start anew.
//!
//! What is checked is what users are promised: each call has one outcome, by its deadline, and the log agrees with
//! it; a linearizable read misses nothing that was acknowledged before; replicas are equal at equal index; and a
//! cluster that is left in peace serves again.

use super::stories::config;
use super::*;
use crate::calls::outcome::{AppliedReason, CallError, Committed};
use crate::codec::command::Command;
use crate::object::fixture::{ADD, BOOM, Tally, TestRandom, arguments, session};
use crate::object::lock::StateLock;
use crate::object::machine::{Machine, MachineConfig, OnPanic};
use crate::raft::Persist;
use crate::raft::types::Boot;
use crate::raft::types::EntryKind;
use std::collections::VecDeque;
use std::sync::Arc;

enum Write {
    Persist(Persist),
    Founding(FoundingWrite),
}

/// A process, while it lives.
struct Process {
    node: Node,
    machine: Machine<Tally>,
    applied: Index,
    state: Arc<StateLock<Tally>>,
    unwritten: VecDeque<Write>,
    unapplied: VecDeque<Vec<Entry>>,
    /// Calls that have not ended, and when they have to.
    calls: BTreeMap<CallId, Ticks>,
    /// Reads that have not ended: what they must not miss, and when they have to end.
    reads: BTreeMap<ReadTicket, (Index, Ticks)>,
}

#[derive(Default)]
struct Server {
    boot: u64,
    disk: Remembered,
    process: Option<Process>,
}

struct World {
    seed: u64,
    random: TestRandom,
    size: u64,
    servers: BTreeMap<NodeId, Server>,
    wire: Vec<(NodeId, NodeId, Vec<u8>)>,
    now: Ticks,
    /// This one is cut off, until then.
    cut: Option<(NodeId, Ticks)>,
    made: u64,
    /// What was ever handed out to be applied.
    log: Vec<Entry>,
    digests: BTreeMap<Index, u64>,
    leaders: BTreeMap<Term, NodeId>,
    outcomes: BTreeMap<CallId, Result<Committed<Bytes>, CallError>>,
    /// The last index that somebody knows to have taken effect.
    seen: Index,
    read: u64,
}

impl World {
    fn new(seed: u64, size: u64) -> World {
        let mut world = World {
            seed,
            random: TestRandom(seed),
            size,
            servers: (1..=size).map(|id| (NodeId(id), Server::default())).collect(),
            wire: Vec::new(),
            now: Ticks(0),
            cut: None,
            made: 0,
            log: Vec::new(),
            digests: BTreeMap::new(),
            leaders: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            seen: Index(0),
            read: 0,
        };
        (1..=size).for_each(|id| world.start(NodeId(id)));
        world
    }

    fn start(&mut self, id: NodeId) {
        let server = self.servers.get_mut(&id).unwrap();
        server.boot += 1;
        let mut config = config(id.0, self.size);
        config.boot = Boot(server.boot);
        config.raft.seed = self.seed;
        config.raft.append_bytes_max = 1 + self.random.below(200) as usize;
        config.raft.apply_entries_max = 1 + self.random.below(9);
        config.calls.window_calls_max = 1 + self.random.below(8);
        config.calls.resend_ticks = 12;
        let own = session(id.0, server.boot);
        let state = Arc::new(StateLock::new(Tally::default()));
        let machine = MachineConfig { own, reply_bytes_max: 100, on_panic: OnPanic::GoOn };
        server.process = Some(Process {
            node: Node::new(config, server.disk.clone()),
            machine: Machine::new(Arc::clone(&state), machine),
            applied: Index(0),
            state,
            unwritten: VecDeque::new(),
            unapplied: VecDeque::new(),
            calls: BTreeMap::new(),
            reads: BTreeMap::new(),
        });
        for peer in (1..=self.size).map(NodeId).filter(|peer| *peer != id) {
            self.connect(id, peer);
            self.connect(peer, id);
        }
        self.settle(id);
    }

    /// `from` dials `to`, if both are there.
    fn connect(&mut self, from: NodeId, to: NodeId) {
        let hello = |world: &World, id| {
            world.servers[&id].process.as_ref().map(|p: &Process| p.node.hello().encode())
        };
        let (Some(ours), Some(theirs)) = (hello(self, from), hello(self, to)) else { return };
        let address = format!("n{}:1", to.0);
        assert_eq!(
            self.node(to).unwrap().judge(&ours, None).map(|(id, _)| id),
            Ok(from),
            "seed {}",
            self.seed
        );
        let node = self.node(from).unwrap();
        assert_eq!(node.judge(&theirs, Some(&address)).map(|(id, _)| id), Ok(to));
        node.disconnected(to);
        node.connected(to);
        self.settle(from);
        self.settle(to);
    }

    /// Loses the process and what it had not synced: a random number of the oldest writes survive.
    fn crash(&mut self, id: NodeId) {
        let server = self.servers.get_mut(&id).unwrap();
        let Some(mut process) = server.process.take() else { return };
        let kept = self.random.below(process.unwritten.len() as u64 + 1);
        for write in process.unwritten.drain(..).take(kept as usize) {
            server.disk.write(&write);
        }
        for other in (1..=self.size).map(NodeId).filter(|other| *other != id) {
            if let Some(node) = self.node(other) {
                node.disconnected(id);
            }
        }
    }

    fn node(&mut self, id: NodeId) -> Option<&mut Node> {
        self.servers.get_mut(&id).unwrap().process.as_mut().map(|process| &mut process.node)
    }

    /// Carries out what follows, and checks it.
    fn settle(&mut self, id: NodeId) {
        let seed = self.seed;
        let Some(process) = &mut self.servers.get_mut(&id).unwrap().process else { return };
        while let Some(effects) = process.node.effects() {
            for (to, message) in effects.messages {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                self.wire.push((id, to, bytes));
            }
            process.unwritten.extend(effects.persists.into_iter().map(Write::Persist));
            process.unwritten.extend(effects.founding.map(Write::Founding));
            for entry in &effects.committed {
                let at = entry.id.index.0 as usize - 1;
                assert!(at <= self.log.len(), "seed {seed}: {} is handed out with a gap", entry.id);
                if at == self.log.len() {
                    self.log.push(entry.clone());
                }
                assert_eq!(&self.log[at], entry, "seed {seed}: committed entries differ");
            }
            if !effects.committed.is_empty() {
                process.unapplied.push_back(effects.committed);
            }
            for (call, outcome) in effects.completions {
                assert!(process.calls.remove(&call).is_some(), "seed {seed}: {call:?} ends twice");
                if let Ok(Committed { index, .. }) | Err(CallError::Applied { index, .. }) = outcome {
                    let entry = &self.log[index.0 as usize - 1];
                    let command = Command::decode(&entry.payload).unwrap();
                    assert_eq!(
                        command.arguments,
                        arguments(call.0),
                        "seed {seed}: {call:?} is not at {index}"
                    );
                    assert!(process.applied >= index, "seed {seed}: it cannot read its write");
                    self.seen = self.seen.max(index);
                }
                assert!(self.outcomes.insert(call, outcome).is_none());
            }
            for (ticket, outcome) in effects.reads {
                let (floor, _) = process.reads.remove(&ticket).expect("a read ends once");
                if let Ok(index) = outcome {
                    assert!(index >= floor, "seed {seed}: a read at {index} misses {floor}");
                    assert!(index <= process.applied, "seed {seed}: read before it is applied");
                    self.seen = self.seen.max(index);
                    self.read += 1;
                }
            }
        }
        assert_eq!(process.node.stopped(), None, "seed {seed}");
        let (role, term, _) = process.node.headline();
        if role == Role::Leader {
            assert_eq!(*self.leaders.entry(term).or_insert(id), id, "seed {seed}: two leaders in {term}");
        }
        let now = self.now;
        assert!(process.calls.values().all(|end| *end >= now), "seed {seed}: a call outlives its deadline");
        assert!(
            process.reads.values().all(|(_, end)| *end >= now),
            "seed {seed}: a read outlives its deadline"
        );
    }

    fn tick(&mut self) {
        self.now.0 += 1;
        for id in (1..=self.size).map(NodeId) {
            let time = Time(1_000 + 10 * self.now.0);
            if let Some(node) = self.node(id) {
                node.tick(time);
            }
            self.settle(id);
        }
    }

    fn call(&mut self, id: NodeId, ticks: u64) {
        self.made += 1;
        let (call, end) = (CallId(self.made), Ticks(self.now.0 + ticks.max(1)));
        let method = if self.made.is_multiple_of(17) { BOOM } else { ADD };
        if let Some(process) = &mut self.servers.get_mut(&id).unwrap().process {
            process.calls.insert(call, end);
            process.node.call(call, method, arguments(call.0), Ticks(end.0 - self.now.0));
        }
        self.settle(id);
    }

    fn read(&mut self, id: NodeId, ticks: u64) {
        self.made += 1;
        let (ticket, end) = (ReadTicket(self.made), Ticks(self.now.0 + ticks.max(1)));
        let floor = self.seen;
        if let Some(process) = &mut self.servers.get_mut(&id).unwrap().process {
            process.reads.insert(ticket, (floor, end));
            process.node.read(ticket, Ticks(end.0 - self.now.0));
        }
        self.settle(id);
    }

    fn write(&mut self, id: NodeId) {
        let server = self.servers.get_mut(&id).unwrap();
        let Some(process) = &mut server.process else { return };
        let Some(write) = process.unwritten.pop_front() else { return };
        server.disk.write(&write);
        match &write {
            Write::Persist(persist) => process.node.persisted(persist.id),
            Write::Founding(founding) => process.node.founding_written(founding),
        }
        self.settle(id);
    }

    fn apply(&mut self, id: NodeId) {
        let Some(process) = &mut self.servers.get_mut(&id).unwrap().process else { return };
        let Some(entries) = process.unapplied.pop_front() else { return };
        let applied = process.machine.apply(&entries, &mut || false);
        for checkpoint in &applied.checkpoints {
            let digest = *self.digests.entry(checkpoint.index).or_insert(checkpoint.digest);
            assert_eq!(
                digest, checkpoint.digest,
                "seed {}: replicas differ at {}",
                self.seed, checkpoint.index
            );
        }
        process.applied = applied.upto.index;
        process.node.applied(applied);
        self.settle(id);
    }

    fn deliver(&mut self, at: usize, keep: bool) {
        let (from, to, bytes) = if keep { self.wire[at].clone() } else { self.wire.swap_remove(at) };
        if self.cut.is_some_and(|(cut, until)| (cut == from || cut == to) && self.now < until) {
            return;
        }
        let message = Message::decode(Bytes::from(bytes)).unwrap();
        if let Some(node) = self.node(to) {
            node.receive(from, message);
        }
        self.settle(to);
    }

    fn step(&mut self) {
        let id = NodeId(1 + self.random.below(self.size));
        match self.random.below(24) {
            0..=2 => self.tick(),
            3 => {
                let ticks = self.random.below(150);
                self.call(id, ticks);
            }
            4 => {
                let ticks = self.random.below(80);
                // Who is cut off may not know yet what the others have done since.
                let reader = self.cut.filter(|_| self.random.one_in(2)).map_or(id, |(cut, _)| cut);
                self.read(reader, ticks);
            }
            5 if self.random.one_in(20) => self.crash(id),
            6 if self.servers[&id].process.is_none() => self.start(id),
            7 if self.random.one_in(6) => {
                let other = NodeId(1 + self.random.below(self.size));
                if other != id {
                    self.connect(id, other);
                }
            }
            7 if self.random.one_in(12) => {
                // Nobody but a leader is worth it.
                let (latest, leader) =
                    self.leaders.last_key_value().map_or((Term(0), id), |(t, id)| (*t, *id));
                let cut = if latest > Term(0) { leader } else { id };
                self.cut = Some((cut, Ticks(self.now.0 + self.random.below(40))));
            }
            8..=11 => self.write(id),
            12..=14 => self.apply(id),
            _ => {
                for _ in 0..self.random.below(5).min(self.wire.len() as u64) {
                    let at = self.random.below(self.wire.len() as u64) as usize;
                    match self.random.below(30) {
                        0 => drop(self.wire.swap_remove(at)),
                        1 => self.deliver(at, true),
                        _ => self.deliver(at, false),
                    }
                }
            }
        }
        if self.wire.len() > 200 {
            self.wire.drain(..100);
        }
    }

    /// Everybody is there, and nothing is lost or late: after a while all is well.
    fn make_peace(&mut self) {
        for id in (1..=self.size).map(NodeId) {
            if self.servers[&id].process.is_none() {
                self.start(id);
            }
        }
        let silent = 101 + self.random.below(3);
        for round in 0..400 {
            self.tick();
            if (silent..silent + 12).contains(&round) {
                // A pause of the network, after which no more than before has to be said.
                self.wire.clear();
            }
            for id in (1..=self.size).map(NodeId) {
                // Once: whoever is to learn that an entry is committed learns it without another entry.
                if round == 100 {
                    self.call(id, 300);
                    self.read(id, 300);
                }
                (0..10).for_each(|_| self.write(id));
                (0..10).for_each(|_| self.apply(id));
            }
            for (from, to, bytes) in std::mem::take(&mut self.wire) {
                self.wire.push((from, to, bytes));
                self.deliver(self.wire.len() - 1, false);
            }
        }
    }

    fn check_the_end(&self) {
        let seed = self.seed;
        let processes = || self.servers.values().filter_map(|server| server.process.as_ref());
        let last = Index(self.log.len() as u64);
        for process in processes() {
            assert!(
                process.calls.is_empty() && process.reads.is_empty(),
                "seed {seed}: something never ends"
            );
            assert_eq!(process.applied, last, "seed {seed}: a replica stays behind");
            let state = process.state.read();
            for (call, outcome) in &self.outcomes {
                let count = state.counts.get(&call.0).copied().unwrap_or_default();
                let fits = match outcome {
                    Ok(Committed { value, .. }) => count == 1 && *value == arguments(1),
                    Err(CallError::Applied { reason: AppliedReason::Panicked(_), .. }) => count == 1,
                    Err(CallError::Unknown { .. }) => count <= 1,
                    Err(CallError::NotApplied { .. }) => count == 0,
                    Err(CallError::Applied { .. }) => false,
                };
                assert!(
                    fits,
                    "seed {seed}: {call:?} took effect {count} times, its caller was told {outcome:?}"
                );
            }
            assert!(state.counts.values().all(|count| *count == 1), "seed {seed}: a call took effect twice");
        }
        let end = self.outcomes.iter().rev().take(self.size as usize);
        for (call, outcome) in end {
            let done = matches!(outcome, Ok(_) | Err(CallError::Applied { .. }));
            assert!(done, "seed {seed}: in peace {call:?} ended with {outcome:?}");
        }
    }
}

impl Remembered {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Persist(persist) => {
                self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
                for entry in &persist.entries {
                    self.entries.truncate(entry.id.index.0 as usize - 1);
                    self.entries.push(entry.clone());
                }
            }
            Write::Founding(FoundingWrite::Proposal(list)) => self.proposal = Some(list.clone()),
            Write::Founding(FoundingWrite::Formed { membership, .. }) => {
                self.formed = Some(membership.clone())
            }
        }
    }
}

#[test]
fn random_schedules_keep_what_users_are_promised() {
    let (mut commands, mut done, mut reads, mut leaders) = (0, 0, 0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed, [1, 2, 3, 3, 3, 5][seed as usize % 6]);
        (0..6_000).for_each(|_| world.step());
        world.make_peace();
        world.check_the_end();
        commands += world.log.iter().filter(|entry| entry.kind == EntryKind::Command).count();
        done += world.outcomes.values().filter(|outcome| outcome.is_ok()).count();
        reads += world.read;
        leaders += world.leaders.len();
    }
    assert!(commands > 10_000 && done > 5_000, "only {commands} commands, {done} done");
    assert!(reads > 3_000 && leaders > 900, "only {reads} reads, {leaders} leaders");
}
