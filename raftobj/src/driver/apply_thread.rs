//! The thread that applies: a slow method delays calls, not heartbeats.

use super::job_queue::{JobQueue, Taken};
use super::mailbox::{Event, Mailbox};
use crate::object::machine::Apply;
use crate::raft::types::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch gives the object's lock up this often, so that readers get in between.
const LOCK_HELD_MAX: Duration = Duration::from_millis(1);

/// What is applied is told after about so long, because the calls in it end then: one does not wait for all that
/// were committed together with it.
const PIECE: Duration = Duration::from_millis(4);
/// A piece at first, before it is known how long entries take.
const PIECE_ENTRIES_MIN: usize = 64;
const PIECE_ENTRIES_MAX: usize = 4096;

pub(crate) struct ApplyThread {
    pub(crate) machine: Box<dyn Apply>,
    pub(crate) jobs: Arc<JobQueue<Vec<Entry>>>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl ApplyThread {
    /// Works until the queue is closed and empty, or an entry cannot be applied.
    pub(crate) fn run(mut self) {
        let mut batches = Vec::new();
        let mut piece_entries = PIECE_ENTRIES_MIN;
        while self.jobs.take(&mut batches, None) == Taken::Jobs {
            for entries in batches.drain(..) {
                let mut rest = &entries[..];
                while !rest.is_empty() {
                    let (piece, behind) = rest.split_at(piece_entries.min(rest.len()));
                    let began = Instant::now();
                    let applied = self.machine.apply(piece, &mut pause_from(began));
                    let stopped = applied.stop.is_some();
                    // A node that has ended needs no answer.
                    let _ = self.mailbox.put(Event::Applied(applied));
                    if stopped {
                        return;
                    }
                    piece_entries = match began.elapsed() > PIECE {
                        true => (piece_entries / 2).max(1),
                        false => (piece_entries * 2).min(PIECE_ENTRIES_MAX),
                    };
                    rest = behind;
                }
            }
        }
    }
}

/// True about every [`LOCK_HELD_MAX`].
fn pause_from(mut since: Instant) -> impl FnMut() -> bool {
    move || {
        let now = Instant::now();
        let long = now - since >= LOCK_HELD_MAX;
        if long {
            since = now;
        }
        long
    }
}
