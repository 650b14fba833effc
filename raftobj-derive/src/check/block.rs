//! Checks an impl block.

use super::LIFETIME;
use super::method::{self, Checked};
use super::types::ungroup;
use crate::errors::Errors;
use crate::model::{ImplBlock, Method};
use crate::options::ItemOptions;
use crate::parse::ParsedBlock;
use crate::tokens::replace_self_in_generics;
use quote::ToTokens;
use syn::Type;

/// Checks a block and its methods. The model omits methods with errors and keeps the others, so that code which calls
/// those compiles. `None` if no code can be generated for the block.
pub(crate) fn check(block: ParsedBlock, options: ItemOptions, errors: &mut Errors) -> Option<ImplBlock> {
    for error in block.signature_errors {
        errors.extend(error);
    }
    for attribute in &block.misplaced {
        errors
            .push(attribute, "inside an impl block `#[replicated]` belongs on methods only: remove it here");
    }
    if let Some(of_trait) = &block.of_trait {
        let ty = &block.self_type.to_token_stream();
        let message = format!(
            "`#[replicated]` cannot be on the impl of a trait: move the replicated methods to `impl {ty} {{ … }}` and \
             annotate that block"
        );
        errors.push(of_trait, message);
        return None;
    }
    let before = errors.len();
    for lifetime in block.generics.lifetimes() {
        errors.push(lifetime, LIFETIME);
    }
    let name = match ungroup(&block.self_type) {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.clone()),
        _ => None,
    };
    if name.is_none() {
        errors.push(
            &block.self_type,
            "`#[replicated]` needs the impl block of a struct: write the struct's name after `impl`",
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

/// Refuses a method with the id of an earlier one. Methods under `#[cfg]` may exclude each other, so generated code
/// checks those.
fn refuse_collisions(methods: &mut Vec<Method>, errors: &mut Errors) {
    let mut accepted: Vec<Method> = Vec::new();
    for method in methods.drain(..) {
        let certainly_collides = |other: &&Method| {
            other.id == method.id
                && (other.declaration.cfgs().next().is_none() && method.declaration.cfgs().next().is_none())
        };
        let Some(other) = accepted.iter().find(certainly_collides) else {
            accepted.push(method);
            continue;
        };
        let reason = if other.log_name == method.log_name {
            format!("both are named `{}` in the log", method.log_name)
        } else {
            format!("the names `{}` and `{}` have the same hash", other.log_name, method.log_name)
        };
        let message = format!(
            "`{}` and `{}` have the same id, because {reason}: give one of them another name with `#[replicated(name = \"…\")]`",
            other.declaration.ident, method.declaration.ident
        );
        errors.push(&method.declaration.ident, message);
    }
    *methods = accepted;
}
