//! When to send, and when to send again.
//!
//! Commands that are sent again although the first copy was on its way do no harm but cost: both waits
//! double while nothing is decided, so that a slow cluster is not buried under copies.

use super::config::{CallsConfig, after};
use crate::codec::command::Number;
use crate::raft::types::Ticks;

/// A wait grows to at most two to this power of itself.
const DOUBLINGS_MAX: u32 = 4;

#[derive(Clone, Debug)]
pub(super) struct RetryTimer {
    resend_ticks: u64,
    refusal_ticks: u64,
    /// The last time that something was decided, or sent after nothing was on its way, or sent again.
    since: Ticks,
    /// How often nothing was decided in time, in a row.
    overdue: u32,
    /// Nothing is sent before.
    pause_until: Ticks,
    /// Refusals in a row, and the last call refused: once it is decided, the row is over. That calls before it
    /// are decided tells nothing of whether the leader has room again.
    refusals: u32,
    refused: Number,
    /// What was the first unanswered number when all was sent again last.
    sent_again_from: Option<Number>,
}

impl RetryTimer {
    pub(super) fn new(config: &CallsConfig) -> RetryTimer {
        RetryTimer {
            resend_ticks: config.resend_ticks,
            refusal_ticks: config.refusal_ticks,
            since: Ticks(0),
            overdue: 0,
            pause_until: Ticks(0),
            refusals: 0,
            refused: Number(0),
            sent_again_from: None,
        }
    }

    /// A call was decided.
    pub(super) fn progress(&mut self, now: Ticks, number: Number) {
        self.since = now;
        self.overdue = 0;
        if number >= self.refused {
            self.refusals = 0;
        }
    }

    /// Another leader: what the last one did says nothing of it.
    pub(super) fn start_over(&mut self, now: Ticks) {
        self.since = now;
        self.overdue = 0;
        self.pause_until = now;
        self.refusals = 0;
    }

    /// Calls were sent, and none were on their way before.
    pub(super) fn sent(&mut self, now: Ticks) {
        self.since = now;
    }

    /// All unanswered calls, from `lowest` on, are to be sent again.
    pub(super) fn sent_again(&mut self, now: Ticks, lowest: Number) {
        self.since = now;
        self.sent_again_from = Some(lowest);
    }

    /// Whether a gap tells of a loss that sending again has not mended already. While the first unanswered
    /// call is the one from which all was sent again, gaps are of the copies before; if the new copies got lost
    /// too, then the wait for progress ends it.
    pub(super) fn is_new_gap(&self, lowest: Number) -> bool {
        self.sent_again_from != Some(lowest)
    }

    /// Whether nothing was decided for too long.
    pub(super) fn is_overdue(&self, now: Ticks) -> bool {
        now >= after(self.since, self.resend_ticks << self.overdue)
    }

    /// It was; be more patient the next time.
    pub(super) fn overdue(&mut self) {
        self.overdue = (self.overdue + 1).min(DOUBLINGS_MAX);
    }

    /// The leader did not take a command.
    pub(super) fn refused(&mut self, now: Ticks, number: Number) {
        self.refused = number;
        self.pause_until = after(now, self.refusal_ticks << self.refusals);
        self.refusals = (self.refusals + 1).min(DOUBLINGS_MAX);
    }

    /// Whether no refusal stands against it.
    pub(super) fn may_send(&self, now: Ticks) -> bool {
        now >= self.pause_until
    }
}
