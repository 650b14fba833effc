//! The thread that applies entries, so that a slow method delays calls and not heartbeats.

use super::job_queue::{JobQueue, Taken};
use super::mailbox::{Event, Mailbox};
use crate::object::machine::{Apply, Between};
use crate::raft::types::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The object's lock is released this often within a batch, for readers.
const LOCK_HELD_MAX: Duration = Duration::from_millis(1);

/// About how long one chunk of a batch may take. After each chunk the calls in it end: a call does not wait for all that
/// were committed together with it.
const CHUNK_TIME: Duration = Duration::from_millis(4);
/// The first chunk, before it is known how long entries take.
const CHUNK_ENTRIES_FIRST: usize = 64;
const CHUNK_ENTRIES_MAX: usize = 4096;

pub(crate) struct ApplyThread {
    pub(crate) machine: Box<dyn Apply>,
    pub(crate) jobs: Arc<JobQueue<Vec<Entry>>>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl ApplyThread {
    /// Works until the queue is closed, or an entry cannot be applied. Entries in a closed queue are left: the next start
    /// reads them from the log, and whoever ends the node must not wait for methods that are slow.
    pub(crate) fn run(mut self) {
        let mut batches = Vec::new();
        let mut chunk_entries = CHUNK_ENTRIES_FIRST;
        while self.jobs.take(&mut batches, None) == Taken::Jobs && !self.jobs.is_closed() {
            for entries in batches.drain(..) {
                let mut rest = &entries[..];
                while !rest.is_empty() {
                    let (chunk, behind) = rest.split_at(chunk_entries.min(rest.len()));
                    let began = Instant::now();
                    let applied = self.machine.apply(chunk, &mut between_entries(&self.jobs, began));
                    let stopped = applied.stop.is_some();
                    // Fails where the node has ended: then nobody waits for it.
                    let _ = self.mailbox.put(Event::Applied(applied));
                    if stopped || self.jobs.is_closed() {
                        return;
                    }
                    chunk_entries = match began.elapsed() > CHUNK_TIME {
                        true => (chunk_entries / 2).max(1),
                        false => (chunk_entries * 2).min(CHUNK_ENTRIES_MAX),
                    };
                    rest = behind;
                }
            }
        }
    }
}

/// A pause about every [`LOCK_HELD_MAX`], and the end once the queue is closed.
fn between_entries<J>(jobs: &JobQueue<J>, mut since: Instant) -> impl FnMut() -> Between + use<'_, J> {
    move || {
        if jobs.is_closed() {
            return Between::End;
        }
        let now = Instant::now();
        if now - since >= LOCK_HELD_MAX {
            since = now;
            return Between::Pause;
        }
        Between::Continue
    }
}
