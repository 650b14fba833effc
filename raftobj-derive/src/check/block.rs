//! Checks an impl block.

use super::method::{self, Checked};
use super::types::bare;
use crate::errors::Errors;
use crate::model::{Block, Method};
use crate::options::ItemOptions;
use crate::parse::RawBlock;
use crate::tokens::spell_generics_out;
use quote::ToTokens;
use syn::Type;

/// Checks a block and its methods. Methods with errors are left out of the model; the rest is there, so that
/// code that uses the others has no errors of its own. `None` where nothing sensible can be generated.
pub(crate) fn check(block: RawBlock, options: ItemOptions, errors: &mut Errors) -> Option<Block> {
    for error in block.broken {
        errors.extend(error);
    }
    for mark in &block.stray_marks {
        errors.push(mark, "inside an impl block `#[replicated]` goes on methods; remove it here");
    }
    if let Some(of_trait) = &block.of_trait {
        let ty = &block.self_type.to_token_stream();
        let message = format!(
            "`#[replicated]` cannot go on the impl of a trait: move the replicated methods into `impl {ty} {{ … }}` and \
             annotate that"
        );
        errors.push(of_trait, message);
        return None;
    }
    let before = errors.len();
    for lifetime in block.generics.lifetimes() {
        errors.push(
            lifetime,
            "a replicated struct owns its state, which outlives every caller: use owned types instead of a lifetime",
        );
    }
    let name = match bare(&block.self_type) {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.clone()),
        _ => None,
    };
    if name.is_none() {
        errors.push(
            &block.self_type,
            "`#[replicated]` goes on the impl block of a struct, by the struct's name",
        );
    }

    let self_type = block.self_type.to_token_stream();
    let mut methods = Vec::new();
    let mut locals = Vec::new();
    let hopeless = errors.len() > before;
    for function in block.functions {
        match method::check(function, &self_type, errors) {
            Checked::Replicated(method) => methods.push(method),
            Checked::Local(local) => locals.push(local),
            Checked::Neither => {}
        }
    }
    refuse_collisions(&mut methods, errors);
    let cfgs = block.attributes.into_iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let generics = spell_generics_out(&block.generics, &self_type);
    let name = name.filter(|_| !hopeless)?;
    Some(Block { raftobj: options.raftobj, cfgs, generics, self_type, name, methods, locals })
}

/// Refuses a method whose id an earlier one has. Of methods under `#[cfg]` only one may be there: for them the
/// generated code asserts it.
fn refuse_collisions(methods: &mut Vec<Method>, errors: &mut Errors) {
    let mut seen: Vec<Method> = Vec::new();
    for method in methods.drain(..) {
        let is_certain = |other: &&Method| {
            other.id == method.id
                && (other.face.cfgs().next().is_none() && method.face.cfgs().next().is_none())
        };
        let Some(other) = seen.iter().find(is_certain) else {
            seen.push(method);
            continue;
        };
        let reason = if other.log_name == method.log_name {
            format!("both are named `{}` in the log", method.log_name)
        } else {
            format!("the names `{}` and `{}` have the same hash", other.log_name, method.log_name)
        };
        let message = format!(
            "`{}` and `{}` have the same id: {reason}; give one another name with `#[replicated(name = \"…\")]`",
            other.face.ident, method.face.ident
        );
        errors.push(&method.face.ident, message);
    }
    *methods = seen;
}
