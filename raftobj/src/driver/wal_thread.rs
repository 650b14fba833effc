//! The thread that writes: group commit takes whatever queued during the last fsync, without timers.

use super::jobs::{Jobs, Taken};
use super::mailbox::{Event, Mailbox};
use crate::node::FoundingWrite;
use crate::raft::Persist;
use crate::storage::{Directory, Formed, Prepared, RealDisk, Record, Wal};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Something to make durable, or that was.
pub(crate) enum WalJob {
    /// Entries and hard state.
    Persist(Persist),
    /// A step of the founding.
    Founding(FoundingWrite),
    /// The next segment was made in the background.
    Prepared(Prepared),
}

/// After this long without a write, the log says on the disk that all of it is synced.
const IDLE: Duration = Duration::from_millis(100);

pub(crate) struct WalThread {
    pub(crate) directory: Directory<RealDisk>,
    pub(crate) wal: Wal<RealDisk>,
    pub(crate) jobs: Arc<Jobs<WalJob>>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl WalThread {
    /// Works until the queue is closed and empty, or the disk fails.
    pub(crate) fn run(mut self) {
        let mut jobs = Vec::new();
        let mut preparing: Option<JoinHandle<()>> = None;
        let result = loop {
            match self.jobs.take(&mut jobs, Some(IDLE)) {
                Taken::Jobs => {}
                Taken::Idle => match self.wal.mark_idle() {
                    Ok(()) => continue,
                    Err(error) => break Err(error.to_string()),
                },
                Taken::Closed => break self.wal.mark_idle().map_err(|error| error.to_string()),
            }
            if let Err(reason) = self.work(&mut jobs) {
                break Err(reason);
            }
            if let Some(job) = self.wal.prepare_next() {
                let jobs = Arc::clone(&self.jobs);
                join(preparing.take());
                let name = "raftobj-segment".to_owned();
                let spawned = std::thread::Builder::new().name(name).spawn(move || {
                    jobs.push(WalJob::Prepared(job.run()));
                });
                // Without a thread the log makes the segment when it needs it.
                preparing = spawned.ok();
            }
        };
        join(preparing);
        if let Err(reason) = result {
            let _ = self.mailbox.put(Event::Failed(reason));
        }
    }

    /// One group commit: everything that queued is written, then synced once.
    fn work(&mut self, jobs: &mut Vec<WalJob>) -> Result<(), String> {
        let mut records = Vec::new();
        let mut last = None;
        for job in jobs.drain(..) {
            match job {
                WalJob::Persist(Persist { id, hard_state, entries }) => {
                    records.extend(hard_state.map(Record::HardState));
                    records.extend(entries.into_iter().map(Record::Entry));
                    last = Some(id);
                }
                WalJob::Founding(write) => {
                    let written = match &write {
                        FoundingWrite::Proposal(list) => self.directory.propose(list.clone()),
                        FoundingWrite::Formed { membership, cluster } => {
                            self.directory.form(Formed { cluster: *cluster, membership: membership.clone() })
                        }
                    };
                    written.map_err(|error| error.to_string())?;
                    let _ = self.mailbox.put(Event::FoundingWritten(write));
                }
                WalJob::Prepared(prepared) => {
                    self.wal.prepared(prepared).map_err(|error| error.to_string())?
                }
            }
        }
        let Some(last) = last else { return Ok(()) };
        self.wal.append(&records).map_err(|error| error.to_string())?;
        self.wal.sync().map_err(|error| error.to_string())?;
        // A node that has ended needs no answer.
        let _ = self.mailbox.put(Event::Persisted(last));
        Ok(())
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // It does nothing that panics; if it did, the log makes the segment itself.
        let _ = thread.join();
    }
}
