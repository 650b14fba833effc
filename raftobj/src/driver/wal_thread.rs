//! The thread that writes to the WAL. Group commit: each fsync covers all writes that queued during the last one. There
//! are no timers.

use super::job_queue::{JobQueue, Taken};
use super::mailbox::{Event, Mailbox};
use crate::persistence::{Write, Writer, Written};
use crate::storage::{PreparedSegment, RealDisk};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Something for the thread to do.
pub(crate) enum WalJob {
    /// Make this durable.
    Write(Write),
    /// The next segment was created in the background.
    Prepared(PreparedSegment),
}

/// After this long without a write, the WAL is marked on the disk as synced to its end.
const IDLE: Duration = Duration::from_millis(100);

/// How often a full disk is tried again.
const SPACE_RETRY: Duration = Duration::from_secs(1);

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
        let mut last_retry = Instant::now();
        let mut was_short = false;
        let result = loop {
            let worked = match self.jobs.take(&mut jobs, Some(IDLE)) {
                Taken::Jobs => self.work(&mut jobs),
                Taken::Idle => self.writer.mark_idle(),
                Taken::Closed => break self.writer.mark_idle(),
            };
            if let Err(reason) = worked {
                break Err(reason);
            }
            let is_short = self.writer.is_short_of_space();
            if is_short != was_short {
                was_short = is_short;
                let _ = self.mailbox.put(Event::DiskSpace { is_short });
            }
            if is_short {
                if last_retry.elapsed() < SPACE_RETRY {
                    continue;
                }
                last_retry = Instant::now();
                match self.writer.retry() {
                    Ok(written) => self.report(written),
                    Err(reason) => break Err(reason),
                }
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
        let written = self.writer.write(&mut writes)?;
        self.report(written);
        Ok(())
    }

    /// Reports to the node what is durable now.
    fn report(&self, written: Written) {
        let Written { founding, persisted } = written;
        // Fails where the node has ended: then nobody waits for it.
        for step in founding {
            let _ = self.mailbox.put(Event::FoundingWritten(step));
        }
        if let Some(last) = persisted {
            let _ = self.mailbox.put(Event::Persisted(last));
        }
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // It does nothing that panics; if it did, the WAL would create the segment itself.
        let _ = thread.join();
    }
}
