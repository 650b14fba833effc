//! The protocol's words, each a type of its own: a term is never taken for an index.

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
    /// A position in the log. The first entry is at 1; zero is before it.
    pub Index
}
newtype! {
    /// A point in time as the leader stamped it: milliseconds since the Unix epoch.
    pub Time
}
newtype! {
    /// How often a node was started from its directory: 1 for the first start, written durably at each.
    pub Boot
}
newtype! {
    /// A span, or a point, of a node's own clock, counted in ticks.
    pub(crate) Ticks
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        newtype! { $(#[$doc])* pub $name }

        impl $name {
            /// The first eight hexadecimal digits: enough to tell ids apart in a log line.
            pub fn short(self) -> String {
                format!("{:08x}", self.0 >> 32)
            }
        }
    };
}

random_id! {
    /// A member: drawn at random when its data directory is made.
    NodeId
}
random_id! {
    /// One life of a member's disk: drawn at random when its data directory is made. A disk that was wiped
    /// comes back with another, and is refused.
    Incarnation
}

impl Term {
    /// The term a candidate in this one campaigns for.
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl Index {
    /// The position after this one.
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The position before this one; the first has zero before it.
    pub fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

/// Names an entry for ever: two entries of one term and index are the same entry (§5.3). Ordered by term
/// first, which is the order of §5.4.1 (whose log is more up to date).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId {
    /// The term in which a leader made the entry.
    pub(crate) term: Term,
    /// Its position.
    pub(crate) index: Index,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// What an entry's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EntryKind {
    /// Nothing: a leader's first entry of its term (§8).
    Noop,
    /// A replicated call, in the encoding of `codec::command`.
    Command,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Term and index.
    pub(crate) id: EntryId,
    /// The leader's clock when it appended the entry; never before the entry ahead of it.
    pub(crate) time: Time,
    /// What the payload is.
    pub(crate) kind: EntryKind,
    /// Opaque here.
    pub(crate) payload: Bytes,
}

/// What a node must not forget between two messages (figure 2, persistent state; the log apart).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HardState {
    /// The latest term this node has seen.
    pub(crate) term: Term,
    /// Whom it voted for in that term.
    pub(crate) voted_for: Option<NodeId>,
}
