//! How a process ends that is not killed: its node stops, its callers are answered, what waits for the disk is written.
//!
//! In the driver a node that stops ends its engine, and the thread that writes goes on until its queue is empty.

use super::World;
use super::events::WRITE_CALLS;
use super::server::Divergence;
use crate::object::Object;
use crate::persistence::Write;
use crate::sim::violation::hold;

/// A dispute is over when so many rounds of gossip have passed.
const DISPUTE_GOSSIPS: u64 = 7;

impl<T: Object> World<T> {
    /// Somebody shuts a process down. With `keep` the machine's power goes right afterwards.
    pub(super) fn shut_down(&mut self, at: usize, keep: u8) -> bool {
        if !self.servers[at].is_awake() {
            return false;
        }
        // What the threads had done by then is heard before; messages of the same turn are not heard any more.
        self.tell_news(at);
        let Some(process) = &mut self.servers[at].process else { return false };
        (process.told_to_stop, process.gathers) = (true, false);
        process.node.stop("it was shut down");
        self.settle(at);
        if keep > 0 {
            self.servers[at].crash(keep);
        }
        true
    }

    /// A node has stopped: nobody waits for it any more, and its disk does all that it was given.
    fn wind_up(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return };
        hold!(
            process.calls.is_empty() && process.reads.is_empty(),
            "a node that stops answers its callers",
            "n{at} leaves {} calls and {} reads",
            process.calls.len(),
            process.reads.len()
        );
        // From a disk that answers nothing the process is torn away in the end, and one that failed is left alone.
        if !server.hung && !process.disk_failed {
            let writes: Vec<Write> = process.writes.drain(..).collect();
            if let Some((call, how)) = server.fails_next.take() {
                self.atlas.fail_disk(&server.disk, u64::from(call) % WRITE_CALLS, how);
            }
            if let Err(reason) = server.write_and_close(writes) {
                let injected = self.atlas.explains(&self.servers[at], &reason);
                hold!(injected, "a disk that is whole does not fail", "n{at}: {reason}");
            }
        }
        self.process_ends(at, 0);
    }

    /// A machine's object differs from now on.
    pub(super) fn let_diverge(&mut self, at: usize) -> bool {
        if !self.atlas.may_diverge(&self.servers, at) {
            return false;
        }
        self.atlas.go_astray(at);
        let process = self.servers[at].process.as_mut();
        process.map(|process| process.divergence = Some(Divergence::Due)).is_some()
    }

    /// Ends a process whose node has stopped: told to, or by itself. That it may over replicas that differ and nothing
    /// else: the one that is alone, or, where too few could be asked, one that is not.
    pub(super) fn end_stopped(&mut self, at: usize) {
        let Some(process) = &self.servers[at].process else { return };
        let Some(reason) = process.node.stopped() else { return };
        let own = process.divergence == Some(Divergence::Seen);
        hold!(
            process.told_to_stop || own || (self.diverged && reason.contains("no majority agrees")),
            "no node stops by itself",
            "n{at}: {reason}"
        );
        self.wind_up(at);
    }

    /// Everybody hears everybody again: a replica whose digest differs stops, and starts again from its log, which
    /// is whole. What no reply has shown nobody can find, but a start mends it as well.
    pub(super) fn await_verdicts(&mut self) {
        for at in 0..self.servers.len() {
            match self.servers[at].process.as_mut().and_then(|process| process.divergence.as_mut()) {
                Some(Divergence::Hidden) => {
                    self.process_ends(at, 0);
                    self.start(at, None, 0);
                }
                Some(Divergence::Due) => {
                    let process = self.servers[at].process.as_mut();
                    process.into_iter().for_each(|process| process.divergence = None);
                }
                _ => {}
            }
        }
        let rounds_max = self.rounds_max();
        let gossip_ticks = 4 * self.setup.limits.heartbeat_ticks;
        let mut rounds = 0;
        while let Some(server) = self.servers.iter().find(|server| server.is_astray()) {
            rounds += 1;
            hold!(
                rounds <= rounds_max,
                "a replica that differs is found out",
                "n{}'s digest is another than the others', and after {rounds_max} ticks of peace it goes on",
                server.number
            );
            self.round();
            self.start_all();
        }
        if self.diverged {
            // Disputes that are open still, perhaps with somebody who was started again, end undecided.
            for _ in 0..DISPUTE_GOSSIPS * gossip_ticks {
                self.round();
                self.start_all();
            }
            self.diverged = false;
        }
    }
}
