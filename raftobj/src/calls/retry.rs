//! When to send, and when to send again.
//!
//! A second copy of a command that is still in flight does no harm, but it costs bandwidth. Both waits, for a
//! decision and after a refusal, therefore double while nothing is decided: a slow cluster is not flooded with copies.

use super::config::{CallsConfig, after};
use crate::codec::command::Number;
use crate::raft::types::Ticks;

/// A wait doubles at most this many times.
const DOUBLINGS_MAX: u32 = 4;

#[derive(Clone, Debug)]
pub(super) struct RetryTimer {
    resend_ticks: u64,
    refusal_ticks: u64,
    /// Start of the wait for a decision: the last decision, the last resend, or the first command sent while
    /// nothing was in flight.
    waiting_since: Ticks,
    /// How many waits for a decision ended without one, in a row.
    timeouts: u32,
    /// Nothing is sent before.
    pause_until: Ticks,
    /// Refusals in a row.
    refusals: u32,
    /// The last call refused; when it is decided, the row of refusals ends. A decision on an earlier call does not
    /// show that the leader accepts calls again.
    refused: Number,
    /// The first unanswered number at the last resend.
    resent_from: Option<Number>,
}

impl RetryTimer {
    pub(super) fn new(config: &CallsConfig) -> RetryTimer {
        RetryTimer {
            resend_ticks: config.resend_ticks,
            refusal_ticks: config.refusal_ticks,
            waiting_since: Ticks(0),
            timeouts: 0,
            pause_until: Ticks(0),
            refusals: 0,
            refused: Number(0),
            resent_from: None,
        }
    }

    /// A call was decided.
    pub(super) fn decided(&mut self, now: Ticks, number: Number) {
        self.waiting_since = now;
        self.timeouts = 0;
        if number >= self.refused {
            self.refusals = 0;
        }
    }

    /// A new leader: delays and refusals of the last one do not count against it.
    pub(super) fn new_leader(&mut self, now: Ticks) {
        self.waiting_since = now;
        self.timeouts = 0;
        self.pause_until = now;
        self.refusals = 0;
    }

    /// Calls were sent, and none was in flight before.
    pub(super) fn sent(&mut self, now: Ticks) {
        self.waiting_since = now;
    }

    /// All unanswered calls, from `lowest` on, are sent again.
    pub(super) fn resent(&mut self, now: Ticks, lowest: Number) {
        self.waiting_since = now;
        self.resent_from = Some(lowest);
    }

    /// Whether a gap shows a loss that no resend has repaired yet. While the first unanswered call is still the one
    /// at which the last resend began, gaps come from the copies before it. If the new copies were lost too,
    /// [`RetryTimer::is_overdue`] ends the wait.
    pub(super) fn is_new_gap(&self, lowest: Number) -> bool {
        self.resent_from != Some(lowest)
    }

    /// Whether the wait for a decision has lasted too long.
    pub(super) fn is_overdue(&self, now: Ticks) -> bool {
        now >= after(self.waiting_since, self.resend_ticks << self.timeouts)
    }

    /// It has: the next wait is longer.
    pub(super) fn back_off(&mut self) {
        self.timeouts = (self.timeouts + 1).min(DOUBLINGS_MAX);
    }

    /// The leader refused a command.
    pub(super) fn refused(&mut self, now: Ticks, number: Number) {
        self.refused = number;
        self.pause_until = after(now, self.refusal_ticks << self.refusals);
        self.refusals = (self.refusals + 1).min(DOUBLINGS_MAX);
    }

    /// Whether the pause after a refusal is over.
    pub(super) fn may_send(&self, now: Ticks) -> bool {
        now >= self.pause_until
    }
}
