//! Calls and state machines of three nodes, under a network that loses, duplicates and reorders, with leader changes
//! and restarts: every call ends, and its outcome is what happened.

use crate::calls::appended::{AppendedCalls, Proposal};
use crate::calls::*;
use crate::object::digest::Checkpoint;
use crate::object::fixture::{ADD, Tally, TestRandom, arguments, entry, noop, session};
use crate::object::lock::StateLock;
use crate::object::machine::{Between, Machine, MachineConfig, OnPanic};
use crate::raft::types::{Entry, EntryKind, Term};
use std::sync::Arc;

const NODES: u64 = 3;

struct Node {
    calls: Calls,
    machine: Machine<Tally>,
    state: Arc<StateLock<Tally>>,
    checkpoints: Vec<Checkpoint>,
    outcomes: BTreeMap<CallId, Result<Committed<Bytes>, CallError>>,
}

impl Node {
    fn start(id: u64, boot: u64) -> Node {
        let config = CallsConfig {
            window_calls_max: 8,
            queue_calls_max: 20,
            resend_ticks: 10,
            ..CallsConfig::default()
        };
        let state = Arc::new(StateLock::new(Tally::default()));
        let own = session(id, boot);
        let machine = MachineConfig { own, reply_bytes_max: 1_000, on_panic: OnPanic::Continue };
        Node {
            calls: Calls::new(own, config),
            machine: Machine::new(Arc::clone(&state), machine),
            state,
            checkpoints: Vec::new(),
            outcomes: BTreeMap::new(),
        }
    }
}

struct TestCluster {
    random: TestRandom,
    nodes: Vec<Node>,
    /// The leader's log; its first `committed` entries never change.
    log: Vec<Entry>,
    committed: usize,
    appended: AppendedCalls,
    leader: Option<LeaderId>,
    term: u64,
    /// Sender, receiver, command.
    in_flight: Vec<(usize, LeaderId, Command)>,
    now: u64,
    made: u64,
    /// Open calls of processes that have ended.
    abandoned: u64,
    boots: u64,
    faulty: bool,
}

impl TestCluster {
    fn new(seed: u64) -> TestCluster {
        TestCluster {
            random: TestRandom(seed),
            nodes: (1..=NODES).map(|id| Node::start(id, 1)).collect(),
            log: Vec::new(),
            committed: 0,
            appended: AppendedCalls::default(),
            leader: None,
            term: 0,
            in_flight: Vec::new(),
            now: 0,
            made: 0,
            abandoned: 0,
            boots: 1,
            faulty: true,
        }
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0 | 1 if self.faulty => self.make_call(),
            2 => {
                self.now += 1;
                for node in &mut self.nodes {
                    node.calls.tick(Ticks(self.now));
                }
            }
            3 if self.faulty && self.random.one_in(15) => self.change_leader(),
            4 => {
                let (at, leader) = (self.pick(), self.leader);
                self.nodes[at].calls.set_leader(leader);
            }
            5 if self.faulty && self.random.one_in(8) => {
                let (at, peer) = (self.pick(), NodeId(1 + self.random.below(NODES)));
                self.nodes[at].calls.reconnected(peer);
            }
            10 if self.faulty && self.random.one_in(40) => self.restart(),
            6 | 7 => {
                for _ in 0..self.random.below(6) {
                    self.deliver();
                }
            }
            8 => self.committed += self.random.below((self.log.len() - self.committed) as u64 + 1) as usize,
            9 => {
                let at = self.pick();
                self.apply(at);
            }
            _ => {
                let at = self.pick();
                self.drain(at);
            }
        }
        for node in &self.nodes {
            node.calls.check_invariants();
        }
    }

    fn pick(&mut self) -> usize {
        self.random.below(NODES) as usize
    }

    fn make_call(&mut self) {
        self.made += 1;
        let at = self.made % NODES;
        let wait = if self.faulty { self.random.below(120) } else { 10_000 };
        let (call, deadline) = (CallId(self.made), Ticks(self.now + wait));
        self.nodes[at as usize].calls.submit(call, ADD, arguments(self.made), deadline);
    }

    /// Entries that are not committed may be lost, or stay.
    fn change_leader(&mut self) {
        self.term += 1;
        let kept = self.committed + self.random.below((self.log.len() - self.committed) as u64 + 1) as usize;
        self.log.truncate(kept);
        self.appended.enter(Term(self.term));
        let node = NodeId(1 + self.random.below(NODES));
        self.leader = (!self.random.one_in(5)).then_some(LeaderId { node, term: Term(self.term) });
        if self.leader.is_some() {
            self.log.push(noop(self.term, kept as u64 + 1));
        }
    }

    /// A process ends and a new one starts with a higher boot; messages of the old one may still be in flight.
    fn restart(&mut self) {
        let at = self.pick();
        self.drain(at);
        self.boots += 1;
        let mut node = Node::start(at as u64 + 1, self.boots);
        node.calls.tick(Ticks(self.now));
        std::mem::swap(&mut node, &mut self.nodes[at]);
        self.abandoned += (node.calls.queued() + node.calls.unanswered()) as u64;
        self.nodes[at].outcomes = node.outcomes;
    }

    fn deliver(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let at = if self.faulty && self.random.one_in(6) {
            self.random.below(self.in_flight.len() as u64)
        } else {
            0
        };
        let (from, to, command) = self.in_flight.remove(at as usize);
        if self.faulty && self.random.one_in(12) {
            return;
        }
        if self.faulty && self.random.one_in(12) {
            self.in_flight.push((from, to, command.clone()));
        }
        if self.leader != Some(to) || (self.faulty && self.random.one_in(20)) {
            self.nodes[from].calls.refused(to.node, command.number, CallsRefusal::Busy);
            return;
        }
        match self.appended.check(&command) {
            Proposal::Append => {
                self.appended.append(&command);
                self.log.push(entry(self.term, self.log.len() as u64 + 1, &command));
            }
            Proposal::Known => {}
            Proposal::Gap => self.nodes[from].calls.refused(to.node, command.number, CallsRefusal::Gap),
        }
    }

    fn apply(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let done = node.checkpoints.len();
        let upto = done + self.random.below((self.committed - done) as u64 + 1) as usize;
        let applied = node.machine.apply(&self.log[done..upto], &mut || Between::Continue);
        node.checkpoints.extend(applied.checkpoints);
        for decision in applied.decisions {
            node.calls.decided(decision);
        }
        node.calls.applied(applied.upto.index);
    }

    fn drain(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let ready = node.calls.ready();
        for command in ready.commands {
            self.in_flight.push((at, ready.leader.expect("commands are for a leader"), command));
        }
        for (call, outcome) in ready.completions {
            assert!(node.outcomes.insert(call, outcome).is_none(), "call {} ended twice", call.0);
        }
    }

    fn ended(&self) -> u64 {
        self.abandoned + self.nodes.iter().map(|node| node.outcomes.len() as u64).sum::<u64>()
    }

    /// No faults from now on: every call ends, and new calls take effect.
    fn heal(&mut self) {
        self.faulty = false;
        self.change_leader();
        self.leader = Some(LeaderId { node: NodeId(1), term: Term(self.term) });
        self.settle();
        let first = self.made + 1;
        for _ in 0..10 {
            self.make_call();
        }
        self.settle();
        for call in first..=self.made {
            let outcome = self.nodes[(call % NODES) as usize].outcomes.get(&CallId(call));
            assert!(matches!(outcome, Some(Ok(_))), "call {call} after the faults: {outcome:?}");
        }
    }

    fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.ended() == self.made {
                return;
            }
            self.step();
        }
        panic!("only {} of {} calls have ended", self.ended(), self.made);
    }

    fn check(&mut self) {
        self.committed = self.log.len();
        for at in 0..self.nodes.len() {
            while self.nodes[at].checkpoints.len() < self.committed {
                self.apply(at);
            }
            assert_eq!(self.nodes[at].checkpoints, self.nodes[0].checkpoints, "digests");
        }
        let counts = self.nodes[0].state.read().counts.clone();
        assert!(counts.values().all(|count| *count == 1), "a call took effect twice: {counts:?}");
        // The calls of a node take effect in the order in which they were made, over all its boots.
        let mut effects = BTreeMap::new();
        let mut last = BTreeMap::new();
        for (entry, checkpoint) in self.log.iter().zip(&self.nodes[0].checkpoints) {
            if entry.kind == EntryKind::Noop || checkpoint.method.is_none() {
                continue;
            }
            let command = Command::decode(&entry.payload).unwrap();
            let this = (command.session.boot, command.number);
            let before = last.insert(command.session.node, this).unwrap_or_default();
            assert!(before < this, "{before:?} took effect before {this:?}");
            let key = u64::from_le_bytes(command.arguments.as_ref().try_into().unwrap());
            effects.insert(CallId(key), entry.id);
        }
        for (call, outcome) in self.nodes.iter().flat_map(|node| &node.outcomes) {
            let effect = effects.get(call).copied();
            match outcome {
                Ok(done) => {
                    assert_eq!(
                        Some(EntryId { term: done.term, index: done.index }),
                        effect,
                        "call {}",
                        call.0
                    );
                }
                Err(CallError::NotApplied { .. }) => assert_eq!(effect, None, "call {} took effect", call.0),
                Err(CallError::Unknown { .. }) => {}
                Err(error) => panic!("call {}: {error}", call.0),
            }
        }
    }
}

// Breaks: a retry is applied twice, or a caller gets a wrong outcome, or none.
#[test]
fn a_call_takes_effect_at_most_once_and_its_caller_gets_the_outcome() {
    let (mut committed, mut unknown) = (0, 0);
    for seed in 0..200 {
        let run = std::panic::catch_unwind(|| {
            let mut cluster = TestCluster::new(seed);
            for _ in 0..2_500 {
                cluster.step();
            }
            cluster.heal();
            cluster.check();
            let outcomes = cluster.nodes.into_iter().flat_map(|node| node.outcomes.into_values());
            outcomes.collect::<Vec<_>>()
        });
        let Ok(outcomes) = run else { panic!("seed {seed}") };
        committed += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        unknown +=
            outcomes.iter().filter(|outcome| matches!(outcome, Err(CallError::Unknown { .. }))).count();
    }
    assert!(committed > 5_000, "only {committed} calls were committed: too few for a test");
    assert!(unknown > 500, "only {unknown} calls timed out: too few for a test");
}
