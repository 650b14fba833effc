//! Generates the items for an impl block.

use super::scope::Scope;
use super::{Generated, handle, object};
use crate::model::ImplBlock;
use quote::quote;

/// Generates the handle and `impl Object`, inside an unnamed constant: names there cannot clash with the user's. A
/// constant is not a module, so the handle's methods keep the visibility that the user wrote.
pub(crate) fn expand(block: &ImplBlock) -> Generated {
    let scope = Scope::new(block);
    let ImplBlock { raftobj, cfgs, self_type, .. } = block;
    let handle = handle::expand(block, &scope);
    let object = object::expand(block, &scope);
    let (parameters, _, bounds) = scope.generics.split_for_impl();
    let items = quote! {
        #(#cfgs)*
        const _: () = {
            #handle
            #object
            #[automatically_derived]
            impl #parameters #raftobj::__private::OnlyOneReplicatedImplBlock for #self_type #bounds {}
        };
    };
    Generated { attributes: None, items }
}
