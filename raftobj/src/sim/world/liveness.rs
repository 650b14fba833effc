//! The second phase of a run: faults end, and within a bound all is well.
//!
//! A leader serves, every node that has its disk has applied all that is committed, every caller has been answered,
//! and a call at each node succeeds, with whatever reads the workload made before it. Then every node serves a
//! linearizable read.

use super::World;
use super::server::Process;
use crate::node::status::Role;
use crate::object::Object;
use crate::sim::client::OperationId;
use crate::sim::violation::hold;

/// Rounds of one tick each, in which everything that waits is done, counted in the longest election timeouts: a leader
/// has to be heard of, votes may split a few times, and a call may wait for its deadline before it.
const TIMEOUTS_MAX: u64 = 40;

/// A leader may have to send its whole log, one entry at a time, before one of its own term lets it commit any.
const ROUNDS_AN_ENTRY: u64 = 8;

/// Progress that goes on for so many times longer is none: one leader after the other, say, commits its first entry.
const UNREST_MAX: u64 = 32;

const SERVES: &str = "after the last fault the cluster serves within a bound";

impl<T: Object> World<T> {
    /// Makes peace, and checks that it holds.
    pub(crate) fn make_peace(&mut self) {
        self.end_faults();
        self.await_verdicts();
        self.come_to_rest(SERVES);
        self.ask_everybody();
        // The others learn of it with the next heartbeats; who is asked before that must not read what is old.
        self.read_everywhere();
        self.come_to_rest(SERVES);
        self.try_trouble();
        self.read_everywhere();
        self.check_the_end();
    }

    /// Lets rounds pass until nothing is left to do. The bound is on rounds in which nothing is applied or answered: a
    /// long log over a narrow window takes its time.
    pub(super) fn come_to_rest(&mut self, rule: &str) {
        let rounds_max = self.rounds_max();
        let (mut done, mut idle, mut rounds) = (self.done(), 0, 0);
        while !self.is_quiet() {
            (idle, rounds) = (idle + 1, rounds + 1);
            hold!(
                idle <= rounds_max && rounds <= UNREST_MAX * rounds_max,
                rule,
                "after {idle} ticks of peace without progress, {rounds} in all, {}",
                self.unrest()
            );
            self.round();
            let now = self.done();
            if now != done {
                (done, idle) = (now, 0);
            }
        }
    }

    /// So many rounds of peace are enough for a leader to be heard of, and for its log to be everybody's.
    pub(super) fn rounds_max(&self) -> u64 {
        let limits = &self.setup.limits;
        let longest = self.live().map(|(_, process)| process.log.len() as u64).max().unwrap_or_default();
        TIMEOUTS_MAX * limits.election_ticks_max + limits.deadline_ticks_max + ROUNDS_AN_ENTRY * longest
    }

    /// Grows with everything that is applied or answered.
    fn done(&self) -> u64 {
        self.live().map(|(_, process)| process.applied.0).sum::<u64>() + self.ended as u64
    }

    /// One tick, and whatever waits.
    pub(crate) fn round(&mut self) {
        self.step += 1;
        let nodes = self.servers.len();
        for from in 0..nodes {
            for to in 0..nodes {
                self.dial(from, to);
            }
        }
        self.tick();
        for at in 0..nodes {
            while self.write(at, u8::MAX) || self.apply(at, u8::MAX) {}
        }
        for from in 0..nodes {
            for to in 0..nodes {
                self.deliver_all(from, to);
            }
        }
    }

    /// The nodes that have their disks.
    pub(super) fn live(&self) -> impl Iterator<Item = (usize, &Process<T>)> {
        self.servers
            .iter()
            .filter(|server| server.lost.is_none())
            .filter_map(|server| Some((server.number, server.process.as_ref()?)))
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.servers.iter().all(|server| server.lost.is_some() || server.process.is_some())
            && self.live().any(|(_, process)| process.node.headline().0 == Role::Leader)
            && self.live().all(|(_, process)| {
                process.node.headline().2.is_some()
                    && process.applied == self.oracle.commit()
                    && process.log.len() as u64 == process.applied.0
            })
            && self.operations.len() == self.ended
            && self
                .live()
                .map(|(_, process)| process.node.term())
                .all(|term| self.live().all(|(_, process)| process.node.term() == term))
    }

    /// What is not as it should be, for a person.
    pub(super) fn unrest(&self) -> String {
        let leaders = self.live().filter(|(_, process)| process.node.headline().0 == Role::Leader).count();
        let behind: Vec<String> = self
            .live()
            .filter(|(_, process)| process.applied != self.oracle.commit())
            .map(|(number, process)| format!("n{number} has applied {}", process.applied))
            .collect();
        let waiting: usize = self.live().map(|(_, process)| process.calls.len() + process.reads.len()).sum();
        let astray = self.live().filter(|(_, process)| process.node.headline().2.is_none()).count();
        let longer = self.live().filter(|(_, process)| process.log.len() as u64 != process.applied.0).count();
        format!(
            "there are {leaders} leaders, {astray} nodes know none, {} is committed, {longer} logs are longer, {waiting} \
             operations wait, {} of {} have ended; behind: [{}]",
            self.oracle.commit(),
            self.ended,
            self.operations.len(),
            behind.join(", ")
        )
    }

    /// An operation is made at each node; all of them must succeed.
    fn ask_everybody(&mut self) {
        let first = self.operations.len();
        let live: Vec<usize> = self.live().map(|(number, _)| number).collect();
        for (at, client) in live.into_iter().zip((0..self.clients.len()).cycle()) {
            self.ask_in_peace(client, at);
        }
        let bound = self.await_end(first);
        for id in (first..self.operations.len()).map(OperationId) {
            let operation = &self.operations[id.0];
            let ended = operation.ended.as_ref();
            let served = ended.is_some_and(|(_, end)| end.is_served(&self.setup.limits));
            hold!(
                served,
                "in peace every operation is served",
                "client {} at n{} ended with {:?} after {bound} ticks",
                operation.client,
                operation.server,
                operation.ended
            );
        }
    }

    /// Each node serves a linearizable read, of all that is committed when it is asked for.
    fn read_everywhere(&mut self) {
        let (first, commit) = (self.operations.len(), self.oracle.commit());
        let live: Vec<usize> = self.live().map(|(number, _)| number).collect();
        live.into_iter().for_each(|at| self.read_in_peace(at));
        let bound = self.await_end(first);
        for operation in &self.operations[first..] {
            let index = operation.ended.as_ref().and_then(|(_, end)| end.index());
            hold!(
                index.is_some_and(|index| index >= commit),
                "in peace every node serves a linearizable read",
                "n{} was asked at commit {commit}, and ended with {:?} after {bound} ticks at most",
                operation.server,
                operation.ended
            );
        }
    }

    /// Rounds until all operations from this one on have ended, or as many as that may take. Returns how many that is.
    fn await_end(&mut self, first: usize) -> u64 {
        let bound = 8 * self.setup.limits.election_ticks_max;
        for _ in 0..bound {
            if self.operations[first..].iter().all(|operation| operation.ended.is_some()) {
                break;
            }
            self.round();
        }
        bound
    }

    fn check_the_end(&self) {
        for (id, operation) in self.operations.iter().enumerate() {
            hold!(
                operation.ended.is_some(),
                "every caller is answered",
                "operation {id} of client {} at n{} never ends",
                operation.client,
                operation.server
            );
        }
        self.oracle.check_calls(&self.operations);
    }
}
