//! Where the code that `#[replicated]` generates calls into the library.
//!
//! # The way of a call
//! 1. A generated method calls [`Core::call`], which encodes the arguments. `Mailbox::submit` queues an `Event::Call`.
//! 2. On the engine's thread `EventLoop::handle` takes it; `Node::call` and `Calls::submit` queue it again.
//! 3. At the end of the turn `Node::effects` asks `Calls::ready`, which gives the call a number. `Node::send_calls` proposes
//!    it, if this node leads. If not, it sends `Message::Calls`, and the leader's `Node::propose_forwarded` proposes it.
//! 4. On the leader `Raft::propose` appends an entry. The WAL thread writes it (`persistence::Writer::write`), the followers
//!    get it in AppendEntries and write it, and `Raft` commits it.
//! 5. On every node `Raft::ready` returns the committed entry. The apply thread runs `Machine::apply`: the session table
//!    admits the call once, and the user's method runs.
//! 6. On the caller's node the decision goes back to the engine's thread: `Node::applied`, `Calls::decided`, and with the
//!    next `Node::effects` the outcome to `EventLoop::carry_out`. That wakes `CallFuture::poll`, which decodes the reply.
//!
//! So the leader sends no reply to a call: each node applies the entry itself.

use super::call::Call;
use super::submit::SubmitCall;
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::lock::{ReadGuard, StateLock};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::sync::Arc;

/// The type that `#[replicated]` generates for an impl block: its methods, on a [`Core`].
pub trait Handle: Clone + Send + Sync + 'static {
    /// The user's struct.
    type Object: Object<Handle = Self>;

    /// Wraps a core.
    fn new(core: Core<Self::Object>) -> Self;

    /// The wrapped core.
    fn core(&self) -> &Core<Self::Object>;
}

/// What a handle wraps: where its methods submit calls, and the object that they read. Cheap to clone.
pub struct Core<T: Object> {
    calls: Arc<dyn SubmitCall>,
    pub(super) state: Arc<StateLock<T>>,
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

    /// Every replicated method comes here. Encodes `arguments`, a tuple of references, and submits the call.
    pub fn call<A: Serialize, R: DeserializeOwned>(&self, method: MethodId, arguments: &A) -> Call<R> {
        let arguments = match postcard::to_stdvec(arguments) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => return Call::not_encodable(&error),
        };
        match self.calls.submit(method, arguments) {
            Ok(submitted) => Call::submitted(submitted, self.state.id()),
            Err(error) => Call::ended(error),
        }
    }

    /// Every local read comes here. Locks this node's object for reading.
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.state.read()
    }
}
