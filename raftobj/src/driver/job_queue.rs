//! The queue in front of a thread: whatever has queued while it worked is taken at once.
//!
//! It has no bound of its own: the engine puts in no more than the protocol has under way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The queue in front of a thread.
pub(crate) struct JobQueue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
}

struct State<J> {
    jobs: Vec<J>,
    closed: bool,
}

/// What a wait for jobs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There are some.
    Jobs,
    /// None came within the time.
    Idle,
    /// None are left, and none will come.
    Closed,
}

impl<J> JobQueue<J> {
    pub(crate) fn new() -> JobQueue<J> {
        JobQueue { state: Mutex::new(State { jobs: Vec::new(), closed: false }), filled: Condvar::new() }
    }

    /// Puts a job in. After the end nobody takes it.
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

    /// Waits for jobs, at most `patience`, and moves all of them into `jobs`, which is empty.
    pub(crate) fn take(&self, jobs: &mut Vec<J>, patience: Option<Duration>) -> Taken {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            state = match patience {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.filled.wait_timeout(state, patience);
                    let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() && state.jobs.is_empty() && !state.closed {
                        return Taken::Idle;
                    }
                    state
                }
            };
        }
        std::mem::swap(&mut state.jobs, jobs);
        Taken::Jobs
    }

    /// No job will come any more; those that wait are still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing here panics while it is held, and the queue is whole between any two lines.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
