//! What the code that `#[replicated]` generates calls: the way of every replicated call into the library.

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
