//! The checked input of `expand`: a struct, or an impl block with its methods.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, GenericParam, Generics, ItemStruct, Type, Visibility};

/// A replicated struct.
pub(crate) struct Struct {
    /// The path of raftobj in the user's crate.
    pub(crate) raftobj: TokenStream,
    pub(crate) item: ItemStruct,
    /// The bounds of the derived serde impls; `None` leaves them to serde.
    pub(crate) field_bounds: Option<Vec<Type>>,
}

/// The inherent impl block of a replicated struct.
pub(crate) struct ImplBlock {
    /// The path of raftobj in the user's crate.
    pub(crate) raftobj: TokenStream,
    /// The block's own `#[cfg]`s, which the generated items repeat.
    pub(crate) cfgs: Vec<Attribute>,
    /// The block's generics, with `Self` replaced by the type.
    pub(crate) generics: Generics,
    pub(crate) self_type: TokenStream,
    /// The struct's name without its generics.
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
    pub(crate) local_reads: Vec<LocalRead>,
}

/// The user's declaration of a replicated method or of a local read.
pub(crate) struct Declaration {
    pub(crate) ident: Ident,
    /// Docs, `#[cfg]`s and `#[deprecated]`.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// The return type as written, `()` if there is none.
    pub(crate) output: TokenStream,
    pub(crate) generics: Generics,
}

/// A replicated method.
pub(crate) struct Method {
    pub(crate) declaration: Declaration,
    /// The name whose hash is the method's id in the log.
    pub(crate) log_name: String,
    pub(crate) id: u32,
    /// All parameters except `self`, in order.
    pub(crate) parameters: Vec<Parameter>,
}

/// A parameter of a replicated method.
pub(crate) enum Parameter {
    /// `&ApplyContext`: supplied by apply, not by the caller.
    Context,
    /// Any other: the entry contains it.
    Argument(Argument),
}

/// A parameter that the caller supplies and the entry contains.
pub(crate) struct Argument {
    /// Its name in the handle's method.
    pub(crate) name: Ident,
    /// The type as written.
    pub(crate) ty: Box<Type>,
    pub(crate) kind: ArgumentKind,
}

/// How an argument is encoded, and how it is passed to the method.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum ArgumentKind {
    /// Passed by value.
    Owned,
    /// `&str`, borrowed from the entry.
    Str,
    /// `&[u8]`, borrowed from the entry.
    Bytes,
    /// `Option<&str>`, borrowed from the entry.
    OptionalStr,
    /// `Option<&[u8]>`, borrowed from the entry.
    OptionalBytes,
    /// `&T`: a `T` is decoded and passed by reference.
    Reference(Box<Type>),
    /// `&[T]`: a `Vec<T>` is decoded and passed by reference.
    Slice(Box<Type>),
}

/// A `&self` method that the handle calls on this node's object.
pub(crate) struct LocalRead {
    pub(crate) declaration: Declaration,
    pub(crate) arguments: Vec<(Ident, Type)>,
}

impl Struct {
    /// Whether it has type or constant parameters. (Lifetimes are errors.)
    pub(crate) fn is_generic(&self) -> bool {
        self.item.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
    }
}

impl Method {
    /// The parameters that the entry contains.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Context => None,
            Parameter::Argument(argument) => Some(argument),
        })
    }
}

impl Declaration {
    /// `#[allow(deprecated)]` for the generated call of a method that the user deprecated.
    pub(crate) fn allow_deprecated(&self) -> Option<TokenStream> {
        let is_deprecated = self.attributes.iter().any(|attribute| attribute.path().is_ident("deprecated"));
        is_deprecated.then(|| quote!(#[allow(deprecated)]))
    }

    /// The `#[cfg]`s, for all code that must exist only if the method does.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }
}

/// The id of a method of this name in the log: 32-bit FNV-1a, as in `raftobj::MethodId::of`. Generated code asserts
/// that both agree.
pub(crate) fn method_id(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
