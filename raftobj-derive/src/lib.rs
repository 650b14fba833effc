//! The `#[replicated]` attribute of raftobj, which re-exports it. Its doc is written for raftobj's users.
//!
//! The attribute expands in four steps. `parse` splits the item and leaves method bodies as tokens; `options` reads
//! the attribute's options. `check` turns the result into the `model` and collects every error, each at the user's
//! own token. `expand` generates code from the model. Begin with `expand_attribute`.
//!
//! The user's item is always emitted as written, so that one mistake is one error. Generated code names only
//! `raftobj::__private`, raftobj's public traits, serde and the standard library, by full paths.

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
/// **On a struct**: derives serde's `Serialize` and `Deserialize` (through raftobj, so serde need not be a
/// dependency) and implements `Replicated`. The struct owns its state: it has no lifetimes. For a generic struct the
/// derived bounds are on the types of the fields.
///
/// **On its inherent impl block** (one block for each type): the block's annotated methods become calls on
/// `Replica<T>`, with the same names, docs and visibility. The block itself stays unchanged.
///
/// **On a method of that block**: each call becomes an entry of the log, which every replica applies. The method
/// takes `&mut self` and arguments that implement serde's traits; `&str`, `&[u8]`, `Option` of these, `&T` and `&[T]`
/// are encoded from the reference. Apply supplies an argument `&ApplyContext`, at any position. The returned value,
/// also a `Result`, is the call's reply.
///
/// A `&self` method without the attribute is a local read on `Replica<T>`, with its generics. Exceptions: it is async
/// or unsafe, takes an `ApplyContext`, or its return type contains a reference, a lifetime, `impl` or `dyn`. To borrow
/// from the state, use the guard of `read()`.
///
/// # Options
/// - On a method: `#[replicated(name = "…")]` sets the method's name in the log; its hash is the method's id there. Use
///   it to rename a method and keep its entries. `#[replicated(local = false)]` excludes a `&self` method from the
///   local reads.
/// - On the struct and on the block: `#[replicated(crate = "…")]` is the path of raftobj, if it has another name.
#[proc_macro_attribute]
pub fn replicated(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_attribute(options.into(), item.into()).into()
}

/// The attribute as a function of `proc_macro2` tokens, which tests can call.
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
    let (attributes, items) =
        generated.map(|generated| (generated.attributes, generated.items)).unwrap_or_default();
    let item = if is_block { tokens::without_replicated(item) } else { item };
    quote::quote!(#attributes #item #errors #items)
}

#[cfg(test)]
mod tests;
