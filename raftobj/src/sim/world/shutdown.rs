//! The orderly end of a process: its node stops, its callers' operations end, and its queued writes are done.
//!
//! In the driver a node that stops ends its engine, and the WAL thread continues until its queue is empty.

use super::World;
use super::events::WRITE_CALLS;
use crate::object::Object;
use crate::persistence::Write;
use crate::sim::oracle::replicas::Divergence;
use crate::sim::violation::ensure;

impl<T: Object> World<T> {
    /// The user shuts a process down. If `keep` is not zero, the machine loses power right afterwards.
    pub(super) fn shut_down(&mut self, at: usize, keep: u8) -> bool {
        if !self.servers[at].is_awake() {
            return false;
        }
        // The node still gets the reports of its threads, but no more messages of this turn.
        self.report_to_node(at);
        let Some(process) = &mut self.servers[at].process else { return false };
        (process.stop_requested, process.in_turn) = (true, false);
        process.node.stop("it was shut down");
        self.handle_effects(at);
        if keep > 0 {
            self.servers[at].crash(keep);
        }
        true
    }

    /// A node has stopped: no caller waits for it, its disk does the queued writes, and the process ends.
    fn finish_process(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return };
        ensure!(
            process.calls.is_empty() && process.reads.is_empty(),
            "a node that stops ends its operations",
            "n{at} leaves {} calls and {} reads",
            process.calls.len(),
            process.reads.len()
        );
        // A disk that hangs gets nothing more before the process is killed; one that has failed is not written to.
        if !server.hung && !process.disk_failed {
            let writes: Vec<Write> = process.writes.drain(..).collect();
            if let Some((call, how)) = server.next_fault.take() {
                self.fault_budget.inject_disk_fault(&server.disk, u64::from(call) % WRITE_CALLS, how);
            }
            if let Err(reason) = server.write_and_close(writes) {
                let injected = self.fault_budget.explains(&self.servers[at], &reason);
                ensure!(injected, "a healthy disk does not fail", "n{at}: {reason}");
            }
        }
        self.end_process(at, 0);
    }

    /// Ends a process whose node has stopped, on request or by itself. By itself a node may stop only over replicas that
    /// differ: the one that is in the minority, or any, if no majority could be found.
    pub(super) fn end_if_stopped(&mut self, at: usize) {
        let Some(process) = &self.servers[at].process else { return };
        let Some(reason) = process.node.stopped() else { return };
        ensure!(
            self.may_stop.is_none_or(|wrong| wrong == at),
            "only a wrong replica stops, while a majority of correct ones is connected",
            "n{at}: {reason}"
        );
        let is_diverged = process.divergence == Some(Divergence::Visible);
        ensure!(
            process.stop_requested
                || is_diverged
                || (self.divergence_seen && reason.contains("no majority agrees")),
            "no node stops by itself",
            "n{at}: {reason}"
        );
        self.finish_process(at);
    }
}
