//! The identity of a replicated method, in the log and in the handshake.

use crate::hash::fnv1a_32;

/// Identifies a method in the log: a hash of its name, or of the name that `#[replicated(name = "…")]` gives. It does
/// not depend on the position, so methods can be added and moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodId(pub u32);

impl MethodId {
    /// The id of a method of this name: FNV-1a of 32 bits.
    pub const fn of(name: &str) -> MethodId {
        MethodId(fnv1a_32(name))
    }
}

/// A replicated method, as nodes compare it in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its id in the log.
    pub id: MethodId,
    /// Its name, for messages.
    pub name: &'static str,
    /// How many arguments an entry carries, without `self` and the context. Nodes that differ refuse each other.
    pub arity: u8,
    /// The types of the arguments as written, with white space normalised. Nodes that differ warn.
    pub types: &'static str,
}
