//! All of an item's errors, so that one compile shows them all.

use proc_macro2::TokenStream;
use quote::{ToTokens, TokenStreamExt};
use std::fmt::Display;

/// Errors found so far. As tokens: one `compile_error!` each.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds an error that is shown at `tokens`.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds errors that were made elsewhere.
    pub(crate) fn extend(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// How many there are: a check that added none found its subject in order.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(self.0.iter().map(syn::Error::to_compile_error));
    }
}
