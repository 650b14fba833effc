//! The thread that applies: a slow method delays calls, not heartbeats.

use super::jobs::{Jobs, Taken};
use super::mailbox::{Event, Mailbox};
use crate::object::machine::Apply;
use crate::raft::types::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch gives the object's lock up this often, so that readers get in between.
const LOCK_HELD_MAX: Duration = Duration::from_millis(1);

pub(crate) struct ApplyThread {
    pub(crate) machine: Box<dyn Apply>,
    pub(crate) jobs: Arc<Jobs<Vec<Entry>>>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl ApplyThread {
    /// Works until the queue is closed and empty, or an entry cannot be applied.
    pub(crate) fn run(mut self) {
        let mut batches = Vec::new();
        while self.jobs.take(&mut batches, None) == Taken::Jobs {
            for entries in batches.drain(..) {
                let mut since = Instant::now();
                let mut pause = || {
                    let now = Instant::now();
                    let long = now - since >= LOCK_HELD_MAX;
                    if long {
                        since = now;
                    }
                    long
                };
                let applied = self.machine.apply(&entries, &mut pause);
                let stopped = applied.stop.is_some();
                // A node that has ended needs no answer.
                let _ = self.mailbox.put(Event::Applied(applied));
                if stopped {
                    return;
                }
            }
        }
    }
}
