//! How a process ends that is not killed: its node stops, its callers are answered, what waits for the disk is written.
//!
//! In the driver a node that stops ends its engine, and the thread that writes goes on until its queue is empty.

use super::course::WRITE_CALLS;
use super::violation::hold;
use super::world::World;
use crate::memory::Write;
use crate::object::Object;

impl<T: Object> World<T> {
    /// Somebody shuts a process down. With `keep` the machine's power goes right afterwards.
    pub(super) fn shut_down(&mut self, at: usize, keep: u8) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = server.process.as_mut().filter(|process| !process.paused) else { return false };
        process.told_to_stop = true;
        process.node.stop("it was shut down");
        self.settle(at);
        self.wind_up(at, keep);
        true
    }

    /// A node has stopped: nobody waits for it any more, and its disk does all that it was given.
    pub(super) fn wind_up(&mut self, at: usize, keep: u8) {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return };
        hold!(
            process.calls.is_empty() && process.reads.is_empty(),
            "a node that stops answers its callers",
            "n{at} leaves {} calls and {} reads",
            process.calls.len(),
            process.reads.len()
        );
        // From a disk that answers nothing the process is torn away in the end.
        if !server.hung {
            let writes: Vec<Write> = process.writes.drain(..).collect();
            if let Some((call, how)) = server.fails_next.take() {
                self.atlas.fail_disk(&server.disk, u64::from(call) % WRITE_CALLS, how);
            }
            if let Err(reason) = server.write_and_close(writes) {
                let injected = self.atlas.explains(&self.servers[at], &reason);
                hold!(injected, "a disk that is whole does not fail", "n{at}: {reason}");
            }
        }
        self.process_ends(at, keep);
    }
}
