//! The log on disk: what a node must not forget, and how it is read back.

pub(crate) mod disk;
mod frame;
mod record;
mod segment;

use crate::raft::types::{Boot, Incarnation, NodeId};

/// Whose log it is: every segment says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The member.
    pub(crate) node: NodeId,
    /// Its disk.
    pub(crate) incarnation: Incarnation,
    /// Its start: segment ids are unique by it.
    pub(crate) boot: Boot,
}
