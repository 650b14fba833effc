//! The queue in front of a thread: all jobs that arrived while the thread worked are taken at once.
//!
//! It has no bound of its own: the event loop adds no more than the protocol has in flight.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The queue in front of a thread.
pub(crate) struct JobQueue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
    /// As `State::closed`, for a thread that is at work.
    closed: AtomicBool,
}

struct State<J> {
    jobs: Vec<J>,
    closed: bool,
}

/// How a wait for jobs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There are jobs.
    Jobs,
    /// No job came before the timeout.
    Idle,
    /// No jobs are left, and none will come.
    Closed,
}

impl<J> JobQueue<J> {
    pub(crate) fn new() -> JobQueue<J> {
        let state = Mutex::new(State { jobs: Vec::new(), closed: false });
        JobQueue { state, filled: Condvar::new(), closed: AtomicBool::new(false) }
    }

    /// Adds a job. After [`close`](JobQueue::close) it may never be taken.
    pub(crate) fn push(&self, job: J) {
        let mut state = self.lock();
        state.jobs.push(job);
        let first = state.jobs.len() == 1;
        // The thread that wakes finds the lock free.
        drop(state);
        if first {
            self.filled.notify_one();
        }
    }

    /// Waits for jobs, at most for `timeout`, and moves all of them into `jobs`, which is empty.
    pub(crate) fn take(&self, jobs: &mut Vec<J>, timeout: Option<Duration>) -> Taken {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            state = match timeout {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => {
                    let waited = self.filled.wait_timeout(state, timeout);
                    let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && state.jobs.is_empty() && !state.closed {
                        return Taken::Idle;
                    }
                    state
                }
            };
        }
        std::mem::swap(&mut state.jobs, jobs);
        Taken::Jobs
    }

    /// No job will come any more. The jobs in the queue can still be taken.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Whether [`close`](JobQueue::close) was called. Costs next to nothing.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing here panics while it is held, and the queue is whole between any two lines.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
