//! What a user simulates.

use super::client::Client;
use crate::object::Object;

/// What a user simulates: how an object is made, and what clients do with it.
pub(crate) struct Program<T: Object> {
    pub(crate) object: Box<dyn Fn() -> T>,
    pub(crate) workload: Workload<T>,
    /// Compares two replicas, where the type can be compared.
    pub(crate) equal: Option<fn(&T, &T) -> bool>,
}

/// Chooses a client's next operation.
pub(crate) type Workload<T> = Box<dyn Fn(&mut Client<'_, T>)>;
