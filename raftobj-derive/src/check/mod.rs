//! Checks the parsed item and builds the model. Reports every error, each at the user's own token.

mod argument;
pub(crate) mod block;
mod method;
pub(crate) mod reserved;
pub(crate) mod structure;
mod types;

use crate::parse::BELONGS;
use quote::quote;
use syn::Signature;

/// The message for a lifetime on a struct or on its block.
const LIFETIME: &str =
    "a replicated struct cannot have lifetimes, because its state outlives every caller: use owned types";

/// The error for an attribute on a function that is not in an annotated block.
pub(crate) fn function_outside_block(signature: &Signature) -> syn::Error {
    let ident = &signature.ident;
    if signature.receiver().is_some() {
        let message =
            format!("the impl block of `{ident}` is not annotated: write `#[replicated]` on the `impl` too");
        syn::Error::new_spanned(quote!(#ident), message)
    } else {
        let message = format!("`{ident}` is not a method. {BELONGS}: remove it here");
        syn::Error::new_spanned(quote!(#ident), message)
    }
}
