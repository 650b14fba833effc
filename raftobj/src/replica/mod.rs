//! The user's face of a node: [`Replica`] and its calls.

use crate::object::{MethodId, Object};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;
use std::ops::Deref;

/// The user's object on this node.
pub struct Replica<T: Object> {
    handle: T::Handle,
}

impl<T: Object> Deref for Replica<T> {
    type Target = T::Handle;
    fn deref(&self) -> &T::Handle {
        &self.handle
    }
}

/// What `#[replicated]` generates beside an impl block: its methods, on a [`Core`].
pub trait Handle: Clone + Send + Sync + 'static {
    /// The user's struct.
    type Object: Object<Handle = Self>;
    /// Wraps a core.
    fn new(core: Core<Self::Object>) -> Self;
    /// The core that was wrapped.
    fn core(&self) -> &Core<Self::Object>;
}

/// A running node, as the generated handle holds it. Cheap to clone.
pub struct Core<T: Object>(PhantomData<T>);

impl<T: Object> Clone for Core<T> {
    fn clone(&self) -> Self {
        Core(PhantomData)
    }
}

/// A guard over the state (placeholder until the engine lands).
pub struct ReadGuard<'a, T>(&'a T);

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0
    }
}

/// A replicated call on its way.
#[must_use = "await it, or `.wait()` for it; dropped, it still takes effect but its outcome is not known"]
pub struct Call<R>(PhantomData<fn() -> R>);

impl<T: Object> Core<T> {
    /// Encodes `arguments` (a tuple of references) and queues the call.
    pub fn call<A: Serialize, R: DeserializeOwned>(&self, method: MethodId, arguments: &A) -> Call<R> {
        let _ = (method, arguments);
        Call(PhantomData)
    }

    /// Locks the state for reading, locally.
    pub fn read(&self) -> ReadGuard<'_, T> {
        panic!("the engine is not here yet")
    }
}
