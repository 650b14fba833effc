//! The user's face of a node: [`Replica`] and its calls.
//!
//! It encodes, locks and waits; of how a call is carried out it knows only the engine's mailbox. Begin with [`Replica`],
//! then `builder` (how a node starts), `call` (what a method returns), `control` (status, log, end), `options`.

pub(crate) mod address;
pub(crate) mod builder;
pub(crate) mod call;
pub(crate) mod control;
pub(crate) mod options;
pub(crate) mod submit;
pub(crate) mod wait;

use crate::calls::outcome::ReadError;
use crate::codec::method::MethodId;
use crate::driver::Engine;
use crate::driver::mailbox::Event;
use crate::object::Object;
use crate::object::lock::{ReadGuard, StateLock};
use builder::Builder;
use bytes::Bytes;
pub use call::Call;
use control::NodeControl;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use submit::SubmitCall;
use tokio::sync::oneshot;
use wait::block_on;

/// The user's object on this node, the same as on every other.
///
/// It derefs to the methods that `#[replicated]` made: a replicated method returns a [`Call`]; a method that is
/// not annotated reads locally. Clones are cheap and are the same node; when the last one is dropped the node
/// shuts down: what was acknowledged is durable, and no thread is left behind.
pub struct Replica<T: Object> {
    handle: T::Handle,
    engine: Arc<Engine>,
}

impl<T: Object> Replica<T> {
    /// A node that its peers reach at `address`: `host:port`, as they spell it in their lists.
    pub fn builder(address: impl Into<String>) -> Builder<T> {
        Builder::new(address.into())
    }

    pub(crate) fn new(engine: Engine, state: Arc<StateLock<T>>) -> Replica<T> {
        let engine = Arc::new(engine);
        let core = Core::new(Arc::clone(&engine) as Arc<dyn SubmitCall>, state);
        Replica { handle: <T::Handle as Handle>::new(core), engine }
    }

    /// Locks the object on this node for reading: any `&self` method, borrowed results too.
    ///
    /// Local: what is read was committed, but another node may have more; right after a start the object is still
    /// being rebuilt from the log ([`ready`](Replica::ready) waits for that). While the guard lives nothing is
    /// applied here, so drop it soon; it cannot be sent to another thread. A thread that holds one may read again.
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.core().read()
    }

    /// Waits until this node has applied all that was committed before this call, on any node; a read that
    /// follows is linearizable with respect to it.
    ///
    /// `kv.linearizable().await?.get("a")` reads what was last committed.
    pub fn linearizable(&self) -> LinearizableRead<'_, T> {
        LinearizableRead { replica: self, deadline: None }
    }

    /// Waits until this node serves: the cluster is formed, a leader is known, and all that was committed before
    /// is applied here. Without [`deadline`](LinearizableRead::deadline) it waits for one call's deadline.
    pub fn ready(&self) -> LinearizableRead<'_, T> {
        self.linearizable()
    }

    /// The node itself: its status, its log, its end.
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

/// What `#[replicated]` generates beside an impl block: the block's methods, on a [`Core`].
pub trait Handle: Clone + Send + Sync + 'static {
    /// The user's struct.
    type Object: Object<Handle = Self>;

    /// Wraps a core.
    fn new(core: Core<Self::Object>) -> Self;

    /// The core that was wrapped.
    fn core(&self) -> &Core<Self::Object>;
}

/// What the generated handle holds: where its methods submit calls, and the object to read. Cheap to clone.
pub struct Core<T: Object> {
    calls: Arc<dyn SubmitCall>,
    state: Arc<StateLock<T>>,
}

impl<T: Object> Clone for Core<T> {
    fn clone(&self) -> Core<T> {
        Core { calls: Arc::clone(&self.calls), state: Arc::clone(&self.state) }
    }
}

impl<T: Object> fmt::Debug for Core<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl<T: Object> Core<T> {
    pub(crate) fn new(calls: Arc<dyn SubmitCall>, state: Arc<StateLock<T>>) -> Core<T> {
        Core { calls, state }
    }

    /// Encodes `arguments`, a tuple of references, and submits the call.
    pub fn call<A: Serialize, R: DeserializeOwned>(&self, method: MethodId, arguments: &A) -> Call<R> {
        let arguments = match postcard::to_stdvec(arguments) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => return call::does_not_encode(&error),
        };
        match self.calls.submit(method, arguments) {
            Ok(submitted) => Call::submitted(submitted, self.state.id()),
            Err(error) => Call::ended(error),
        }
    }

    /// Locks the object for reading, locally.
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.state.read()
    }
}

/// A linearizable read on its way: await it, or [`wait`](LinearizableRead::wait) for it.
#[must_use = "await it, or `.wait()` for it, before reading"]
pub struct LinearizableRead<'a, T: Object> {
    replica: &'a Replica<T>,
    deadline: Option<Duration>,
}

impl<'a, T: Object> LinearizableRead<'a, T> {
    /// Sets another deadline than the default one of calls.
    pub fn deadline(mut self, deadline: Duration) -> LinearizableRead<'a, T> {
        self.deadline = Some(deadline);
        self
    }

    /// Blocks this thread until reads are linearizable, or the deadline has passed.
    ///
    /// # Errors
    /// As awaiting it; and [`ReadError::ReadGuardHeld`] at once where this thread holds a read guard.
    pub fn wait(self) -> Result<&'a Replica<T>, ReadError> {
        if self.replica.core().state.id().is_held() {
            return Err(ReadError::ReadGuardHeld);
        }
        block_on(self.into_future())
    }
}

impl<'a, T: Object> IntoFuture for LinearizableRead<'a, T> {
    type Output = Result<&'a Replica<T>, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let LinearizableRead { replica, deadline } = self;
        let engine = &replica.engine;
        let deadline = deadline.unwrap_or(engine.call_deadline());
        let (reply, answer) = oneshot::channel();
        let queued = engine.mailbox().put(Event::Read { deadline, reply });
        Box::pin(async move {
            queued.map_err(ReadError::Stopped)?;
            match answer.await {
                Ok(read) => read.map(|()| replica),
                Err(_) => Err(ReadError::Stopped("its engine is gone".into())),
            }
        })
    }
}
