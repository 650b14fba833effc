//! A replicated call as the payload of an entry.

use crate::object::MethodId;
use crate::raft::types::{Boot, Incarnation, NodeId};
use bytes::Bytes;

/// One life of a process on one disk: who numbers calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId {
    /// The member.
    pub(crate) node: NodeId,
    /// Its disk.
    pub(crate) incarnation: Incarnation,
    /// Its start. A higher boot retires lower ones.
    pub(crate) boot: Boot,
}

/// The number of a call within its session. The first call is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(pub(crate) u64);

/// Which object of a node a call is for. Zero is the only one so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(pub(crate) u32);

/// A call: what to do, and who asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Command {
    /// The object.
    pub(crate) object: ObjectId,
    /// The caller's session.
    pub(crate) session: SessionId,
    /// The call's number in that session.
    pub(crate) number: Number,
    /// The session's first unanswered number when this was sent; never above `number`.
    pub(crate) lowest: Number,
    /// The method.
    pub(crate) method: MethodId,
    /// Its arguments: postcard, a tuple.
    pub(crate) arguments: Bytes,
}
