//! The user's object: how it is told apart from others, what can be called on it, how a call is applied.
//!
//! Knows neither clocks nor I/O, and of terms only what it hands through. Begin with [`Object`], which
//! `#[replicated]` implements, then [`machine::Machine`], which applies entries to one.

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

/// Why a method could not be called, or its reply not be kept. The first two stop the node: what it would do
/// next is a guess. The last is an outcome of the call, as a panic is: apply goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// No method of this id: the code here is older, or a method was removed or renamed.
    #[error("no method with id {:08x}; run code that has it, or keep the old name with #[replicated(name = \"…\")]", .0.0)]
    Unknown(MethodId),
    /// The arguments are not what the method takes, to the last byte.
    #[error("the arguments of `{method}` do not decode: {reason}")]
    Arguments {
        /// The method's name.
        method: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The returned value cannot be encoded.
    #[error("the value returned by `{method}` does not encode: {reason}")]
    Reply {
        /// The method's name.
        method: &'static str,
        /// What the encoder said.
        reason: String,
    },
}

/// A struct whose impl block is annotated: the calls that the log may carry, and how to apply them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no replicated methods",
    label = "no impl block of this type is annotated",
    note = "put `#[raftobj::replicated]` on the impl block and on each method that changes the object"
)]
pub trait Object: Replicated {
    /// What [`Replica`](crate::Replica) derefs to: the methods under their own names.
    type Handle: crate::__private::Handle<Object = Self>;

    /// The struct's name, for people and for the handshake.
    const NAME: &'static str;

    /// The replicated methods, in the order of the block.
    const METHODS: &'static [Method];

    /// Decodes `arguments`, calls the method, and appends its encoded reply to `reply`.
    ///
    /// # Errors
    /// See [`MethodError`]; nothing was called unless it is [`MethodError::Reply`].
    ///
    /// # Panics
    /// Where the method does; the caller catches it.
    fn apply(
        &mut self,
        method: MethodId,
        arguments: &[u8],
        context: &ApplyContext,
        reply: &mut Vec<u8>,
    ) -> Result<(), MethodError>;

    /// The arguments as a person would write them: `"a", Some(1)`; an argument without `Debug` is `_`.
    ///
    /// # Errors
    /// As [`Object::apply`], of an unknown method or of arguments that do not decode.
    fn describe(method: MethodId, arguments: &[u8]) -> Result<String, MethodError>;
}
