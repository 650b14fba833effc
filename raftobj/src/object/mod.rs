//! The user's object: its name, its methods, and how committed entries are applied to it.
//!
//! No clocks, no I/O; terms are only passed through. Begin with [`Object`], which `#[replicated]` implements, then
//! [`machine::Machine`], the state machine that applies entries to an object.

pub(crate) mod admission;
pub(crate) mod context;
pub(crate) mod describe;
pub(crate) mod digest;
#[cfg(test)]
#[path = "tests/fixture.rs"]
pub(crate) mod fixture;
pub(crate) mod lock;
pub(crate) mod machine;
pub(crate) mod reply;
pub(crate) mod sessions;

use crate::codec::method::{Method, MethodId};
use context::ApplyContext;
use serde::{Serialize, de::DeserializeOwned};

/// A struct that can be replicated. `#[replicated]` on the struct implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a replicated struct",
    label = "this struct is not annotated",
    note = "put `#[raftobj::replicated]` on the struct as well as on its impl block"
)]
pub trait Replicated: Serialize + DeserializeOwned + Send + Sync + 'static {}

/// Why a method could not be called, or its reply could not be encoded. The first two stop the node, because it cannot
/// know what the other replicas do. The last is an outcome of the call, as a panic is, and apply continues.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// There is no method with this id: the code is older, or the method was removed or renamed.
    #[error("no method with id {:08x}; run code that has it, or keep the old name with #[replicated(name = \"…\")]", .0.0)]
    Unknown(MethodId),
    /// The arguments are not those of the method, or bytes are left over.
    #[error("the arguments of `{method}` do not decode: {reason}")]
    Arguments {
        /// The method's name.
        method: &'static str,
        /// The decoder's message.
        reason: String,
    },
    /// The returned value cannot be encoded.
    #[error("the value returned by `{method}` does not encode: {reason}")]
    Reply {
        /// The method's name.
        method: &'static str,
        /// The encoder's message.
        reason: String,
    },
}

/// A struct whose impl block is annotated: the methods that the log may carry, and how to call them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no replicated methods",
    label = "no impl block of this type is annotated",
    note = "put `#[raftobj::replicated]` on the impl block and on each method that changes the object"
)]
pub trait Object: Replicated {
    /// The type that [`Replica`](crate::Replica) derefs to: it has the methods under their own names.
    type Handle: crate::__private::Handle<Object = Self>;

    /// The struct's name, for messages and for the handshake.
    const NAME: &'static str;

    /// The replicated methods, in the order of the block.
    const METHODS: &'static [Method];

    /// Decodes `arguments`, calls the method, and appends its encoded reply to `reply`.
    ///
    /// # Errors
    /// See [`MethodError`]. The method was not called, except in the case of [`MethodError::Reply`].
    ///
    /// # Panics
    /// If the method panics. Apply catches the panic.
    fn apply(
        &mut self,
        method: MethodId,
        arguments: &[u8],
        context: &ApplyContext,
        reply: &mut Vec<u8>,
    ) -> Result<(), MethodError>;

    /// The arguments for people, as in source code: `"a", Some(1)`. An argument without `Debug` is `_`.
    ///
    /// # Errors
    /// As [`Object::apply`]: an unknown method, or arguments that do not decode.
    fn describe(method: MethodId, arguments: &[u8]) -> Result<String, MethodError>;
}
