//! Turns what was parsed into the model, and says what is wrong with it: all of it, each at the user's token.

mod argument;
pub(crate) mod block;
mod method;
pub(crate) mod reserved;
pub(crate) mod structure;
mod types;

use quote::quote;
use syn::Signature;

/// The error of an attribute on a function or method that no annotated block has claimed.
pub(crate) fn function_outside_block(signature: &Signature) -> syn::Error {
    let ident = &signature.ident;
    if signature.receiver().is_some() {
        let message =
            format!("the impl block of `{ident}` is not annotated: put `#[replicated]` on the `impl` too");
        syn::Error::new_spanned(quote!(#ident), message)
    } else {
        let message = format!(
            "`{ident}` takes no `self`: `#[replicated]` goes on a struct, on its inherent impl block, and on methods \
             of that block"
        );
        syn::Error::new_spanned(quote!(#ident), message)
    }
}
