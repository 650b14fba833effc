//! Checks a struct.

use crate::errors::Errors;
use crate::model::Struct;
use crate::options::ItemOptions;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::punctuated::Punctuated;
use syn::{ItemStruct, Path, Token, Type};

/// Checks a struct; `None` where nothing sensible can be generated for it.
pub(crate) fn check(item: ItemStruct, options: ItemOptions, errors: &mut Errors) -> Option<Struct> {
    let before = errors.len();
    for lifetime in item.generics.lifetimes() {
        errors.push(
            lifetime,
            "a replicated struct owns its state, which outlives every caller: use owned types instead of a lifetime",
        );
    }
    for path in derives(&item) {
        if let Some(last) = path.segments.last()
            && (last.ident == "Serialize" || last.ident == "Deserialize")
        {
            let message = format!("`#[replicated]` derives `{}` itself: remove it here", last.ident);
            errors.push(&path, message);
        }
    }
    let field_bounds = field_bounds(&item);
    (errors.len() == before).then_some(Struct { raftobj: options.raftobj, item, field_bounds })
}

/// The paths in the struct's `#[derive(…)]`s.
fn derives(item: &ItemStruct) -> Vec<Path> {
    let lists = item.attrs.iter().filter(|attribute| attribute.path().is_ident("derive"));
    // A derive that does not parse is for the compiler to refuse.
    let paths =
        lists.filter_map(|list| list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok());
    paths.flatten().collect()
}

/// The types of the fields that mention a type parameter: serde's impls are bounded by them, so that
/// `data: BTreeMap<K, V>` asks `K: Ord` without the user writing it on the struct.
///
/// `None` where serde's own bounds, on the parameters, are the better ones: a struct that says something to serde
/// itself, or is recursive (its bounds would be, too).
fn field_bounds(item: &ItemStruct) -> Option<Vec<Type>> {
    let parameters: BTreeSet<String> =
        item.generics.type_params().map(|parameter| parameter.ident.to_string()).collect();
    if parameters.is_empty() {
        return None;
    }
    let has_serde_attribute =
        |attributes: &[syn::Attribute]| attributes.iter().any(|attribute| attribute.path().is_ident("serde"));
    let is_recursive =
        |ty: &Type| mentions(ty.to_token_stream(), &|word| item.ident == word || word == "Self");
    if has_serde_attribute(&item.attrs)
        || item.fields.iter().any(|field| has_serde_attribute(&field.attrs) || is_recursive(&field.ty))
    {
        return None;
    }
    let is_generic = |ty: &Type| mentions(ty.to_token_stream(), &|word| parameters.contains(word));
    Some(item.fields.iter().map(|field| field.ty.clone()).filter(is_generic).collect())
}

fn mentions(tokens: TokenStream, is_it: &dyn Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => is_it(&ident.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), is_it),
        _ => false,
    })
}
