//! What the log and the handshake say about a replicated method.

use crate::hash::fnv1a_32;

/// Names a method in the log: a hash of the method's name, or of the one that `#[replicated(name = "…")]` gives.
/// Never its position, so that methods can be added and moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodId(pub u32);

impl MethodId {
    /// The id of a method of this name: FNV-1a of 32 bits.
    pub const fn of(name: &str) -> MethodId {
        MethodId(fnv1a_32(name))
    }
}

/// What a node must agree on with others about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its id in the log.
    pub id: MethodId,
    /// Its name, for people.
    pub name: &'static str,
    /// How many arguments an entry carries (without `self` and the context). Nodes that differ refuse each other.
    pub arity: u8,
    /// The arguments' types as spelled, white space normalised. Nodes that differ warn.
    pub types: &'static str,
}
