//! How a call ends.

use crate::raft::types::{Index, Term};
use bytes::Bytes;
use std::ops::Deref;

/// A call that took effect: durable at a majority, applied on the caller's own node.
///
/// Derefs to the method's return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it holds what the method returned, perhaps an error of its own; `let _ =` says that it does not matter"]
pub struct Committed<R> {
    /// What the method returned.
    pub value: R,
    /// The log index at which it took effect.
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

/// How a call ended, its reply still encoded.
pub(crate) type Outcome = Result<Committed<Bytes>, CallError>;

/// Where a call that was not applied may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// On this node, later.
    Here,
    /// On another node; this one will not serve it.
    Elsewhere,
    /// Nowhere: the call itself is at fault.
    Never,
}

/// How a call ended, where it did not end with [`Committed`].
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
    /// Applied: unknown; perhaps it will be yet. Read the state before trying again.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// Why.
        reason: UnknownReason,
    },
    /// Applied: yes, but the reply is lost.
    #[error("applied at index {index}, but {reason}")]
    Applied {
        /// Where it took effect.
        index: Index,
        /// Why there is no reply.
        reason: AppliedReason,
    },
}

/// Why a call was certainly not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAppliedReason {
    /// The deadline passed before the call could be sent: no leader was known. Retry here.
    #[error(
        "no leader within the deadline; a majority of the members must be up and reachable, then try again"
    )]
    NoLeader,
    /// The deadline passed while the call waited its turn behind others. Retry here.
    #[error("the deadline passed while the call waited for {ahead} others; try again, or call less at once")]
    Queued {
        /// How many calls were ahead of it.
        ahead: usize,
    },
    /// More calls wait than the node keeps. Retry here, later.
    #[error("the node's queue is full ({limit}); await earlier calls before making more")]
    QueueFull {
        /// The limit that was met, with its unit.
        limit: String,
    },
    /// The node has not met all its peers for the first time yet. Retry here.
    #[error("the cluster is not formed yet; waiting for {}", missing(.waiting_for))]
    Founding {
        /// The addresses that it waits for.
        waiting_for: Vec<String>,
    },
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
    /// The node was shut down, or stopped by a fault. Retry elsewhere.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// Why nobody knows whether a call was, or will be, applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// Sent, and undecided at its deadline.
    #[error(
        "the call was sent, but no majority confirmed it within the deadline; read the value before trying again"
    )]
    Deadline,
    /// The leader's log was full until the deadline. Where the leader did not change meanwhile, nothing was applied.
    #[error("the leader takes no calls: its log holds as much as log_bytes_max allows; see its status")]
    LogFull,
    /// The leader does not know the method, because it runs other code. Where it did not change meanwhile, nothing
    /// was applied.
    #[error("the leader does not know the method; run the same version on all nodes")]
    MethodUnknown,
    /// The call was waited for under a read guard of the same thread: it cannot be applied here before the
    /// guard is dropped, and then it will be. Drop the guard first.
    #[error(
        "this thread holds a read guard, and the call is applied only after it is dropped; drop the guard before waiting"
    )]
    UnderGuard,
    /// The node was shut down, or stopped by a fault, after the call was sent.
    #[error(
        "the node stopped after the call was sent: {0}; read the value on another node before trying again"
    )]
    Stopped(String),
}

/// Why there is no reply to a call that was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppliedReason {
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
    /// The reply's bytes are not of the type that the caller expects.
    #[error("its reply does not decode: {0}")]
    Decode(String),
    /// The reply was dropped from the session table before this node could read it.
    #[error("its reply is no longer kept; read the value instead")]
    Forgotten,
}

/// Why a linearizable read was not served. A read changes nothing, so every one may be tried again: here, but
/// for [`ReadError::Stopped`] (elsewhere) and [`ReadError::UnderGuard`] (never).
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
    Unconfirmed,
    /// The deadline passed before this node had applied what was committed when the read was made.
    #[error(
        "this node has applied index {applied}, the read needs {index}; try again, or read on another node"
    )]
    Behind {
        /// What the read needs.
        index: Index,
        /// What this node has.
        applied: Index,
    },
    /// The node has not met all its peers for the first time yet.
    #[error("the cluster is not formed yet; waiting for {}", missing(.waiting_for))]
    Founding {
        /// The addresses that it waits for.
        waiting_for: Vec<String>,
    },
    /// More reads wait than the node keeps.
    #[error("{limit} reads wait already; await earlier ones before making more")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The read was waited for under a read guard of the same thread, which would wait for itself.
    #[error(
        "this thread holds a read guard, and the read could not finish before it is dropped; drop the guard first"
    )]
    UnderGuard,
    /// The node was shut down, or stopped by a fault.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

/// The nodes that a cluster waits for before it is formed.
fn missing(addresses: &[String]) -> String {
    match addresses {
        [] => "this node's own disk".to_owned(),
        _ => addresses.join(", "),
    }
}
