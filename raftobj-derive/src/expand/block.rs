//! What stands beside an impl block.

use super::{Generated, handle, object};
use crate::model::Block;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Generics, parse_quote};

/// The handle, and `impl Object`, in a constant without a name: nothing there meets the user's names, and the
/// handle's methods are still as visible as the user's, for a constant is no module.
pub(crate) fn expand(block: &Block) -> Generated {
    let scope = Scope::new(block);
    let Block { raftobj, cfgs, self_type, .. } = block;
    let handle = handle::expand(block, &scope);
    let object = object::expand(block, &scope);
    let (parameters, _, bounds) = scope.generics.split_for_impl();
    let beside = quote! {
        #(#cfgs)*
        const _: () = {
            #handle
            #object
            #[automatically_derived]
            impl #parameters #raftobj::__private::OnlyOneReplicatedImplBlock for #self_type #bounds {}
        };
    };
    Generated { before: None, beside }
}

/// What all that is beside a block shares.
pub(super) struct Scope {
    /// `raftobj::__private`.
    pub(super) private: TokenStream,
    /// The handle's name.
    pub(super) handle: Ident,
    /// The block's generics, and what raftobj asks of each type.
    pub(super) generics: Generics,
}

impl Scope {
    fn new(block: &Block) -> Scope {
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
