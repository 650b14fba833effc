//! What the code that `#[replicated]` makes calls. Not for people: it changes without notice.
//!
//! The traits here are named for the error messages in which the compiler shows them; their blanket impls are
//! `do_not_recommend`, so that it shows them and not what stands behind. Generated code names
//! everything by its full path, so that nothing a user's crate imports or shadows can change its meaning.

pub use crate::codec::method::{Method, MethodId};
pub use crate::object::context::ApplyContext;
pub use crate::object::{MethodError, Object, Replicated};
pub use crate::replica::{Call, Core, Handle};
pub use postcard::to_stdvec as to_vec;
pub use show::{ShowAnything, ShowDebug, Shown};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// An argument that travels in the log: encoded from a reference on the caller's node, decoded on every node.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a replicated method",
    label = "does not implement serde's `Serialize` and `Deserialize`",
    note = "arguments travel in the log: derive both for the type, or pass something that has them"
)]
pub trait ReplicatedArgument: Sized {
    /// Takes the next argument.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] where the bytes are not one.
    fn decode(arguments: &mut Arguments<'_>) -> Result<Self, MethodError>;

    /// Takes the next argument, of which the method sees a `&[T]`.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] where the bytes are not one.
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

/// A value that a replicated method returns: encoded where the method ran, decoded for its caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a replicated method",
    label = "does not implement serde's `Serialize` and `Deserialize`",
    note = "replies are kept and sent to the caller: derive both for the type, or return something that has them"
)]
pub trait ReplicatedReply: Sized {
    /// Queues a call that is answered by a value of this type.
    fn call<T: Object, A: Serialize>(core: &Core<T>, method: MethodId, arguments: &A) -> Call<Self>;

    /// Appends the encoded value to `reply`, or leaves that as it was.
    ///
    /// # Errors
    /// [`MethodError::Reply`] where the type's `Serialize` fails.
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

/// What an object's type parameter must be: a part of the state, of arguments and of replies. The attribute
/// asks it of each, so that users need not write it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a type parameter of a replicated struct",
    label = "is not `Serialize`, `Deserialize`, `Send`, `Sync` and `'static`",
    note = "it is a part of the state that is sent to other nodes"
)]
pub trait ReplicatedParameter: Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> ReplicatedParameter for T {}

/// Implemented once for each annotated impl block: a second block of one type conflicts with the first, and
/// this name says why. Put all replicated methods of a type into one block.
pub trait OnlyOneReplicatedImplBlock {}

/// An entry's arguments, taken one after the other: postcard's encoding of a tuple.
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
    /// [`MethodError::Arguments`] where the bytes are not one.
    pub fn take<T: Deserialize<'de>>(&mut self) -> Result<T, MethodError> {
        match postcard::take_from_bytes(self.rest) {
            Ok((value, rest)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(error) => Err(self.refuse(error.to_string())),
        }
    }

    /// Ends the arguments.
    ///
    /// # Errors
    /// [`MethodError::Arguments`] where bytes are left over: the caller's method takes something else.
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

/// A byte slice that is encoded in one piece. The bytes are those of a sequence of `u8`, which serde would
/// hand over one by one.
#[derive(Clone, Copy, Debug)]
pub struct ByteSlice<'a>(pub &'a [u8]);

impl Serialize for ByteSlice<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Evaluated when the user's crate is compiled. The attribute finds most collisions itself, at the method's
/// name; it cannot know which of the methods under `#[cfg]` are there.
///
/// # Panics
/// Where two methods have one id, or an id is not the hash of its name.
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
                "two replicated methods have the same id; give one another name with #[replicated(name = \"…\")]"
            );
            j += 1;
        }
        i += 1;
    }
}

mod show {
    //! Renders a value with `Debug` if it has it. Method lookup prefers [`ShowDebug`], which needs one
    //! reference less, and falls back to [`ShowAnything`].

    use std::fmt::Debug;

    /// A value to be rendered.
    #[derive(Debug)]
    pub struct Shown<'a, T: ?Sized>(pub &'a T);

    /// Rendering of what has `Debug`.
    pub trait ShowDebug {
        /// Appends the value to a list of arguments.
        fn show(&self, list: &mut String);
    }

    impl<T: Debug + ?Sized> ShowDebug for Shown<'_, T> {
        fn show(&self, list: &mut String) {
            push(list, &format!("{:?}", self.0));
        }
    }

    /// Rendering of everything else, as `_`.
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
