//! The errors of an item, collected so that one compile reports all of them.

use proc_macro2::TokenStream;
use quote::{ToTokens, TokenStreamExt};
use std::fmt::Display;

/// The errors found so far. As tokens: one `compile_error!` for each.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds an error at `tokens`.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error of a function that returned it.
    pub(crate) fn extend(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// The number of errors; it stays the same during a check that succeeds.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(self.0.iter().map(syn::Error::to_compile_error));
    }
}
