//! What [`Calls`](super::Calls) is given and gives.

use super::outcome::{Outcome, ReadError};
use crate::codec::command::{COMMAND_OVERHEAD_MAX, Command};
use crate::object::sessions::SESSION_CALLS_MAX;
use crate::raft::message::ReadId;
use crate::raft::types::{Index, NodeId, Term, Ticks};

/// Names a call of this process, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) u64);

/// Names a linearizable read of this process, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReadTicket(pub(crate) u64);

/// Who leads, and since when: a node that leads again may have lost what it was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LeaderId {
    /// Who.
    pub(crate) node: NodeId,
    /// In which term.
    pub(crate) term: Term,
}

/// Limits, and how long to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallsConfig {
    /// A larger command is refused.
    pub(crate) command_bytes_max: usize,
    /// How far numbers run ahead of the first unanswered one; at most [`SESSION_CALLS_MAX`].
    pub(crate) window_calls_max: u64,
    /// How large all that is unanswered may be together.
    pub(crate) window_bytes_max: usize,
    /// How many calls may wait their turn.
    pub(crate) queue_calls_max: usize,
    /// How large they may be together.
    pub(crate) queue_bytes_max: usize,
    /// How many linearizable reads may be open.
    pub(crate) reads_max: usize,
    /// After this long without a decision, or an answer to a read, it is sent again: an election timeout.
    pub(crate) resend_ticks: u64,
    /// After a refusal nothing is sent for this long.
    pub(crate) refusal_ticks: u64,
}

impl Default for CallsConfig {
    fn default() -> CallsConfig {
        CallsConfig {
            command_bytes_max: 32 << 20,
            window_calls_max: SESSION_CALLS_MAX,
            window_bytes_max: 64 << 20,
            queue_calls_max: 65_536,
            queue_bytes_max: 256 << 20,
            reads_max: 1 << 20,
            resend_ticks: 50,
            refusal_ticks: 1,
        }
    }
}

impl CallsConfig {
    /// Asserts what the owner has checked when it was started.
    pub(super) fn check(&self) {
        let window = self.window_calls_max;
        assert!((1..=SESSION_CALLS_MAX).contains(&window), "a window of {window} calls");
        assert!(self.command_bytes_max > COMMAND_OVERHEAD_MAX, "no room for a command");
        assert!(self.command_bytes_max <= self.window_bytes_max, "a command that fits in no window");
        assert!(self.command_bytes_max <= self.queue_bytes_max, "a command that fits in no queue");
        assert!(self.resend_ticks > 0, "sent again at each tick");
        assert!(self.refusal_ticks > 0, "sent again at once after a refusal");
    }
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallsReady {
    /// To whom commands and read go. They are empty where it is `None`.
    pub(crate) leader: Option<LeaderId>,
    /// To be proposed, in order.
    pub(crate) commands: Vec<Command>,
    /// A read index to be asked for: it serves all reads that were made before.
    pub(crate) read: Option<ReadId>,
    /// Calls that have ended.
    pub(crate) completions: Vec<(CallId, Outcome)>,
    /// Reads that may be served now, with the index that is applied, or never.
    pub(crate) read_completions: Vec<(ReadTicket, Result<Index, ReadError>)>,
}

impl CallsReady {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
            && self.read.is_none()
            && self.completions.is_empty()
            && self.read_completions.is_empty()
    }
}

/// `ticks` after `now`; far deadlines do not wrap around.
pub(super) fn after(now: Ticks, ticks: u64) -> Ticks {
    Ticks(now.0.saturating_add(ticks))
}
