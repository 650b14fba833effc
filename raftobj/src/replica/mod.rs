//! The public interface of a node: [`Replica`] and its calls.
//!
//! It encodes, locks and waits. It passes calls to the engine's mailbox, and does not know how they are carried out.
//!
//! Begin with [`Replica`]. Then `builder` and `options` (how a node starts), `handle` and `submit` (where a method's call
//! goes), `call` (what a method returns), `linearizable` (reads), `control` (status, log, shutdown).

pub(crate) mod address;
pub(crate) mod builder;
pub(crate) mod call;
pub(crate) mod control;
pub(crate) mod handle;
pub(crate) mod linearizable;
pub(crate) mod options;
pub(crate) mod submit;
pub(crate) mod wait;

use crate::driver::Engine;
use crate::object::Object;
use crate::object::lock::{ReadGuard, StateLock};
use builder::Builder;
pub use call::Call;
use control::NodeControl;
pub use handle::{Core, Handle};
use linearizable::LinearizableRead;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use submit::SubmitCall;

/// The user's object on this node; it is the same on every other node.
///
/// It derefs to the methods that `#[replicated]` generated: a replicated method returns a [`Call`]; a method that is not
/// annotated reads locally. Clones are cheap and belong to the same node. When the last clone is dropped the node shuts
/// down: every acknowledged call is durable, and no thread is left.
pub struct Replica<T: Object> {
    handle: T::Handle,
    engine: Arc<Engine>,
}

impl<T: Object> Replica<T> {
    /// Builds a node that its peers reach at `address`: `host:port`, as their lists spell it.
    pub fn builder(address: impl Into<String>) -> Builder<T> {
        Builder::new(address.into())
    }

    pub(crate) fn new(engine: Engine, state: Arc<StateLock<T>>) -> Replica<T> {
        let engine = Arc::new(engine);
        let core = Core::new(Arc::clone(&engine) as Arc<dyn SubmitCall>, state);
        Replica { handle: <T::Handle as Handle>::new(core), engine }
    }

    /// Locks the object on this node for reading. Any `&self` method can be called, and may return references.
    ///
    /// The read is local: all that it sees was committed, but another node may have applied more. Right after a start the
    /// object is still being rebuilt from the log; [`ready`](Replica::ready) waits for that. While the guard lives
    /// nothing is applied here, so drop it soon. It cannot be sent to another thread. A thread that holds one may read
    /// again.
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.core().read()
    }

    /// Waits until this node has applied all that was committed before this call, on any node. A read after that is
    /// linearizable.
    ///
    /// `kv.linearizable().await?.get("a")` sees every call that was acknowledged before, on any node.
    pub fn linearizable(&self) -> LinearizableRead<'_, T> {
        LinearizableRead { replica: self, deadline: None }
    }

    /// Waits until this node can serve: the cluster is formed, a leader is known, and this node has applied all that was
    /// committed before this call. It waits for [`call_deadline`](crate::Options::call_deadline), unless another
    /// [`deadline`](LinearizableRead::deadline) is set.
    pub fn ready(&self) -> LinearizableRead<'_, T> {
        self.linearizable()
    }

    /// The node itself: its status, its log, its shutdown.
    pub fn node(&self) -> NodeControl<'_, T> {
        NodeControl::new(&self.engine, &self.core().state)
    }

    fn core(&self) -> &Core<T> {
        self.handle.core()
    }
}

impl<T: Object> Clone for Replica<T> {
    fn clone(&self) -> Replica<T> {
        Replica { handle: self.handle.clone(), engine: Arc::clone(&self.engine) }
    }
}

/// The user's methods are those of the handle; see `handle` for where their calls go.
impl<T: Object> Deref for Replica<T> {
    type Target = T::Handle;

    fn deref(&self) -> &T::Handle {
        &self.handle
    }
}

impl<T: Object> fmt::Debug for Replica<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("object", &T::NAME).finish_non_exhaustive()
    }
}
