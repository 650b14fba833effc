//! What stands beside an impl block.

use super::scope::Scope;
use super::{Generated, handle, object};
use crate::model::ImplBlock;
use quote::quote;

/// The handle, and `impl Object`, in a constant without a name: nothing there meets the user's names, and the
/// handle's methods are still as visible as the user's, for a constant is no module.
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
    Generated { before: None, items }
}
