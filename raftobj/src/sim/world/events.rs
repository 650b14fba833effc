//! The ordinary course: time passes, messages arrive, disks write, objects apply, processes start and end.

use super::World;
use super::server::{Divergence, Loss, News, Process, address};
use crate::codec::message::Message;
use crate::hash::{hash_bytes, mix};
use crate::node::Node;
use crate::object::Object;
use crate::persistence::{Write, Written};
use crate::raft::types::{NodeId, Time};
use crate::sim::client::{End, OperationId};
use crate::sim::violation::{Violation, hold};
use bytes::Bytes;

/// A write makes about so many calls to its disk, and a start: faults are planted among them.
pub(super) const WRITE_CALLS: u64 = 4;
const START_CALLS: u64 = 40;

/// An engine makes up for so many ticks at most.
const TICKS_MADE_UP: u64 = 5;

impl<T: Object> World<T> {
    /// A tick of virtual time.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        for at in 0..self.servers.len() {
            let server = &mut self.servers[at];
            // What an engine misses is made up for in part, as the driver does.
            server.phase = (server.phase + server.percent).min(100 * TICKS_MADE_UP);
            if server.process.as_ref().is_some_and(|process| !process.paused && !process.gathers) {
                self.tick_node(at);
            }
        }
    }

    /// The ticks that have come, and what follows from them.
    fn tick_node(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return };
        let time = (1_000_000_000 + 10 * self.ticks).saturating_add_signed(server.clock_ahead_ms);
        while server.phase >= 100 {
            server.phase -= 100;
            process.ticks.0 += 1;
            process.node.tick(Time(time));
        }
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

    /// A turn of an engine begins.
    pub(crate) fn gather(&mut self, at: usize) -> bool {
        match &mut self.servers[at].process {
            Some(process) => !std::mem::replace(&mut process.gathers, true),
            None => false,
        }
    }

    /// A turn ends. As in the driver its node is told first what the threads have done, then what peers say, and
    /// the ticks last.
    pub(crate) fn end_turn(&mut self, at: usize) -> bool {
        match &mut self.servers[at].process {
            Some(process) if process.gathers && !process.paused => process.gathers = false,
            _ => return false,
        }
        self.tell_news(at);
        if let Some(Process { node, inbox, .. }) = &mut self.servers[at].process {
            inbox.drain(..).for_each(|(from, message)| node.receive(from, message));
        }
        self.tick_node(at);
        true
    }

    /// A message arrives, if whom it was sent to is still there.
    pub(crate) fn receive(&mut self, from: usize, to: usize, message: Vec<u8>) -> bool {
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
            Some(process) if process.gathers => process.inbox.push((id, message)),
            Some(process) => process.node.receive(id, message),
            None => return false,
        }
        true
    }

    /// A disk does what waits for it, as one group.
    pub(super) fn write(&mut self, at: usize, count: u8) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || process.disk_failed || server.hung || process.writes.is_empty() {
            return false;
        }
        let count = usize::from(count).clamp(1, process.writes.len());
        let writes: Vec<Write> = process.writes.drain(..count).collect();
        if let Some((call, how)) = server.fails_next.take() {
            self.atlas.fail_disk(&server.disk, u64::from(call) % WRITE_CALLS, how);
        }
        let result = server.write(writes);
        let Some(process) = &mut self.servers[at].process else { return true };
        match result {
            Ok(Written { founding, persisted }) => {
                process.news.extend(founding.into_iter().map(News::FoundingWritten));
                process.news.extend(persisted.map(News::Persisted));
                self.settle(at);
            }
            Err(reason) => self.fail(at, reason),
        }
        true
    }

    /// A disk failed: the process stops when it hears of it, says so to its callers, and is gone.
    pub(crate) fn fail(&mut self, at: usize, reason: String) {
        let injected = self.atlas.explains(&self.servers[at], &reason);
        hold!(injected, "a disk that is whole does not fail", "n{at}: {reason}");
        if let Some(process) = &mut self.servers[at].process {
            process.disk_failed = true;
            process.news.push_back(News::Failed(reason));
        }
        self.settle(at);
    }

    /// An object applies what waits for it, piece by piece.
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
            let wrong = self.oracle.led_astray(process.divergence, &entries);
            let handed = wrong.as_ref().map_or(&entries, |(_, entries)| entries);
            let applied = process.machine.apply(handed, &mut || false);
            let count = applied.checkpoints.len();
            if let Some(stop) = &applied.stop {
                Violation::raise("every committed entry can be applied", format!("n{at}: {stop}"));
            }
            for checkpoint in &applied.checkpoints {
                self.hash = mix(self.hash, checkpoint.digest);
            }
            process.applied = applied.upto.index;
            if wrong.is_some_and(|(at, _)| applied.checkpoints[at].method.is_some()) {
                process.divergence = Some(Divergence::Hidden);
            }
            let program = &self.program;
            let astray = matches!(process.divergence, Some(Divergence::Hidden | Divergence::Seen));
            let entries = &entries[..count.min(entries.len())];
            if self.oracle.applied(program, at, entries, &applied.checkpoints, astray) {
                process.divergence = Some(Divergence::Seen);
                self.diverged = true;
            }
            if !astray {
                self.oracle.compare(program, at, process.applied, &process.state.read());
            }
            process.news.push_back(News::Applied(applied));
        }
        self.settle(at);
        true
    }

    pub(super) fn mark_idle(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || process.disk_failed || server.hung || !process.writes.is_empty() {
            return false;
        }
        if let Err(reason) = process.writer.mark_idle() {
            self.fail(at, reason);
        }
        true
    }

    /// The background's work on the next file: taken at one event, done and handed in at another.
    pub(super) fn prepare(&mut self, at: usize) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        if process.paused || process.disk_failed || server.hung {
            return false;
        }
        match process.preparing.take() {
            None => process.preparing = process.writer.prepare_next(),
            Some(job) => {
                if let Err(reason) = process.writer.prepared(job.run()) {
                    self.fail(at, reason);
                }
            }
        }
        true
    }

    /// A machine starts its process.
    pub(crate) fn start(&mut self, at: usize, dies_at: Option<u64>, keep: u8) {
        let object = (self.program.object)();
        let server = &mut self.servers[at];
        if let Some((call, how)) = server.fails_next.take() {
            self.atlas.fail_disk(&server.disk, u64::from(call) % START_CALLS, how);
        }
        match server.start(&self.setup, object, dies_at) {
            Ok(()) => {
                server.disk.cancel_power_off();
                let process = server.process.as_ref().expect("it has just started");
                hold!(
                    server.lost != Some(Loss::Damaged),
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
    pub(super) fn dial(&mut self, from: usize, to: usize) -> bool {
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

    pub(crate) fn node(&mut self, at: usize) -> &mut Node {
        match &mut self.servers[at].process {
            Some(process) => &mut process.node,
            None => unreachable!("n{at} is up"),
        }
    }

    /// For times of peace: everything that is on a link now.
    pub(crate) fn deliver_all(&mut self, from: usize, to: usize) {
        let mut some = false;
        for _ in 0..self.links.get(from, to).len() {
            if let Some(message) = self.links.at(from, to).take(0) {
                some |= self.receive(from, to, message);
            }
        }
        if some {
            self.settle(to);
        }
    }
}
