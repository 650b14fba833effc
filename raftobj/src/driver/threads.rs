//! The threads of one node: how they start, and how their end is noticed and waited for.

use super::mailbox::{Event, Mailbox};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

/// The name of the thread that runs the event loop.
pub(super) const ENGINE_THREAD: &str = "raftobj-engine";

/// How long the end of a node waits for its threads.
const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(10);

/// The threads of one node.
pub(super) struct Threads {
    mailbox: Arc<Mailbox>,
    /// Until somebody has joined them.
    handles: Mutex<Vec<JoinHandle<()>>>,
    ids: Vec<ThreadId>,
    running: Arc<Running>,
}

impl Threads {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Threads {
        Threads { mailbox, handles: Mutex::default(), ids: Vec::new(), running: Arc::default() }
    }

    pub(super) fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.running.one_more();
        let running = Arc::clone(&self.running);
        let guard = ThreadGuard { name: name.to_owned(), mailbox: Arc::clone(&self.mailbox), running };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _guard = guard;
            run();
        })?;
        self.ids.push(thread.thread().id());
        self.handles.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Waits for the threads, but not for ever: a disk that hangs, or a method that does not return, keeps its thread,
    /// and is named in the process's log. Called from one of the threads (a replicated method that owns a replica) it
    /// does not wait, because a thread cannot wait for itself.
    pub(super) fn join(&self) {
        // Before the lock: who holds it may be waiting for this very thread.
        if self.ids.contains(&std::thread::current().id()) {
            return;
        }
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.running.wait_until_none(SHUTDOWN_WAIT_MAX) {
            let busy = handles.iter().filter(|thread| !thread.is_finished());
            let busy: Vec<&str> = busy.filter_map(|thread| thread.thread().name()).collect();
            tracing::error!("the node has ended, but its threads do not: {}", busy.join(", "));
            handles.clear();
        }
        for thread in handles.drain(..) {
            // Where the thread panicked, its guard has reported it.
            let _ = thread.join();
        }
    }
}

/// Counts the threads that run.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    fewer: Condvar,
}

impl Running {
    fn one_more(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn one_less(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.fewer.notify_all();
    }

    /// Whether none was left before the time was up.
    fn wait_until_none(&self, timeout: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.fewer.wait_timeout_while(count, timeout, |count| *count > 0);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *count == 0
    }
}

/// Dropped when a thread ends. A panic of the thread is reported to the event loop; one of the event loop's own thread
/// ends every event in the mailbox.
struct ThreadGuard {
    name: String,
    mailbox: Arc<Mailbox>,
    running: Arc<Running>,
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = format!("its thread {} panicked", self.name);
            if self.name == ENGINE_THREAD {
                for event in self.mailbox.close(&reason) {
                    event.reject(&reason);
                }
            } else {
                let _ = self.mailbox.put(Event::Failed(reason));
            }
        }
        self.running.one_less();
    }
}
