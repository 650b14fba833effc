//! An operation of a client: what it requested, and how it ended.

use super::schedule::setup::Limits;
use crate::calls::outcome::{CallError, Committed, Outcome, ReadError};
use crate::codec::method::MethodId;
use crate::raft::types::Index;
use bytes::Bytes;
use std::rc::Rc;

/// What a client requests.
pub(crate) enum Request<T> {
    Call {
        method: MethodId,
        arguments: Bytes,
        /// Formats an encoded reply for people.
        show: fn(&[u8]) -> String,
    },
    Read {
        /// Reads a value, and formats it with `Debug`.
        read: Rc<dyn Fn(&T) -> String>,
        local: bool,
    },
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Request<T> {
        match self {
            Request::Call { method, arguments, show } => {
                Request::Call { method: *method, arguments: arguments.clone(), show: *show }
            }
            Request::Read { read, local } => Request::Read { read: Rc::clone(read), local: *local },
        }
    }
}

/// An operation's position in `World::operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OperationId(pub(crate) usize);

/// A request that was made of a node, and how it ended.
pub(crate) struct Operation<T> {
    pub(crate) client: usize,
    pub(crate) server: usize,
    /// Which of the server's processes got it.
    pub(crate) life: u64,
    pub(crate) request: Request<T>,
    pub(crate) key: u64,
    /// The step at which it was made.
    pub(crate) invoked: u64,
    /// The last index that had been acknowledged to any client by then.
    pub(crate) acknowledged_before: Index,
    /// The step at which it ended, and how.
    pub(crate) ended: Option<(u64, End)>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A call that took effect at this index, with its encoded reply.
    Returned { index: Index, reply: Bytes },
    /// A call that took effect at this index; its reply is lost, or there is none.
    Applied { index: Index },
    /// A call that has taken effect, may take effect later, or never will.
    Unknown,
    /// A call that never takes effect, or a read that was not served.
    Refused,
    /// A read, served from the state after this index.
    Read { index: Index, value: String },
}

impl End {
    pub(crate) fn of_call(outcome: &Outcome) -> End {
        match outcome {
            Ok(Committed { value, index, .. }) => End::Returned { index: *index, reply: value.clone() },
            Err(CallError::Applied { index, .. }) => End::Applied { index: *index },
            Err(CallError::Unknown { .. }) => End::Unknown,
            Err(CallError::NotApplied { .. }) => End::Refused,
        }
    }

    pub(crate) fn of_read(outcome: &Result<Index, ReadError>, value: impl FnOnce() -> String) -> End {
        match outcome {
            Ok(index) => End::Read { index: *index, value: value() },
            Err(_) => End::Refused,
        }
    }

    /// What a client may rely on where the replica may have diverged.
    pub(crate) fn untrusted(self) -> End {
        match self {
            End::Returned { .. } | End::Applied { .. } | End::Unknown => End::Unknown,
            End::Read { .. } | End::Refused => End::Refused,
        }
    }

    /// Whether a healthy cluster with these limits may end an operation like this.
    pub(crate) fn is_served(&self, limits: &Limits) -> bool {
        match self {
            End::Returned { .. } | End::Applied { .. } | End::Read { .. } => true,
            // A full log accepts no calls.
            End::Unknown => limits.has_small_log(),
            // Neither does a node accept a call that is too large.
            End::Refused => limits.has_small_commands(),
        }
    }

    /// The index at which the call took effect, or whose state the read saw.
    pub(crate) fn index(&self) -> Option<Index> {
        match self {
            End::Returned { index, .. } | End::Applied { index } | End::Read { index, .. } => Some(*index),
            End::Unknown | End::Refused => None,
        }
    }
}
