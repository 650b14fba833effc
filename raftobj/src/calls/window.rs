//! Calls that were sent and have no answer, by number.
//!
//! A cursor goes over them as they are sent to the leader; to send again is to set it back (go-back-N: behind a
//! lost command nothing takes effect anyway).
//!
//! ```text
//!   lowest              cursor          next
//!     │ sent, unanswered   │ to be sent   │ numbers not given yet
//!     ▼                    ▼              ▼
//!     5   6   ·   8   9   10   11   12
//!             └ given up: its number stays, so that later ones keep theirs
//! ```

use super::config::{CallId, CallsConfig};
use crate::codec::command::{COMMAND_OVERHEAD_MAX, Number};
use crate::codec::method::MethodId;
use crate::marks::mark;
use bytes::Bytes;
use std::collections::VecDeque;

/// A call, as it waits and as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) call: CallId,
    pub(super) method: MethodId,
    pub(super) arguments: Bytes,
}

impl Pending {
    /// What it counts against the limits.
    pub(super) fn bytes(&self) -> usize {
        COMMAND_OVERHEAD_MAX + self.arguments.len()
    }
}

/// Invariants: the first of `sent`, if any, is not a hole; `lowest <= cursor <= next`.
#[derive(Clone, Debug)]
pub(super) struct Window {
    lowest: Number,
    /// By number from `lowest` on; holes were given up.
    sent: VecDeque<Option<Pending>>,
    cursor: Number,
    calls: usize,
    bytes: usize,
}

impl Default for Window {
    fn default() -> Window {
        Window { lowest: Number(1), sent: VecDeque::new(), cursor: Number(1), calls: 0, bytes: 0 }
    }
}

impl Window {
    /// The first number without an answer; if there is none, the next that will be given.
    pub(super) fn lowest(&self) -> Number {
        self.lowest
    }

    /// How many calls have no answer.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether the leader has anything that is not answered.
    pub(super) fn in_flight(&self) -> bool {
        self.cursor > self.lowest
    }

    /// Whether the call has no answer and is not about to be sent again.
    pub(super) fn is_sent(&self, number: Number) -> bool {
        self.lowest <= number && number < self.cursor
    }

    pub(super) fn has_room(&self, pending: &Pending, config: &CallsConfig) -> bool {
        (self.sent.len() as u64) < config.window_calls_max
            && self.bytes + pending.bytes() <= config.window_bytes_max
    }

    /// Gives a call its number.
    pub(super) fn push(&mut self, pending: Pending) -> Number {
        let number = self.next();
        self.calls += 1;
        self.bytes += pending.bytes();
        self.sent.push_back(Some(pending));
        number
    }

    /// The call is answered or given up. `None`: it was before, or its number was never given.
    pub(super) fn end(&mut self, number: Number) -> Option<CallId> {
        let offset = usize::try_from(number.0.checked_sub(self.lowest.0)?).ok()?;
        let pending = self.sent.get_mut(offset)?.take()?;
        self.calls -= 1;
        self.bytes -= pending.bytes();
        while let Some(None) = self.sent.front() {
            self.sent.pop_front();
            self.lowest = self.lowest.next();
        }
        self.cursor = self.cursor.max(self.lowest);
        Some(pending.call)
    }

    /// What follows from `to` on is to be sent again.
    pub(super) fn rewind(&mut self, to: Number) {
        self.cursor = self.cursor.min(to.max(self.lowest));
    }

    /// The next call that the leader has not been sent; it is taken to be sent now.
    pub(super) fn next_to_send(&mut self) -> Option<(Number, &Pending)> {
        loop {
            let offset = usize::try_from(self.cursor.0 - self.lowest.0).expect("within the window");
            // A hole is passed over.
            let pending = self.sent.get(offset)?;
            mark!(HolePassedOver if pending.is_none());
            let number = self.cursor;
            self.cursor = number.next();
            if pending.is_some() {
                return self.sent[offset].as_ref().map(|pending| (number, pending));
            }
        }
    }

    /// The call of a number.
    #[cfg(test)]
    pub(super) fn at(&self, number: Number) -> Option<CallId> {
        let offset = usize::try_from(number.0.checked_sub(self.lowest.0)?).ok()?;
        self.sent.get(offset)?.as_ref().map(|pending| pending.call)
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self, config: &CallsConfig) {
        assert!(!matches!(self.sent.front(), Some(None)), "lowest {} has an end", self.lowest.0);
        assert!(self.lowest <= self.cursor, "cursor {} below {}", self.cursor.0, self.lowest.0);
        assert!(self.cursor <= self.next(), "cursor {} beyond {}", self.cursor.0, self.next().0);
        assert!(self.sent.len() as u64 <= config.window_calls_max, "{} numbers open", self.sent.len());
        let open = || self.sent.iter().flatten();
        assert_eq!(self.calls, open().count(), "calls in the window");
        assert_eq!(self.bytes, open().map(Pending::bytes).sum::<usize>(), "bytes in the window");
    }

    fn next(&self) -> Number {
        Number(self.lowest.0 + self.sent.len() as u64)
    }
}
