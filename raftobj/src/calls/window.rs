//! Calls that have a number and no answer.
//!
//! The cursor is the next number to send. To send again, it is set back. This is go-back-N: a command behind a lost
//! one has no effect, so it must be sent again too.
//!
//! ```text
//!   lowest              cursor          next
//!     │ sent, unanswered   │ to be sent   │ numbers not assigned yet
//!     ▼                    ▼              ▼
//!     5   6   ·   8   9   10   11   12
//!             └ a hole: the call has ended, the others keep their numbers
//! ```
//!
//! The cursor stops at a hole. The leader may lack its call, and then refuses those behind it as a gap until `lowest` has
//! passed the hole, that is until all calls before it have ended.

use super::config::{CallId, CallsConfig};
use crate::codec::command::{COMMAND_OVERHEAD_MAX, Number};
use crate::codec::method::MethodId;
use crate::marks::mark;
use bytes::Bytes;
use std::collections::VecDeque;

/// A call in the queue or in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) call: CallId,
    pub(super) method: MethodId,
    pub(super) arguments: Bytes,
}

impl Pending {
    /// Its size, as the limits count it.
    pub(super) fn bytes(&self) -> usize {
        COMMAND_OVERHEAD_MAX + self.arguments.len()
    }
}

/// Invariants: the first of `numbered`, if any, is not a hole; `lowest <= cursor <= next`.
#[derive(Clone, Debug)]
pub(super) struct Window {
    lowest: Number,
    /// By number, from `lowest` on; `None` is a hole.
    numbered: VecDeque<Option<Pending>>,
    cursor: Number,
    calls: usize,
    bytes: usize,
}

impl Default for Window {
    fn default() -> Window {
        Window { lowest: Number(1), numbered: VecDeque::new(), cursor: Number(1), calls: 0, bytes: 0 }
    }
}

impl Window {
    /// The first number without an answer; if there is none, the next number to assign.
    pub(super) fn lowest(&self) -> Number {
        self.lowest
    }

    /// How many calls have a number and no answer.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether a call was sent and has no answer.
    pub(super) fn in_flight(&self) -> bool {
        self.cursor > self.lowest
    }

    /// Whether the number is in flight: sent, and not about to be sent again.
    pub(super) fn is_sent(&self, number: Number) -> bool {
        self.lowest <= number && number < self.cursor
    }

    /// Whether a call fits.
    pub(super) fn has_room(&self, pending: &Pending, config: &CallsConfig) -> bool {
        (self.numbered.len() as u64) < config.window_calls_max
            && self.bytes + pending.bytes() <= config.window_bytes_max
    }

    /// Adds a call and returns its number.
    pub(super) fn push(&mut self, pending: Pending) -> Number {
        let number = self.next();
        self.calls += 1;
        self.bytes += pending.bytes();
        self.numbered.push_back(Some(pending));
        number
    }

    /// Removes a call that has ended. `None`: it ended before, or the number was never assigned.
    pub(super) fn remove(&mut self, number: Number) -> Option<CallId> {
        let offset = usize::try_from(number.0.checked_sub(self.lowest.0)?).ok()?;
        let pending = self.numbered.get_mut(offset)?.take()?;
        self.calls -= 1;
        self.bytes -= pending.bytes();
        while let Some(None) = self.numbered.front() {
            self.numbered.pop_front();
            self.lowest = self.lowest.next();
        }
        self.cursor = self.cursor.max(self.lowest);
        Some(pending.call)
    }

    /// Numbers from `to` on must be sent again.
    pub(super) fn rewind(&mut self, to: Number) {
        self.cursor = self.cursor.min(to.max(self.lowest));
    }

    /// The next call to send; the cursor moves past it.
    pub(super) fn next_to_send(&mut self) -> Option<(Number, &Pending)> {
        let offset = usize::try_from(self.cursor.0 - self.lowest.0).expect("within the window");
        let pending = self.numbered.get(offset)?;
        mark!(SendHeldByHole if pending.is_none());
        let (number, pending) = (self.cursor, pending.as_ref()?);
        self.cursor = number.next();
        Some((number, pending))
    }

    /// The call of a number.
    #[cfg(test)]
    pub(super) fn at(&self, number: Number) -> Option<CallId> {
        let offset = usize::try_from(number.0.checked_sub(self.lowest.0)?).ok()?;
        self.numbered.get(offset)?.as_ref().map(|pending| pending.call)
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self, config: &CallsConfig) {
        assert!(!matches!(self.numbered.front(), Some(None)), "lowest {} is a hole", self.lowest.0);
        assert!(self.lowest <= self.cursor, "cursor {} below {}", self.cursor.0, self.lowest.0);
        assert!(self.cursor <= self.next(), "cursor {} beyond {}", self.cursor.0, self.next().0);
        assert!(
            self.numbered.len() as u64 <= config.window_calls_max,
            "{} numbers in the window",
            self.numbered.len()
        );
        let open = || self.numbered.iter().flatten();
        assert_eq!(self.calls, open().count(), "calls in the window");
        assert_eq!(self.bytes, open().map(Pending::bytes).sum::<usize>(), "bytes in the window");
    }

    fn next(&self) -> Number {
        Number(self.lowest.0 + self.numbered.len() as u64)
    }
}
