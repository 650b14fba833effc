//! Writes what the model says. Decides nothing.

pub(crate) mod block;
mod handle;
mod object;
mod scope;
pub(crate) mod structure;

use proc_macro2::TokenStream;

/// What is generated for an item.
pub(crate) struct Generated {
    /// Attributes in front of the user's item.
    pub(crate) before: Option<TokenStream>,
    /// Items beside it.
    pub(crate) items: TokenStream,
}
