//! raftobj makes a plain Rust object the same on every node.

// The rooms; ARCHITECTURE.md is the map.
pub(crate) mod calls;
pub(crate) mod codec;
pub(crate) mod driver;
pub(crate) mod hash;
pub(crate) mod net;
pub(crate) mod node;
pub(crate) mod object;
pub(crate) mod raft;
pub(crate) mod replica;
#[cfg(test)]
mod scenario;
pub(crate) mod storage;

extern crate self as raftobj;

pub use calls::outcome::{
    AppliedReason, CallError, Committed, NotAppliedReason, ReadError, Retry, UnknownReason,
};
pub use node::status::{PeerStatus, Role, Status};
pub use object::context::ApplyContext;
pub use object::lock::ReadGuard;
pub use object::{Method, MethodError, MethodId, Object, Replicated};
pub use raft::types::{Boot, Incarnation, Index, NodeId, Term, Time};
pub use raftobj_derive::replicated;
pub use replica::address::AddressError;
pub use replica::builder::{Builder, StartError};
pub use replica::call::{Call, CallFuture};
pub use replica::control::{LogEntry, NodeControl, Watch};
pub use replica::options::{OnPanic, Options};
pub use replica::{Linearizable, Replica};
#[doc(no_inline)]
pub use serde;
pub use storage::inspect;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// The examples of the README compile.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
struct Readme;
