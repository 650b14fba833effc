//! Generates the attributes and the impl for a struct.

use super::Generated;
use crate::model::Struct;
use crate::spelling::spell;
use quote::quote;
use syn::parse_quote;

/// Generates serde's derives and `impl Replicated`.
pub(crate) fn expand(structure: &Struct) -> Generated {
    let Struct { raftobj, item, field_bounds } = structure;
    let serde = quote!(#raftobj::serde);
    let serde_path = spell(&serde);
    let bounds = field_bounds.as_ref().map(|types| {
        let bound = |of: &str| {
            types.iter().map(|ty| format!("{}: {serde_path}::{of}", spell(ty))).collect::<Vec<_>>()
        };
        let (serialize, deserialize) = (bound("Serialize").join(", "), bound("Deserialize<'de>").join(", "));
        quote!(, bound(serialize = #serialize, deserialize = #deserialize))
    });
    let attributes = quote! {
        #[derive(#serde::Serialize, #serde::Deserialize)]
        #[serde(crate = #serde_path #bounds)]
    };

    let ident = &item.ident;
    let mut generics = item.generics.clone();
    if structure.is_generic() {
        let arguments = item.generics.split_for_impl().1;
        let bound = parse_quote! {
            #ident #arguments: #serde::Serialize + #serde::de::DeserializeOwned
                + ::core::marker::Send + ::core::marker::Sync + 'static
        };
        generics.make_where_clause().predicates.push(bound);
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let cfgs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let items = quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #parameters #raftobj::Replicated for #ident #arguments #bounds {}
    };
    Generated { attributes: Some(attributes), items }
}
