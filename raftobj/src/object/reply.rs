//! What a call leaves behind: a reply, or why there is none.

use crate::codec::command::Number;
use crate::raft::types::EntryId;
use bytes::Bytes;
use std::borrow::Cow;

/// What a method that took effect returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// Its value, encoded.
    Value(Bytes),
    /// It panicked; the object is as it left it. The text may differ between replicas, so only the node that
    /// ran the method for its caller has it, and no table or digest.
    Panicked(Cow<'static, str>),
    /// It returned a value that does not encode. The text is kept as a panic's is.
    Unencodable(Cow<'static, str>),
    /// Its value is larger than replies are kept.
    TooLarge {
        /// Encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It was dropped: the session had too many bytes of replies unanswered.
    Forgotten,
}

/// What stands in tables for a text that may differ between replicas.
const TOLD_ONCE: Cow<'static, str> = Cow::Borrowed("its message was told only when it was applied");

impl Reply {
    /// The reply as the session table keeps it: equal on every replica.
    pub(crate) fn to_kept(&self) -> Reply {
        match self {
            Reply::Panicked(_) => Reply::Panicked(TOLD_ONCE),
            Reply::Unencodable(_) => Reply::Unencodable(TOLD_ONCE),
            reply => reply.clone(),
        }
    }

    /// The memory it holds on to.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Reply::Value(value) => value.len(),
            _ => 0,
        }
    }
}

/// What this node's apply found out about a call of this node's own session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Which call.
    pub(crate) number: Number,
    /// What became of it.
    pub(crate) verdict: Verdict,
}

/// See [`CommandStatus`](super::sessions::CommandStatus).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It took effect, now or before.
    Replied {
        /// Where it took effect; of a repeat, where the first one did.
        entry: EntryId,
        /// What the method returned.
        reply: Reply,
    },
    /// No effect: a call before it is missing. Send again from the first unanswered.
    Gap,
    /// Below the `lowest` that the session itself has sent.
    Forgotten,
    /// No effect, ever: another process registered a higher boot of this node.
    Retired,
}
