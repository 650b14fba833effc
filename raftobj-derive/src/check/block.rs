//! Checks an impl block.

use super::method::{self, Checked};
use super::types::ungroup;
use crate::errors::Errors;
use crate::model::{ImplBlock, Method};
use crate::options::ItemOptions;
use crate::parse::ParsedBlock;
use crate::tokens::replace_self_in_generics;
use quote::ToTokens;
use syn::Type;

/// Checks a block and its methods. Methods with errors are left out of the model; the rest is there, so that
/// code that uses the others has no errors of its own. `None` where nothing sensible can be generated.
pub(crate) fn check(block: ParsedBlock, options: ItemOptions, errors: &mut Errors) -> Option<ImplBlock> {
    for error in block.broken {
        errors.extend(error);
    }
    for mark in &block.misplaced {
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
    let name = match ungroup(&block.self_type) {
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
    let mut local_reads = Vec::new();
    let is_unusable = errors.len() > before;
    for function in block.functions {
        match method::check(function, &self_type, errors) {
            Checked::Replicated(method) => methods.push(method),
            Checked::LocalRead(local) => local_reads.push(local),
            Checked::Neither => {}
        }
    }
    refuse_collisions(&mut methods, errors);
    let cfgs = block.attributes.into_iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let generics = replace_self_in_generics(&block.generics, &self_type);
    let name = name.filter(|_| !is_unusable)?;
    Some(ImplBlock { raftobj: options.raftobj, cfgs, generics, self_type, name, methods, local_reads })
}

/// Refuses a method whose id an earlier one has. Of methods under `#[cfg]` only one may be there: for them the
/// generated code asserts it.
fn refuse_collisions(methods: &mut Vec<Method>, errors: &mut Errors) {
    let mut seen: Vec<Method> = Vec::new();
    for method in methods.drain(..) {
        let is_certain = |other: &&Method| {
            other.id == method.id
                && (other.declaration.cfgs().next().is_none() && method.declaration.cfgs().next().is_none())
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
            other.declaration.ident, method.declaration.ident
        );
        errors.push(&method.declaration.ident, message);
    }
    *methods = seen;
}
