//! The quantities of the protocol, each a type of its own, so that a term is never taken for an index.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! newtype {
    ($(#[$doc:meta])* $visibility:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        $visibility struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

newtype! {
    /// A Raft term (§5.1). Zero is before the first election.
    pub Term
}
newtype! {
    /// An index in the log. The first entry has 1; zero is before it.
    pub Index
}
newtype! {
    /// A point in time of the leader's clock: milliseconds since the Unix epoch.
    pub Time
}
newtype! {
    /// How many times a node was started from its directory: 1 at the first start. Written durably at each start.
    pub Boot
}
newtype! {
    /// A length of time, or a point in time of a node's own clock, in ticks.
    pub(crate) Ticks
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        newtype! { $(#[$doc])* pub $name }

        impl $name {
            /// The first eight hexadecimal digits: enough to distinguish ids in a log line.
            pub fn short(self) -> String {
                format!("{:08x}", self.0 >> 32)
            }
        }
    };
}

random_id! {
    /// The id of a member: random, drawn when its data directory is created.
    NodeId
}
random_id! {
    /// The id of a member's disk: random, drawn when its data directory is created. A disk that was wiped gets another
    /// one, and is refused by the cluster.
    Incarnation
}

impl Term {
    /// The term after this one: a candidate campaigns for it.
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl Index {
    /// The index after this one.
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The index before this one; zero before the first.
    pub fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

/// Identifies an entry: two entries with the same index and term are the same entry (§5.3). Ordered by term first, the
/// order of §5.4.1 (which log is more up to date).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId {
    /// The term of the leader that appended the entry.
    pub(crate) term: Term,
    /// Its index.
    pub(crate) index: Index,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EntryKind {
    /// No payload: a leader's first entry of its term (§8).
    Noop,
    /// A replicated call, in the encoding of `codec::command`.
    Command,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Term and index.
    pub(crate) id: EntryId,
    /// The leader's clock when it appended the entry; never before the time of the entry ahead of it.
    pub(crate) time: Time,
    /// The kind of its payload.
    pub(crate) kind: EntryKind,
    /// Opaque to the protocol.
    pub(crate) payload: Bytes,
}

/// The persistent state of a server (figure 2), without its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HardState {
    /// currentTerm: the latest term this node has seen.
    pub(crate) term: Term,
    /// votedFor: the candidate that got this node's vote in that term.
    pub(crate) voted_for: Option<NodeId>,
}
