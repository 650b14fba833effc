//! Options, inputs and outputs of [`Calls`](super::Calls).

use super::limits::QueueLimits;
use super::outcome::{Outcome, ReadError};
use crate::codec::command::{COMMAND_OVERHEAD_MAX, Command};
use crate::object::sessions::SESSION_CALLS_MAX;
use crate::raft::message::ReadId;
use crate::raft::types::{Index, NodeId, Term, Ticks};

/// Identifies a call of this process; its owner chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(crate) u64);

/// Identifies a linearizable read of this process; its owner chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReadTicket(pub(crate) u64);

/// A leader of one term. A node that leads again in a later term may have lost what was sent to it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LeaderId {
    /// The leader.
    pub(crate) node: NodeId,
    /// Its term.
    pub(crate) term: Term,
}

/// Limits and waiting times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallsConfig {
    /// A larger command is refused.
    pub(crate) command_bytes_max: usize,
    /// How far numbers may run ahead of the first unanswered one; at most [`SESSION_CALLS_MAX`].
    pub(crate) window_calls_max: u64,
    /// Limit of the bytes of all calls in the window.
    pub(crate) window_bytes_max: usize,
    /// How many calls may be queued.
    pub(crate) queue_calls_max: usize,
    /// Limit of the bytes of all queued calls.
    pub(crate) queue_bytes_max: usize,
    /// How many linearizable reads may be open.
    pub(crate) reads_max: usize,
    /// Calls without a decision, and read index requests without a reply, are sent again after this long: an election
    /// timeout.
    pub(crate) resend_ticks: u64,
    /// After a refusal, nothing is sent for this long.
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
    pub(super) fn queue_limits(&self) -> QueueLimits {
        QueueLimits { calls_max: self.queue_calls_max, bytes_max: self.queue_bytes_max }
    }

    /// Asserts what the owner has checked at its start.
    pub(super) fn check(&self) {
        let window = self.window_calls_max;
        assert!((1..=SESSION_CALLS_MAX).contains(&window), "a window of {window} calls");
        assert!(self.command_bytes_max > COMMAND_OVERHEAD_MAX, "no command fits the limit");
        assert!(self.command_bytes_max <= self.window_bytes_max, "a command that fits in no window");
        assert!(self.command_bytes_max <= self.queue_bytes_max, "a command that fits in no queue");
        assert!(self.resend_ticks > 0, "calls would be sent again at each tick");
        assert!(self.refusal_ticks > 0, "calls would be sent again at once after a refusal");
    }
}

/// Handshakes that were refused for one reason, and keep the node from its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeersRefused {
    /// The addresses of the peers.
    pub(crate) peers: Vec<String>,
    /// Why, and the remedy.
    pub(crate) reason: String,
}

/// What the owner must do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallsReady {
    /// Receiver of `commands` and `read`, which are empty if it is `None`.
    pub(crate) leader: Option<LeaderId>,
    /// Commands to propose, in order.
    pub(crate) commands: Vec<Command>,
    /// A read index to request; it serves all reads that were made before.
    pub(crate) read: Option<ReadId>,
    /// Calls that have ended.
    pub(crate) completions: Vec<(CallId, Outcome)>,
    /// Reads that have ended: served now, with the applied index, or failed.
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

/// `ticks` after `now`, without overflow.
pub(super) fn after(now: Ticks, ticks: u64) -> Ticks {
    Ticks(now.0.saturating_add(ticks))
}
