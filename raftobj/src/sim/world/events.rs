//! Ordinary events: time passes, messages arrive, disks write, objects apply, processes start and end.

use super::World;
use super::server::{Loss, Process, ThreadReport, address};
use crate::codec::message::Message;
use crate::hash::{hash_bytes, mix};
use crate::node::Node;
use crate::object::Object;
use crate::object::machine::Between;
use crate::persistence::{Write, Written};
use crate::raft::types::{NodeId, Time};
use crate::sim::operation::{End, OperationId};
use crate::sim::oracle::replicas::Divergence;
use crate::sim::violation::{Violation, ensure};
use bytes::Bytes;

/// About how many calls a write makes to its disk. A fault is injected into one of them.
pub(super) const WRITE_CALLS: u64 = 4;

/// About how many calls a start makes to its disk.
const START_CALLS: u64 = 40;

/// An engine catches up on at most this many missed ticks.
const MISSED_TICKS_MAX: u64 = 5;

impl<T: Object> World<T> {
    /// A tick of virtual time.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        for at in 0..self.servers.len() {
            let server = &mut self.servers[at];
            // An engine catches up on some of the ticks that it missed, as in the driver.
            server.tick_hundredths =
                (server.tick_hundredths + server.rate_percent).min(100 * MISSED_TICKS_MAX);
            if server.process.as_ref().is_some_and(|process| !process.paused && !process.in_turn) {
                self.tick_node(at);
            }
        }
    }

    /// Passes the ticks that are due to a node.
    fn tick_node(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return };
        let time = (1_000_000_000 + 10 * self.ticks).saturating_add_signed(server.clock_ahead_ms);
        while server.tick_hundredths >= 100 {
            server.tick_hundredths -= 100;
            process.ticks.0 += 1;
            process.node.tick(Time(time));
        }
        self.handle_effects(at);
        let Some(process) = &self.servers[at].process else { return };
        for pending in process.calls.values().chain(process.reads.values()) {
            ensure!(
                pending.deadline >= process.ticks,
                "every operation ends by its deadline",
                "operation {} at n{at} has not ended at its deadline",
                pending.operation.0
            );
        }
    }

    /// An engine begins a turn of its event loop.
    pub(crate) fn begin_turn(&mut self, at: usize) -> bool {
        match &mut self.servers[at].process {
            Some(process) => !std::mem::replace(&mut process.in_turn, true),
            None => false,
        }
    }

    /// An engine ends its turn. As in the driver, its node first gets the threads' reports, then the peers' messages, then
    /// the ticks.
    pub(crate) fn end_turn(&mut self, at: usize) -> bool {
        match &mut self.servers[at].process {
            Some(process) if process.in_turn && !process.paused => process.in_turn = false,
            _ => return false,
        }
        self.report_to_node(at);
        if let Some(Process { node, inbox, .. }) = &mut self.servers[at].process {
            inbox.drain(..).for_each(|(from, message)| node.receive(from, message));
        }
        self.tick_node(at);
        true
    }

    /// A message arrives, if its receiver runs.
    pub(crate) fn receive(&mut self, from: usize, to: usize, message: Vec<u8>) -> bool {
        self.hash = hash_bytes(mix(self.hash, (from << 8 | to) as u64), &message);
        let id = match message.get(..8) {
            Some(id) => NodeId(u64::from_le_bytes(id.try_into().expect("eight bytes"))),
            None => unreachable!("messages start with their sender's id"),
        };
        let message = match Message::decode(Bytes::from(message).slice(8..)) {
            Ok(message) => message,
            Err(error) => {
                Violation::raise("every sent message can be decoded", format!("n{from} to n{to}: {error}"))
            }
        };
        match &mut self.servers[to].process {
            Some(process) if process.in_turn => process.inbox.push((id, message)),
            Some(process) => process.node.receive(id, message),
            None => return false,
        }
        true
    }

    /// A disk does up to `count` of the waiting writes, as one group commit.
    pub(super) fn write(&mut self, at: usize, count: u8) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || process.disk_failed || server.hung || process.writes.is_empty() {
            return false;
        }
        let count = usize::from(count).clamp(1, process.writes.len());
        let writes: Vec<Write> = process.writes.drain(..count).collect();
        if let Some((call, how)) = server.next_fault.take() {
            self.fault_budget.inject_disk_fault(&server.disk, u64::from(call) % WRITE_CALLS, how);
        }
        let result = server.write(writes);
        self.report_written(at, result);
        true
    }

    /// A disk has done a group commit, or has failed.
    fn report_written(&mut self, at: usize, result: Result<Written, String>) {
        let Some(process) = &mut self.servers[at].process else { return };
        match result {
            Ok(Written { founding, persisted }) => {
                process.reports.extend(founding.into_iter().map(ThreadReport::FoundingWritten));
                process.reports.extend(persisted.map(ThreadReport::Persisted));
                let is_short = process.writer.is_short_of_space();
                process.reports.push_back(ThreadReport::DiskSpace { is_short });
                self.handle_effects(at);
            }
            Err(reason) => self.disk_failed(at, reason),
        }
    }

    /// A disk failed. Its node stops when it gets the report, ends its callers' operations, and its process ends.
    pub(crate) fn disk_failed(&mut self, at: usize, reason: String) {
        let injected = self.fault_budget.explains(&self.servers[at], &reason);
        ensure!(injected, "a healthy disk does not fail", "n{at}: {reason}");
        if let Some(process) = &mut self.servers[at].process {
            process.disk_failed = true;
            process.reports.push_back(ThreadReport::Failed(reason));
        }
        self.handle_effects(at);
    }

    /// An object applies up to `count` pieces of the committed entries that wait.
    pub(super) fn apply(&mut self, at: usize, count: u8) -> bool {
        let Some(process) = &mut self.servers[at].process else { return false };
        if process.paused || process.committed.is_empty() {
            return false;
        }
        let piece = self.setup.limits.apply_piece_entries;
        for _ in 0..count.max(1) {
            let Some(mut entries) = process.committed.pop_front() else { break };
            if entries.len() > piece {
                process.committed.push_front(entries.split_off(piece));
            }
            let diverging = self.oracle.diverging_entries(process.divergence, &entries);
            let applying = diverging.as_ref().map_or(&entries, |(_, entries)| entries);
            let applied = process.machine.apply(applying, &mut || Between::Continue);
            let count = applied.checkpoints.len();
            if let Some(stop) = &applied.stop {
                Violation::raise("every committed entry can be applied", format!("n{at}: {stop}"));
            }
            for checkpoint in &applied.checkpoints {
                self.hash = mix(self.hash, checkpoint.digest);
            }
            process.applied = applied.upto.index;
            if diverging.is_some_and(|(at, _)| applied.checkpoints[at].method.is_some()) {
                process.divergence = Some(Divergence::Hidden);
            }
            let program = &self.program;
            let diverged = matches!(process.divergence, Some(Divergence::Hidden | Divergence::Visible));
            let entries = &entries[..count.min(entries.len())];
            if self.oracle.check_applied(program, at, entries, &applied.checkpoints, diverged) {
                process.divergence = Some(Divergence::Visible);
                self.divergence_seen = true;
            }
            if !diverged {
                self.oracle.check_state(program, at, process.applied, &process.state.read());
            }
            process.reports.push_back(ThreadReport::Applied(applied));
        }
        self.handle_effects(at);
        true
    }

    /// A log that was not written for a while records that.
    pub(super) fn mark_idle(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || process.disk_failed || server.hung || !process.writes.is_empty() {
            return false;
        }
        if let Err(reason) = process.writer.mark_idle() {
            self.disk_failed(at, reason);
        }
        true
    }

    /// The next segment or the reserve is created in the background: one event takes the job, the next one does it and
    /// reports it. Writes that wait for space are tried again.
    pub(super) fn prepare_segment(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || process.disk_failed || server.hung {
            return false;
        }
        let result = match process.preparing.take() {
            None => {
                process.preparing = process.writer.prepare_next();
                server.retry()
            }
            Some(job) => process.writer.install_prepared(job.run()).map(|()| Written::default()),
        };
        self.report_written(at, result);
        true
    }

    /// A machine starts its process.
    pub(crate) fn start(&mut self, at: usize, dies_at: Option<u64>, keep: u8) {
        let object = (self.program.object)();
        let server = &mut self.servers[at];
        if let Some((call, how)) = server.next_fault.take() {
            self.fault_budget.inject_disk_fault(&server.disk, u64::from(call) % START_CALLS, how);
        }
        match server.start(&self.setup, object, dies_at) {
            Ok(()) => {
                server.disk.cancel_power_off();
                let process = server.process.as_ref().expect("it has just started");
                ensure!(
                    server.lost != Some(Loss::Damaged),
                    "a damaged disk is refused",
                    "n{at} starts from a disk with a flipped bit"
                );
                self.hash = mix(self.hash, process.log.len() as u64);
                self.handle_effects(at);
            }
            Err(_) if dies_at.is_some() => self.end_process(at, keep.max(1)),
            Err(reason) => {
                let injected = self.fault_budget.explains(&self.servers[at], &reason);
                ensure!(injected, "a node starts from a healthy disk", "n{at}: {reason}");
                // The process ended with that error.
                self.servers[at].disk.restart();
            }
        }
    }

    /// A process ends without replying to its callers.
    pub(crate) fn end_process(&mut self, at: usize, keep: u8) {
        if let Some(process) = &self.servers[at].process {
            let pending: Vec<OperationId> =
                process.calls.values().chain(process.reads.values()).map(|w| w.operation).collect();
            for operation in pending {
                self.end_operation(operation, End::Unknown);
            }
        }
        self.servers[at].crash(keep);
        self.network.process_ended(at);
    }

    /// `from` dials `to`; each gets the other's hello.
    pub(super) fn dial(&mut self, from: usize, to: usize) -> bool {
        let both = self.servers[from].is_awake() && self.servers[to].is_awake();
        if from == to || !both || self.network.get(from, to).is_cut() || self.network.get(to, from).is_cut() {
            return false;
        }
        let life = self.servers[to].lives;
        if self.network.get(from, to).connected() == Some(life) {
            return false;
        }
        if self.network.at(from, to).disconnect() {
            self.report_disconnect(from, to);
        }
        let hello = |world: &World<T>, at: usize| {
            world.servers[at].process.as_ref().map(|process| (process.node.hello().encode(), process.id))
        };
        let (Some((ours, _)), Some((theirs, peer))) = (hello(self, from), hello(self, to)) else {
            return false;
        };
        let accepted = match self.node(to).check_hello(&ours, None) {
            Ok(_) => self.node(from).check_hello(&theirs, Some(&address(to))),
            Err(reason) => {
                self.node(from).refused(&address(to), &reason);
                Err(reason)
            }
        };
        self.fault_budget.check_wiped_is_refused(&self.servers, from, to, accepted.is_ok());
        if accepted.is_ok() {
            self.network.at(from, to).connect(life);
            self.node(from).connected(peer);
        }
        self.handle_effects(to);
        self.handle_effects(from);
        true
    }

    /// Reports to a node that a connection which it dialled is closed.
    pub(crate) fn report_disconnect(&mut self, from: usize, to: usize) {
        let peer = self.servers[to].id(self.setup.seed);
        if let Some(process) = &mut self.servers[from].process {
            process.node.disconnected(peer);
        }
    }

    pub(crate) fn node(&mut self, at: usize) -> &mut Node {
        match &mut self.servers[at].process {
            Some(process) => &mut process.node,
            None => unreachable!("n{at} is up"),
        }
    }

    /// Delivers all messages in flight on a link.
    pub(crate) fn deliver_all(&mut self, from: usize, to: usize) {
        let mut received = false;
        for _ in 0..self.network.get(from, to).len() {
            if let Some(message) = self.network.at(from, to).take(0) {
                received |= self.receive(from, to, message);
            }
        }
        if received {
            self.handle_effects(to);
        }
    }
}
