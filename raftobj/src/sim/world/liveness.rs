//! The liveness phase, the second of a run: faults end, and within a bound the cluster works again.
//!
//! There is a leader, every node that has not lost its disk has applied all that is committed, every operation has ended,
//! and at each node a call succeeds, with the reads that the workload makes before it. Then every node serves a
//! linearizable read.

use super::World;
use super::server::Process;
use crate::node::status::Role;
use crate::object::Object;
use crate::sim::operation::OperationId;
use crate::sim::oracle::replicas::Divergence;
use crate::sim::violation::ensure;

/// The bound, in the longest election timeouts: each node must hear from a leader, votes may split a few times, and a
/// call may wait for its deadline before that. A round takes one tick and does all queued work.
const TIMEOUTS_MAX: u64 = 40;

/// A leader may have to send its whole log, one entry at a time, before one of its own term lets it commit any.
const ROUNDS_PER_ENTRY: u64 = 8;

/// Progress without end is none: each new leader may commit its first entry, and nothing else. So the whole phase is
/// bounded, too, by this many times the bound.
const BOUNDS_MAX: u64 = 32;

const SERVES: &str = "after the last fault the cluster serves within a bound";

/// A dispute over digests ends within this many gossip intervals.
const DISPUTE_GOSSIPS: u64 = 7;

impl<T: Object> World<T> {
    /// Ends all faults, and checks that the cluster recovers and serves.
    pub(crate) fn run_liveness_phase(&mut self) {
        self.end_faults();
        self.resolve_divergence();
        self.await_quiet(SERVES);
        self.call_at_every_node();
        // Followers learn of the last commits with the next heartbeats. A read before that must not be stale.
        self.read_at_every_node();
        self.await_quiet(SERVES);
        self.run_liveness_fault();
        self.read_at_every_node();
        self.check_end();
    }

    /// All links carry again: a node whose digest differs stops, and restarts from its log, which is intact. A divergence
    /// that no reply has exposed is undetectable; a restart also repairs it.
    pub(super) fn resolve_divergence(&mut self) {
        for at in 0..self.servers.len() {
            match self.servers[at].process.as_mut().and_then(|process| process.divergence.as_mut()) {
                Some(Divergence::Hidden) => {
                    self.end_process(at, 0);
                    self.start(at, None, 0);
                }
                Some(Divergence::Pending) => {
                    let process = self.servers[at].process.as_mut();
                    process.into_iter().for_each(|process| process.divergence = None);
                }
                _ => {}
            }
        }
        let rounds_max = self.rounds_max();
        let gossip_ticks = 4 * self.setup.limits.heartbeat_ticks;
        let mut rounds = 0;
        while let Some(server) = self.servers.iter().find(|server| server.has_diverged()) {
            rounds += 1;
            ensure!(
                rounds <= rounds_max,
                "a diverged replica is detected",
                "n{}'s digest differs, and after {rounds_max} ticks without faults it still runs",
                server.number
            );
            self.round();
            self.start_all();
        }
        if self.divergence_seen {
            // Disputes that are still open, perhaps with a node that has restarted, end undecided.
            for _ in 0..DISPUTE_GOSSIPS * gossip_ticks {
                self.round();
                self.start_all();
            }
            self.divergence_seen = false;
        }
    }

    /// Runs rounds until nothing is left to do. The bound is on consecutive rounds without progress, because a long log
    /// over a narrow window takes many rounds.
    pub(super) fn await_quiet(&mut self, rule: &str) {
        let rounds_max = self.rounds_max();
        let (mut before, mut idle, mut rounds) = (self.progress(), 0, 0);
        while !self.is_quiet() {
            (idle, rounds) = (idle + 1, rounds + 1);
            ensure!(
                idle <= rounds_max && rounds <= BOUNDS_MAX * rounds_max,
                rule,
                "after {idle} ticks without progress, {rounds} in all, {}",
                self.describe_unfinished()
            );
            self.round();
            let now = self.progress();
            if now != before {
                (before, idle) = (now, 0);
            }
        }
    }

    /// This many rounds suffice to elect a leader, and to replicate its log to every node.
    pub(super) fn rounds_max(&self) -> u64 {
        let limits = &self.setup.limits;
        let longest = self.live().map(|(_, process)| process.log.len() as u64).max().unwrap_or_default();
        TIMEOUTS_MAX * limits.election_ticks_max + limits.deadline_ticks_max + ROUNDS_PER_ENTRY * longest
    }

    /// A measure of progress: it grows with each applied entry and each ended operation.
    fn progress(&self) -> u64 {
        self.live().map(|(_, process)| process.applied.0).sum::<u64>() + self.operations_ended as u64
    }

    /// One tick, and all queued work.
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
            if self.servers[at].process.as_ref().is_some_and(|process| process.writer.is_short_of_space()) {
                self.prepare_segment(at);
            }
            while self.write(at, u8::MAX) || (self.apply_held != Some(at) && self.apply(at, u8::MAX)) {}
        }
        for from in 0..nodes {
            for to in 0..nodes {
                self.deliver_all(from, to);
            }
        }
    }

    /// The running nodes that have not lost their disks.
    pub(super) fn live(&self) -> impl Iterator<Item = (usize, &Process<T>)> {
        self.servers
            .iter()
            .filter(|server| server.lost.is_none())
            .filter_map(|server| Some((server.number, server.process.as_ref()?)))
    }

    /// Whether there is nothing left to do: all nodes run, follow a leader in one term, and have applied everything.
    pub(super) fn is_quiet(&self) -> bool {
        self.servers.iter().all(|server| server.lost.is_some() || server.process.is_some())
            && self.live().any(|(_, process)| process.node.leadership().role == Role::Leader)
            && self.live().all(|(_, process)| {
                process.node.leadership().leader.is_some()
                    && process.applied == self.oracle.commit()
                    && process.log.len() as u64 == process.applied.0
            })
            && self.operations.len() == self.operations_ended
            && self
                .live()
                .map(|(_, process)| process.node.term())
                .all(|term| self.live().all(|(_, process)| process.node.term() == term))
    }

    /// What keeps the cluster from being quiet, as text.
    pub(super) fn describe_unfinished(&self) -> String {
        let leaders =
            self.live().filter(|(_, process)| process.node.leadership().role == Role::Leader).count();
        let behind: Vec<String> = self
            .live()
            .filter(|(_, process)| process.applied != self.oracle.commit())
            .map(|(number, process)| format!("n{number} has applied {}", process.applied))
            .collect();
        let pending: usize = self.live().map(|(_, process)| process.calls.len() + process.reads.len()).sum();
        let leaderless =
            self.live().filter(|(_, process)| process.node.leadership().leader.is_none()).count();
        let longer = self.live().filter(|(_, process)| process.log.len() as u64 != process.applied.0).count();
        format!(
            "there are {leaders} leaders, {leaderless} nodes know none, {} is committed, {longer} logs are longer, {pending} \
             operations wait, {} of {} have ended; behind: [{}]",
            self.oracle.commit(),
            self.operations_ended,
            self.operations.len(),
            behind.join(", ")
        )
    }

    /// Makes operations at each node; all of them must succeed.
    fn call_at_every_node(&mut self) {
        let first = self.operations.len();
        let live: Vec<usize> = self.live().map(|(number, _)| number).collect();
        for (at, client) in live.into_iter().zip((0..self.clients.len()).cycle()) {
            self.call_at(client, at);
        }
        let bound = self.await_operations_from(first);
        for id in (first..self.operations.len()).map(OperationId) {
            let operation = &self.operations[id.0];
            let ended = operation.ended.as_ref();
            let served = ended.is_some_and(|(_, end)| end.is_served(&self.setup.limits));
            ensure!(
                served,
                "without faults every operation succeeds",
                "client {} at n{} ended with {:?} after {bound} ticks",
                operation.client,
                operation.server,
                operation.ended
            );
        }
    }

    /// Makes a linearizable read at each node; it must see all that is committed when it is made.
    fn read_at_every_node(&mut self) {
        let (first, commit) = (self.operations.len(), self.oracle.commit());
        let live: Vec<usize> = self.live().map(|(number, _)| number).collect();
        live.into_iter().for_each(|at| self.read_at(at));
        let bound = self.await_operations_from(first);
        for operation in &self.operations[first..] {
            let index = operation.ended.as_ref().and_then(|(_, end)| end.index());
            ensure!(
                index.is_some_and(|index| index >= commit),
                "without faults every node serves a linearizable read",
                "the read at n{}, made at commit {commit}, ended with {:?} within {bound} ticks",
                operation.server,
                operation.ended
            );
        }
    }

    /// Runs rounds until all operations from `first` on have ended, up to a bound. Returns the bound.
    fn await_operations_from(&mut self, first: usize) -> u64 {
        let bound = 8 * self.setup.limits.election_ticks_max;
        for _ in 0..bound {
            if self.operations[first..].iter().all(|operation| operation.ended.is_some()) {
                break;
            }
            self.round();
        }
        bound
    }

    fn check_end(&self) {
        for (id, operation) in self.operations.iter().enumerate() {
            ensure!(
                operation.ended.is_some(),
                "every operation ends",
                "operation {id} of client {} at n{} has not ended",
                operation.client,
                operation.server
            );
        }
        self.oracle.check_calls(&self.operations);
    }
}
