//! What the generated items of a block share.

use crate::model::ImplBlock;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Generics, parse_quote};

/// The names and bounds that the generated items of a block share.
pub(super) struct Scope {
    /// The path of `raftobj::__private`.
    pub(super) private: TokenStream,
    /// The handle's name.
    pub(super) handle: Ident,
    /// The block's generics, with raftobj's bound on each type parameter.
    pub(super) generics: Generics,
}

impl Scope {
    pub(super) fn new(block: &ImplBlock) -> Scope {
        let raftobj = &block.raftobj;
        let private = quote!(#raftobj::__private);
        let mut generics = block.generics.clone();
        let types: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
        if !types.is_empty() {
            let bounds = types
                .iter()
                .map(|ty| -> syn::WherePredicate { parse_quote!(#ty: #private::ReplicatedParameter) });
            generics.make_where_clause().predicates.extend(bounds);
        }
        // Underscores, as serde uses them: inside the constant this name would hide one of the user's.
        let handle = format_ident!("__{}Handle", block.name, span = Span::call_site());
        Scope { private, handle, generics }
    }
}
