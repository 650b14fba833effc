//! The `#[replicated]` attribute of raftobj.

use proc_macro::TokenStream;

/// Makes a struct, its impl block and its methods replicated.
#[proc_macro_attribute]
pub fn replicated(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}
