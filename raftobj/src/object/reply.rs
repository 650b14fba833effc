//! The results of calls: replies, and what is reported to the origin of a call.

use crate::codec::command::Number;
use crate::raft::types::EntryId;
use bytes::Bytes;
use std::borrow::Cow;

/// The reply of a call that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// The returned value, encoded.
    Value(Bytes),
    /// The method panicked; the object is as the method left it. The text may differ between replicas, so neither the
    /// session table nor the digest contains it: the caller gets the text of its own node.
    Panicked(Cow<'static, str>),
    /// The returned value does not encode. Its text is handled as that of a panic.
    Unencodable(Cow<'static, str>),
    /// The returned value is larger than the limit.
    TooLarge {
        /// Encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The reply was dropped, because the session had too many bytes of replies.
    Forgotten,
}

/// Stands in the session table for a text that may differ between replicas.
const TEXT_NOT_KEPT: Cow<'static, str> = Cow::Borrowed("its message is no longer kept");

impl Reply {
    /// The reply as the session table keeps it: equal on every replica.
    pub(crate) fn to_kept(&self) -> Reply {
        match self {
            Reply::Panicked(_) => Reply::Panicked(TEXT_NOT_KEPT),
            Reply::Unencodable(_) => Reply::Unencodable(TEXT_NOT_KEPT),
            reply => reply.clone(),
        }
    }

    /// The bytes that it keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Reply::Value(value) => value.len(),
            _ => 0,
        }
    }
}

/// The result of applying an entry with a call of this node's own session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The call.
    pub(crate) number: Number,
    /// Its result.
    pub(crate) verdict: CallVerdict,
}

/// The result of a call, by its [`CommandStatus`](super::sessions::CommandStatus).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallVerdict {
    /// It took effect, at this entry or at an earlier one.
    Replied {
        /// The entry at which it took effect: for a duplicate, the first one.
        entry: EntryId,
        /// Its reply.
        reply: Reply,
    },
    /// No effect: an earlier call is missing. A leader refuses such a call before it appends it.
    Gap,
    /// No effect now: the number is below the highest `lowest` of the session. Whether it took effect before is
    /// unknown.
    Forgotten,
    /// No effect, ever: another process has registered a higher boot of this node.
    Retired,
}
