//! What the attribute stands on, checked: all that `expand` needs to know.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, GenericParam, Generics, ItemStruct, Type, Visibility};

/// A struct.
pub(crate) struct Struct {
    /// The path of raftobj in the user's crate.
    pub(crate) raftobj: TokenStream,
    pub(crate) item: ItemStruct,
    /// The bounds of the derived serde impls; `None` leaves them to serde.
    pub(crate) field_bounds: Option<Vec<Type>>,
}

/// An inherent impl block.
pub(crate) struct ImplBlock {
    /// The path of raftobj in the user's crate.
    pub(crate) raftobj: TokenStream,
    /// The block's own `#[cfg]`s, which hold for what is generated too.
    pub(crate) cfgs: Vec<Attribute>,
    /// The block's generics, `Self` spelled out.
    pub(crate) generics: Generics,
    pub(crate) self_type: TokenStream,
    /// The struct's name without its generics.
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
    pub(crate) local_reads: Vec<LocalRead>,
}

/// What methods and local reads share: the declaration that the user gave them.
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
    /// The name whose hash is the id in the log.
    pub(crate) log_name: String,
    pub(crate) id: u32,
    /// All parameters but `self`, in order.
    pub(crate) parameters: Vec<Parameter>,
}

/// A parameter of a replicated method.
pub(crate) enum Parameter {
    /// `&ApplyContext`: given at apply, not by the caller.
    Context,
    /// Anything else: it travels in the entry.
    Argument(Argument),
}

/// An argument.
pub(crate) struct Argument {
    /// Its name in the handle's method.
    pub(crate) name: Ident,
    /// The type as written.
    pub(crate) ty: Box<Type>,
    pub(crate) kind: ArgumentKind,
}

/// How an argument travels.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum ArgumentKind {
    /// Given and taken by value.
    Owned,
    /// `&str`: taken from the entry without a copy.
    Str,
    /// `&[u8]`: taken from the entry without a copy.
    Bytes,
    /// `Option<&str>`, as [`ArgumentKind::Str`].
    OptionalStr,
    /// `Option<&[u8]>`, as [`ArgumentKind::Bytes`].
    OptionalBytes,
    /// `&T`: a `T` is decoded, and lent to the method.
    Reference(Box<Type>),
    /// `&[T]`: a `Vec<T>` is decoded, and lent to the method.
    Slice(Box<Type>),
}

/// A local read that the handle forwards.
pub(crate) struct LocalRead {
    pub(crate) declaration: Declaration,
    pub(crate) arguments: Vec<(Ident, Type)>,
}

impl Struct {
    /// Whether it has parameters: types and constants, because lifetimes are refused.
    pub(crate) fn is_generic(&self) -> bool {
        self.item.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
    }
}

impl Method {
    /// The parameters that travel in the entry.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Context => None,
            Parameter::Argument(argument) => Some(argument),
        })
    }
}

impl Declaration {
    /// What generated code allows itself where it calls the method: to use what the user deprecated for others.
    pub(crate) fn allow_deprecated(&self) -> Option<TokenStream> {
        let is_deprecated = self.attributes.iter().any(|attribute| attribute.path().is_ident("deprecated"));
        is_deprecated.then(|| quote!(#[allow(deprecated)]))
    }

    /// The `#[cfg]`s, for everything that is there only if the method is.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }
}

/// The id of a method of this name in the log: FNV-1a of 32 bits, as `raftobj::MethodId::of`. Generated code
/// asserts that both agree.
pub(crate) fn method_id(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
