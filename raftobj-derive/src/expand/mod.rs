//! Generates code from the model. Finds no errors and makes no decisions.

pub(crate) mod block;
mod handle;
mod object;
mod scope;
pub(crate) mod structure;

use proc_macro2::TokenStream;

/// The code generated for an item.
pub(crate) struct Generated {
    /// Attributes before the user's item.
    pub(crate) attributes: Option<TokenStream>,
    /// Items after it.
    pub(crate) items: TokenStream,
}
