//! Checks a struct.

use super::LIFETIME;
use crate::errors::Errors;
use crate::model::Struct;
use crate::options::ItemOptions;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::punctuated::Punctuated;
use syn::{ItemStruct, Path, Token, Type};

/// Checks a struct. `None` if it has errors.
pub(crate) fn check(item: ItemStruct, options: ItemOptions, errors: &mut Errors) -> Option<Struct> {
    let before = errors.len();
    for lifetime in item.generics.lifetimes() {
        errors.push(lifetime, LIFETIME);
    }
    for path in derives(&item) {
        if let Some(last) = path.segments.last()
            && (last.ident == "Serialize" || last.ident == "Deserialize")
        {
            let message =
                format!("`#[replicated]` already derives `{}`: remove it from this `derive`", last.ident);
            errors.push(&path, message);
        }
    }
    let field_bounds = field_bounds(&item);
    (errors.len() == before).then_some(Struct { raftobj: options.raftobj, item, field_bounds })
}

/// The paths in the struct's `#[derive(…)]`s.
fn derives(item: &ItemStruct) -> Vec<Path> {
    let lists = item.attrs.iter().filter(|attribute| attribute.path().is_ident("derive"));
    // The compiler reports a derive that does not parse.
    let paths =
        lists.filter_map(|list| list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok());
    paths.flatten().collect()
}

/// The field types that mention a type parameter, as bounds for serde's impls: with `data: BTreeMap<K, V>` they require
/// `K: Ord` although the struct does not.
///
/// `None` keeps serde's own bounds, on the parameters: for a struct with `#[serde(…)]` attributes, and for a recursive
/// one, whose field types would make its bounds recursive.
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

/// Whether any identifier in the tokens matches.
fn mentions(tokens: TokenStream, is_match: &dyn Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => is_match(&ident.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), is_match),
        _ => false,
    })
}
