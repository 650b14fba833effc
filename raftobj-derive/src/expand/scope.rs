//! What all items beside an impl block share.

use crate::model::ImplBlock;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Generics, parse_quote};

/// Names and bounds that the generated items of a block share.
pub(super) struct Scope {
    /// `raftobj::__private`.
    pub(super) private: TokenStream,
    /// The handle's name.
    pub(super) handle: Ident,
    /// The block's generics, and what raftobj asks of each type.
    pub(super) generics: Generics,
}

impl Scope {
    pub(super) fn new(block: &ImplBlock) -> Scope {
        let raftobj = &block.raftobj;
        let private = quote!(#raftobj::__private);
        let mut generics = block.generics.clone();
        let types: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
        if !types.is_empty() {
            let asked = types
                .iter()
                .map(|ty| -> syn::WherePredicate { parse_quote!(#ty: #private::ReplicatedParameter) });
            generics.make_where_clause().predicates.extend(asked);
        }
        // Underscores as serde has them: inside of the constant the name hides one of the user's.
        let handle = format_ident!("__{}Handle", block.name, span = Span::call_site());
        Scope { private, handle, generics }
    }
}
