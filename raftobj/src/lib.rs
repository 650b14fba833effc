//! raftobj makes a plain Rust object the same on every node.

// The rooms, in the order of DESIGN; ARCHITECTURE.md is the map.
pub(crate) mod calls;
pub(crate) mod codec;
pub(crate) mod object;
pub(crate) mod raft;

extern crate self as raftobj;

pub use calls::outcome::{AppliedReason, CallError, Committed, NotAppliedReason, Retry, UnknownReason};
pub use object::context::ApplyContext;
pub use object::{Method, MethodError, MethodId, Object, Replicated};
pub use raft::types::{Boot, Incarnation, Index, NodeId, Term, Time};
pub use raftobj_derive::replicated;
pub use replica::{Call, Core, Replica};
#[doc(no_inline)]
pub use serde;

pub(crate) mod replica;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
