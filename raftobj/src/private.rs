//! What the code that `#[replicated]` generates uses. It is not a public interface: it changes without notice.
//!
//! The names of the traits suit the compiler's error messages that show them. Their blanket impls are `do_not_recommend`,
//! or else the compiler would show the traits behind them. Generated code names everything by its full path, because
//! imports of the user's crate must not change its meaning.

pub use crate::codec::method::{Method, MethodId};
pub use crate::object::context::ApplyContext;
pub use crate::object::{MethodError, Object, Replicated};
pub use crate::replica::{Call, Core, Handle};
pub use postcard::to_stdvec as to_vec;
pub use show::{ShowAnything, ShowDebug, Shown};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// An argument in the log: encoded from a reference on the caller's node, decoded on every node.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a replicated method",
    label = "does not implement serde's `Serialize` and `Deserialize`",
    note = "arguments travel in the log: derive both for the type, or pass something that has them"
)]
pub trait ReplicatedArgument: Sized {
    /// Takes the next argument.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] if the bytes do not decode.
    fn decode(arguments: &mut Arguments<'_>) -> Result<Self, MethodError>;

    /// Takes the next argument, which the method takes as a `&[T]`.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] if the bytes do not decode.
    fn decode_slice(arguments: &mut Arguments<'_>) -> Result<Vec<Self>, MethodError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> ReplicatedArgument for T {
    fn decode(arguments: &mut Arguments<'_>) -> Result<T, MethodError> {
        arguments.take()
    }

    fn decode_slice(arguments: &mut Arguments<'_>) -> Result<Vec<T>, MethodError> {
        arguments.take()
    }
}

/// A value that a replicated method returns: encoded where the method is applied, decoded for its caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a replicated method",
    label = "does not implement serde's `Serialize` and `Deserialize`",
    note = "replies are kept and sent to the caller: derive both for the type, or return something that has them"
)]
pub trait ReplicatedReply: Sized {
    /// Submits a call whose reply is a value of this type.
    fn call<T: Object, A: Serialize>(core: &Core<T>, method: MethodId, arguments: &A) -> Call<Self>;

    /// Appends the encoded value to `reply`, or does not change it.
    ///
    /// # Errors
    /// [`MethodError::Reply`] if the type's `Serialize` fails.
    fn encode(&self, method: &'static str, reply: &mut Vec<u8>) -> Result<(), MethodError>;
}

#[diagnostic::do_not_recommend]
impl<R: Serialize + DeserializeOwned> ReplicatedReply for R {
    fn call<T: Object, A: Serialize>(core: &Core<T>, method: MethodId, arguments: &A) -> Call<R> {
        core.call(method, arguments)
    }

    fn encode(&self, method: &'static str, reply: &mut Vec<u8>) -> Result<(), MethodError> {
        let start = reply.len();
        match postcard::to_io(self, &mut *reply) {
            Ok(_) => Ok(()),
            Err(error) => {
                reply.truncate(start);
                Err(MethodError::Reply { method, reason: error.to_string() })
            }
        }
    }
}

/// The bounds of an object's type parameters, which are parts of the state, of arguments and of replies. The attribute adds
/// this bound to each parameter; users need not write it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a type parameter of a replicated struct",
    label = "is not `Serialize`, `Deserialize`, `Send`, `Sync` and `'static`",
    note = "it is a part of the state that is sent to other nodes"
)]
pub trait ReplicatedParameter: Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> ReplicatedParameter for T {}

/// Implemented for each annotated impl block. A second block of a type conflicts with the first, and the compiler's error
/// shows this name. Put all replicated methods of a type into one block.
pub trait OnlyOneReplicatedImplBlock {}

/// The arguments of an entry, taken one after the other: postcard's encoding of a tuple.
#[derive(Debug)]
pub struct Arguments<'de> {
    method: &'static str,
    rest: &'de [u8],
}

impl<'de> Arguments<'de> {
    /// The arguments of a call of `method`.
    pub fn new(method: &'static str, bytes: &'de [u8]) -> Arguments<'de> {
        Arguments { method, rest: bytes }
    }

    /// Takes the next argument, which may borrow from the entry.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] if the bytes do not decode.
    pub fn take<T: Deserialize<'de>>(&mut self) -> Result<T, MethodError> {
        match postcard::take_from_bytes(self.rest) {
            Ok((value, rest)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(error) => Err(self.refuse(error.to_string())),
        }
    }

    /// Checks that all arguments were taken.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] if bytes are left over: on the caller's node the method takes other arguments.
    pub fn end(self) -> Result<(), MethodError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.refuse(format!("{left} bytes are left over"))),
        }
    }

    fn refuse(&self, reason: String) -> MethodError {
        MethodError::Arguments { method: self.method, reason }
    }
}

/// A byte slice that is encoded in one piece. The encoding is that of a sequence of `u8`, which serde would encode one by
/// one.
#[derive(Clone, Copy, Debug)]
pub struct ByteSlice<'a>(pub &'a [u8]);

impl Serialize for ByteSlice<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Checks the methods' ids when the user's crate is compiled. The attribute finds most collisions itself and reports them at
/// the method's name, but it cannot know which methods are disabled by `#[cfg]`.
///
/// # Panics
/// If two methods have one id, or an id is not the hash of its name.
#[track_caller]
pub const fn check_methods(methods: &[Method]) {
    let mut i = 0;
    while i < methods.len() {
        assert!(
            methods[i].id.0 == MethodId::of(methods[i].name).0,
            "an id is not the hash of its method's name"
        );
        let mut j = i + 1;
        while j < methods.len() {
            assert!(
                methods[i].id.0 != methods[j].id.0,
                "two replicated methods have the same id; give one of them another name with #[replicated(name = \"…\")]"
            );
            j += 1;
        }
        i += 1;
    }
}

mod show {
    //! Shows a value with `Debug` if its type has it. Method lookup prefers [`ShowDebug`], which needs one reference less, to
    //! [`ShowAnything`].

    use std::fmt::Debug;

    /// A value to show.
    #[derive(Debug)]
    pub struct Shown<'a, T: ?Sized>(pub &'a T);

    /// Shows a value that has `Debug`.
    pub trait ShowDebug {
        /// Appends the value to a list of arguments.
        fn show(&self, list: &mut String);
    }

    impl<T: Debug + ?Sized> ShowDebug for Shown<'_, T> {
        fn show(&self, list: &mut String) {
            push(list, &format!("{:?}", self.0));
        }
    }

    /// Shows any other value as `_`.
    pub trait ShowAnything {
        /// Appends the value to a list of arguments.
        fn show(&self, list: &mut String);
    }

    impl<T: ?Sized> ShowAnything for &Shown<'_, T> {
        fn show(&self, list: &mut String) {
            push(list, "_");
        }
    }

    fn push(list: &mut String, argument: &str) {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(argument);
    }
}
