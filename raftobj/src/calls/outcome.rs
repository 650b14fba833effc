//! How a call ends.

use crate::raft::types::{Index, Term};
use bytes::Bytes;
use std::ops::Deref;

/// A call that took effect: durable at a majority, applied on the caller's own node.
///
/// Derefs to the method's return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it holds the value that the method returned, which may be a `Result`; `let _ =` ignores it"]
pub struct Committed<R> {
    /// What the method returned.
    pub value: R,
    /// The log index of the call: where it took effect.
    pub index: Index,
    /// The term of that entry.
    pub term: Term,
}

impl<R> Committed<R> {
    /// The method's return value, without index and term.
    pub fn into_inner(self) -> R {
        self.value
    }
}

impl<R> Deref for Committed<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.value
    }
}

/// How a call ended, with its reply still encoded.
pub(crate) type Outcome = Result<Committed<Bytes>, CallError>;

/// Where a call that was not applied can be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// On this node, later.
    Here,
    /// On another node; this one has stopped, or is refused by its peers.
    Elsewhere,
    /// Nowhere: the call itself is invalid.
    Never,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Applied: no, and it never will be.
    #[error("not applied: {reason}")]
    NotApplied {
        /// Why.
        reason: NotAppliedReason,
        /// Where to try again.
        retry: Retry,
    },
    /// Applied: unknown; it may also be applied later. Read the state before you try again.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// Why.
        reason: UnknownReason,
    },
    /// Applied: yes, but there is no reply.
    #[error("applied at index {index}, but {reason}")]
    Applied {
        /// Where it took effect.
        index: Index,
        /// Why there is no reply.
        reason: NoReplyReason,
    },
}

/// Why a call was not applied, and never will be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAppliedReason {
    /// The deadline passed before the call could be sent: no leader was known. Retry here.
    #[error(
        "no leader within the deadline; a majority of the members must be up and reachable, then try again"
    )]
    NoLeader,
    /// The deadline passed while the call was queued behind others. Retry here.
    #[error(
        "the deadline passed while the call waited behind {ahead} others; try again, or make fewer calls at once"
    )]
    Queued {
        /// How many calls were ahead of it.
        ahead: usize,
    },
    /// The node has as many calls as it keeps. Retry here, later.
    #[error("the node's queue is full ({limit}); wait for earlier calls before making more")]
    QueueFull {
        /// The limit that was reached, with its unit.
        limit: String,
    },
    /// The cluster is not formed yet: not all listed nodes have been met and have announced the list. Retry here.
    #[error("the cluster is not formed yet; waiting for {}", missing(.waiting_for))]
    ClusterNotFormed {
        /// The addresses of the nodes that it waits for.
        waiting_for: Vec<String>,
    },
    /// Handshakes were refused, so this node cannot reach a leader or found a cluster before somebody acts: the reason says
    /// how. Retry elsewhere.
    #[error("the handshake with {} was refused: {reason}", .peers.join(", "))]
    PeersRefused {
        /// The addresses of the peers whose handshake was refused, by them or by this node, for this reason.
        peers: Vec<String>,
        /// Why, and the remedy.
        reason: String,
    },
    /// The leader's disk is nearly full. Retry here, when there is space on it.
    #[error("the leader's disk is nearly full, so it accepts no calls; free space on it, then try again")]
    DiskNearlyFull,
    /// The command is larger than the limit. Retry never.
    #[error("the command has {bytes} bytes, more than the limit of {limit}; send less in one call")]
    TooLarge {
        /// Encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An argument does not encode. Retry never.
    #[error("the arguments do not encode: {0}")]
    Encode(String),
    /// The node was shut down, or stopped after an error. Retry elsewhere.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// Why it is unknown whether a call was, or will be, applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// The call was sent, and not decided before its deadline.
    #[error(
        "the call was sent, but no majority confirmed it within the deadline; read the value before trying again"
    )]
    Deadline,
    /// The leader's log was full until the deadline. Not applied, if the leader did not change meanwhile.
    #[error("the leader's log has reached log_bytes_max, so it accepts no calls; see its status")]
    LogFull,
    /// The leader's disk was nearly full until the deadline. Not applied, if the leader did not change meanwhile.
    #[error(
        "the leader's disk is nearly full, so it accepts no calls; free space on it, then read the value and try again"
    )]
    DiskNearlyFull,
    /// The leader does not have the method, because it runs another version of the code. Not applied, if the leader did
    /// not change meanwhile.
    #[error("the leader does not have this method; run the same version on all nodes")]
    MethodUnknown,
    /// The thread that waited for the call holds a read guard: the call cannot be applied here before the guard is
    /// dropped, and then it will be. Drop the guard first.
    #[error(
        "this thread holds a read guard, and the call is applied only after it is dropped; drop the guard before waiting"
    )]
    ReadGuardHeld,
    /// The node was shut down, or stopped after an error, when the call was sent already.
    #[error(
        "the node stopped after the call was sent: {0}; read the value on another node before trying again"
    )]
    Stopped(String),
}

/// Why there is no reply to a call that was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoReplyReason {
    /// The reply is larger than the limit.
    #[error("its reply has {bytes} bytes, more than the limit of {limit}; read the value instead")]
    TooLarge {
        /// Encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The method panicked; the object is as the method left it, the same on every replica.
    #[error("the method panicked: {0}")]
    Panicked(String),
    /// The method returned a value that does not encode.
    #[error("its reply does not encode: {0}")]
    Encode(String),
    /// The reply's bytes are not a value of the type that the caller expects.
    #[error("its reply does not decode: {0}")]
    Decode(String),
    /// The reply was dropped from the session table before this node could read it.
    #[error("its reply is no longer kept; read the value instead")]
    NotKept,
}

/// Why a linearizable read was not served. A read changes nothing, so it can always be tried again: on this node, but
/// after [`ReadError::Stopped`] or [`ReadError::PeersRefused`] on another node, and after [`ReadError::ReadGuardHeld`] only without the guard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The deadline passed and no leader was known.
    #[error(
        "no leader within the deadline; a majority of the members must be up and reachable, then try again"
    )]
    NoLeader,
    /// The deadline passed before a majority confirmed the leader.
    #[error("no majority confirmed the leader within the deadline; try again")]
    LeaderUnconfirmed,
    /// The deadline passed before this node had applied all that was committed when the read was made.
    #[error(
        "this node has applied up to index {applied}, and the read needs {index}; try again, or read on another node"
    )]
    Behind {
        /// The index that the read needs.
        index: Index,
        /// The index up to which this node has applied.
        applied: Index,
    },
    /// The cluster is not formed yet: not all listed nodes have been met and have announced the list.
    #[error("the cluster is not formed yet; waiting for {}", missing(.waiting_for))]
    ClusterNotFormed {
        /// The addresses of the nodes that it waits for.
        waiting_for: Vec<String>,
    },
    /// Handshakes were refused, so this node cannot reach a leader or found a cluster before somebody acts: the reason says
    /// how.
    #[error("the handshake with {} was refused: {reason}", .peers.join(", "))]
    PeersRefused {
        /// The addresses of the peers whose handshake was refused, by them or by this node, for this reason.
        peers: Vec<String>,
        /// Why, and the remedy.
        reason: String,
    },
    /// The node has as many waiting reads as it keeps.
    #[error("{limit} reads are waiting already; wait for earlier ones before making more")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The thread that waited for the read holds a read guard, and would wait for itself.
    #[error(
        "this thread holds a read guard, and the read cannot finish before the guard is dropped; drop the guard first"
    )]
    ReadGuardHeld,
    /// The node was shut down, or stopped after an error.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// What is missing before the cluster is formed.
fn missing(addresses: &[String]) -> String {
    match addresses {
        [] => "this node's own disk".to_owned(),
        _ => addresses.join(", "),
    }
}
