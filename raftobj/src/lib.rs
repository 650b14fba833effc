//! raftobj replicates a plain Rust object: it is the same on every node.
//!
//! [`#[replicated]`](macro@replicated) turns calls of the mutating methods of a struct into entries of a log. A Raft engine
//! in the background writes them to the disks of a majority, and applies them in one order on every replica. Methods that
//! are not annotated read locally.
//!
//! ```no_run
//! use raftobj::{ApplyContext, Replica, replicated};
//! use std::collections::BTreeMap;
//!
//! #[replicated]
//! #[derive(Default)]
//! pub struct Accounts {
//!     balances: BTreeMap<String, u64>,
//! }
//!
//! #[replicated]
//! impl Accounts {
//!     /// A method's own `Result` is its value: it arrives inside of the call's `Result`.
//!     #[replicated]
//!     pub fn transfer(&mut self, from: &str, to: &str, amount: u64) -> Result<(), String> {
//!         let left = self.balance(from).checked_sub(amount).ok_or("not enough")?;
//!         self.balances.insert(from.to_owned(), left);
//!         *self.balances.entry(to.to_owned()).or_default() += amount;
//!         Ok(())
//!     }
//!
//!     /// The context has the index, the term, the time and random numbers, the same on every replica.
//!     #[replicated]
//!     pub fn open(&mut self, name: &str, context: &ApplyContext) -> u64 {
//!         *self.balances.entry(name.to_owned()).or_insert(context.index().0)
//!     }
//!
//!     pub fn balance(&self, name: &str) -> u64 {
//!         self.balances.get(name).copied().unwrap_or_default()
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let accounts: Replica<Accounts> = Replica::builder("10.0.0.1:4321")
//!     .peers(["10.0.0.2:4321", "10.0.0.3:4321"])
//!     .data_dir("/var/lib/accounts")
//!     .start(Accounts::default())?;
//! accounts.ready().await?;
//! let done = accounts.transfer("ann", "bob", 5).await?; // from any node, exactly once, durable at a majority
//! println!("took effect at index {} of the log", done.index);
//! done.into_inner()?;                                   // the method's own result
//! accounts.linearizable().await?.balance("bob");        // sees all that was committed before
//! accounts.open("carl").wait()?;                        // without an async runtime
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//! [`Replica`] and its [`Builder`]; [`Call`] and how it ends ([`Committed`], [`CallError`]); [`Options`] with every limit
//! and its default; [`Status`] for operators; [`inspect`] for the files of a node that does not run.
//!
//! # What a replicated method must be
//! Deterministic: a function of the object, its arguments and its [`ApplyContext`]. No clock, no random numbers, no order
//! of a `HashMap`, no files. Replicas compare digests of all replies; a replica that the majority disagrees with stops.
//! A panic of a method is the outcome of its call, and the node goes on, unless [`OnPanic`] is set otherwise.
//!
//! Arguments and replies are encoded with postcard; derive `Serialize` and `Deserialize` for their types. The log identifies
//! a method by a hash of its name: rename it with `#[replicated(name = "old name")]`. Never change the types of a method
//! that is in a log; add a new method.

// The rooms; ARCHITECTURE.md is the map.
pub(crate) mod calls;
pub(crate) mod codec;
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real clocks are read here, and hash maps are used"
)]
pub(crate) mod driver;
pub(crate) mod hash;
pub(crate) mod marks;
#[allow(clippy::disallowed_methods, reason = "connections have timeouts")]
pub(crate) mod net;
pub(crate) mod node;
pub(crate) mod object;
pub(crate) mod persistence;
pub(crate) mod planted;
pub(crate) mod raft;
pub(crate) mod replica;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub(crate) mod storage;

extern crate self as raftobj;

pub use calls::outcome::{
    CallError, Committed, NoReplyReason, NotAppliedReason, ReadError, Retry, UnknownReason,
};
pub use codec::method::{Method, MethodId};
pub use node::status::{PeerStatus, Role, Status, Traffic};
pub use object::context::ApplyContext;
pub use object::lock::ReadGuard;
pub use object::machine::OnPanic;
pub use object::{MethodError, Object, Replicated};
pub use raft::types::{Boot, Incarnation, Index, NodeId, Term, Time};
pub use raftobj_derive::replicated;
pub use replica::Replica;
pub use replica::address::AddressError;
pub use replica::builder::{Builder, StartError};
pub use replica::call::{Call, CallFuture};
pub use replica::control::{LogEntry, NodeControl, StatusWatch};
pub use replica::linearizable::LinearizableRead;
pub use replica::options::Options;
#[doc(no_inline)]
pub use serde;
pub use storage::inspect;

#[cfg(raftobj_fuzz)]
#[doc(hidden)]
#[path = "fuzz/mod.rs"]
pub mod __fuzz;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// The examples of the README compile.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
struct Readme;
