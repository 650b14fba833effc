//! The `#[replicated]` attribute of raftobj. Users import it from there; its words for users are theirs.
//!
//! In four steps, a file or a folder each: `parse` splits the item and leaves method bodies as the tokens they
//! are; `check` turns it into the `model`, gathering every error at the user's own token; `expand` writes what
//! the model says. The user's item is emitted as written, errors or not, so that one mistake is one message.
//! Generated code names only `raftobj::__private`, the public traits and `core`, by full paths.

mod check;
mod errors;
mod expand;
mod model;
mod options;
mod parse;
mod spelling;
mod tokens;

use proc_macro2::TokenStream;

/// Makes a struct, its impl block and the block's methods replicated.
///
/// **On a struct**: derives serde's `Serialize` and `Deserialize` (through raftobj, so that serde need not be
/// a dependency) and marks it as state that can be replicated. The struct owns its state: it has no lifetimes.
/// For a generic struct the derived bounds are on the types of the fields.
///
/// **On its inherent impl block** (one block a type): the methods marked inside become calls on
/// `Replica<T>`, under the same names, with the same docs and visibility. The block itself stays as it is.
///
/// **On a method of that block**: each call becomes an entry of the log, applied on every replica. The method
/// takes `&mut self` and arguments with serde; `&str`, `&[u8]`, `Option` of these, `&T` and `&[T]` are
/// encoded from the reference. An argument `&ApplyContext`, anywhere, is filled in when the entry is
/// applied. What is returned, a `Result` too, is the call's reply.
///
/// A `&self` method that is not marked is a local read on `Replica<T>`, with its generics, unless it is async or
/// unsafe, takes an `ApplyContext`, or its return type shows a reference, a lifetime, `impl` or `dyn`: a borrow of
/// the state needs the guard of `read()`.
///
/// # Options
/// - On a method: `#[replicated(name = "…")]` gives the name whose hash is the method's id in the log. With it a
///   method can be renamed without losing its entries. `#[replicated(local = false)]` keeps a `&self`
///   method from being a local read.
/// - On the struct and on the block: `#[replicated(crate = "…")]` is the path of raftobj, if that has another name.
#[proc_macro_attribute]
pub fn replicated(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_attribute(options.into(), item.into()).into()
}

/// The attribute as a function of tokens, for tests too.
fn expand_attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = errors::Errors::default();
    let options = options::parse_item(options, &mut errors);
    let parsed = parse::item(item.clone());
    let is_block = !matches!(parsed, Ok(parse::Item::Struct(_) | parse::Item::Function(_)));
    let generated = match parsed {
        Ok(parse::Item::Struct(item)) => {
            let structure = check::structure::check(item, options, &mut errors);
            structure.map(|structure| expand::structure::expand(&structure))
        }
        Ok(parse::Item::Block(block)) => {
            let block = check::block::check(block, options, &mut errors);
            block.map(|block| expand::block::expand(&block))
        }
        Ok(parse::Item::Function(signature)) => {
            errors.extend(check::function_outside_block(&signature));
            None
        }
        Err(error) => {
            errors.extend(error);
            None
        }
    };
    let derive = generated.as_ref().and_then(|generated| generated.before.clone());
    let items = generated.map(|generated| generated.items);
    let item = if is_block { tokens::without_replicated(item) } else { item };
    quote::quote!(#derive #item #errors #items)
}

#[cfg(test)]
mod tests;
