//! The thread that writes to the WAL. Group commit: each fsync covers all writes that queued during the last one. There
//! are no timers.

use super::job_queue::{JobQueue, Taken};
use super::mailbox::{Event, Mailbox};
use crate::persistence::{Write, Writer, Written};
use crate::storage::{PreparedSegment, RealDisk};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Something for the thread to do.
pub(crate) enum WalJob {
    /// Make this durable.
    Write(Write),
    /// The next segment was created in the background.
    Prepared(PreparedSegment),
}

/// After this long without a write, the WAL is marked on the disk as synced to its end.
const IDLE: Duration = Duration::from_millis(100);

pub(crate) struct WalThread {
    pub(crate) writer: Writer<RealDisk>,
    pub(crate) jobs: Arc<JobQueue<WalJob>>,
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
                Taken::Idle => match self.writer.mark_idle() {
                    Ok(()) => continue,
                    Err(reason) => break Err(reason),
                },
                Taken::Closed => break self.writer.mark_idle(),
            }
            if let Err(reason) = self.work(&mut jobs) {
                break Err(reason);
            }
            if let Some(job) = self.writer.prepare_next() {
                let jobs = Arc::clone(&self.jobs);
                join(preparing.take());
                let name = "raftobj-segment".to_owned();
                let spawned = std::thread::Builder::new().name(name).spawn(move || {
                    jobs.push(WalJob::Prepared(job.run()));
                });
                // Without a thread, the WAL creates the segment when it needs it.
                preparing = spawned.ok();
            }
        };
        join(preparing);
        if let Err(reason) = result {
            let _ = self.mailbox.put(Event::Failed(reason));
        }
    }

    /// One group commit of everything that queued.
    fn work(&mut self, jobs: &mut Vec<WalJob>) -> Result<(), String> {
        let mut writes = Vec::new();
        for job in jobs.drain(..) {
            match job {
                WalJob::Write(write) => writes.push(write),
                WalJob::Prepared(prepared) => self.writer.install_prepared(prepared)?,
            }
        }
        let Written { founding, persisted } = self.writer.write(&mut writes)?;
        // Fails where the node has ended: then nobody waits for it.
        for step in founding {
            let _ = self.mailbox.put(Event::FoundingWritten(step));
        }
        if let Some(last) = persisted {
            let _ = self.mailbox.put(Event::Persisted(last));
        }
        Ok(())
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // It does nothing that panics; if it did, the WAL would create the segment itself.
        let _ = thread.join();
    }
}
