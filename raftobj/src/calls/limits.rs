//! When a queue of calls is full.

use super::outcome::{CallError, NotAppliedReason, Retry};

/// The limits of a queue of calls.
///
/// There are two such queues, and this is the one place that decides: the mailbox counts every call that has not ended,
/// before the event loop has it; [`Calls`](super::Calls) counts those that are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) calls_max: usize,
    pub(crate) bytes_max: usize,
}

impl QueueLimits {
    /// Checks that there is room for a call of `bytes` beside `calls` calls of `held_bytes` in all. A single call always
    /// has room: its size has a limit of its own.
    pub(crate) fn check(&self, calls: usize, held_bytes: usize, bytes: usize) -> Result<(), CallError> {
        let limit = if calls >= self.calls_max {
            format!("{} calls", self.calls_max)
        } else if held_bytes > 0 && held_bytes + bytes > self.bytes_max {
            format!("{} bytes", self.bytes_max)
        } else {
            return Ok(());
        };
        Err(CallError::NotApplied { reason: NotAppliedReason::QueueFull { limit }, retry: Retry::Here })
    }
}
