//! Checks a function of a block: is it a replicated method, a local read, or neither?

use super::argument::{ParameterKind, classify};
use super::reserved::reserved_by;
use super::types::{Obstacle, find_obstacle, has_obstacle_or_lifetime, ungroup};
use crate::errors::Errors;
use crate::model::{Argument, Declaration, LocalRead, Method, Parameter, method_id};
use crate::options::{self, MethodOptions};
use crate::parse::ParsedFunction;
use crate::tokens::{hygienic, replace_self_in_generics};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, GenericParam, Pat, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type};

/// What a function of the block is for the handle.
pub(super) enum Checked {
    Replicated(Method),
    LocalRead(LocalRead),
    /// Not in the handle.
    Neither,
}

/// Checks a function of the block.
pub(super) fn check(function: ParsedFunction, self_type: &TokenStream, errors: &mut Errors) -> Checked {
    let Some((attribute, more)) = function.replicated.split_first() else {
        return check_local(function, self_type, errors);
    };
    for attribute in more {
        errors.push(attribute, "`#[replicated]` is given twice: write all options in one");
    }
    let options = options::parse_method(attribute, errors);
    if options.local_false.is_some() {
        return check_excluded(&function, attribute, errors);
    }
    check_replicated(function, options, errors)
}

/// How a function takes `self`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SelfParameter {
    Missing,
    ByValue,
    Shared,
    Exclusive,
}

fn self_parameter(signature: &Signature) -> SelfParameter {
    let Some(receiver) = signature.receiver() else { return SelfParameter::Missing };
    match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => SelfParameter::Shared,
        ReceiverKind::Reference(_, _, Some(_)) => SelfParameter::Exclusive,
        ReceiverKind::Typed(_, ty) => match ungroup(ty) {
            Type::Reference(reference) if reference.mutability.is_some() => SelfParameter::Exclusive,
            Type::Reference(_) => SelfParameter::Shared,
            _ => SelfParameter::ByValue,
        },
        _ => SelfParameter::ByValue,
    }
}

/// Checks a function with `local = false`.
fn check_excluded(function: &ParsedFunction, attribute: &Attribute, errors: &mut Errors) -> Checked {
    if self_parameter(&function.signature) != SelfParameter::Shared {
        errors.push(attribute, "only a `&self` method can be a local read: remove `local = false`");
    }
    Checked::Neither
}

fn check_local(function: ParsedFunction, self_type: &TokenStream, errors: &mut Errors) -> Checked {
    let ParsedFunction { attributes, visibility, signature, .. } = function;
    let returns_owned = match &signature.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => !has_obstacle_or_lifetime(ty),
    };
    let is_plain = signature.asyncness.is_none() && matches!(signature.safety, Safety::Default);
    if self_parameter(&signature) != SelfParameter::Shared || !returns_owned || !is_plain {
        return Checked::Neither;
    }
    let mut arguments = Vec::new();
    for (i, input) in typed_parameters(&signature).enumerate() {
        // Only apply supplies a context, so only a replicated method can call this one.
        if matches!(classify(&input.ty), Ok(ParameterKind::Context)) {
            return Checked::Neither;
        }
        arguments.push((argument_name(&input.pat, i), (*input.ty).clone()));
    }
    if let Some(owner) = reserved_by(&signature.ident.unraw().to_string()) {
        let ident = &signature.ident;
        let message = format!(
            "a local read cannot be named `{ident}`, because that is {owner}: rename it, or write \
             `#[replicated(local = false)]` to leave it out of `Replica`"
        );
        errors.push(ident, message);
        return Checked::Neither;
    }
    let generics = replace_self_in_generics(&signature.generics, self_type);
    Checked::LocalRead(LocalRead {
        declaration: declaration(attributes, visibility, &signature, generics),
        arguments,
    })
}

fn check_replicated(function: ParsedFunction, options: MethodOptions, errors: &mut Errors) -> Checked {
    let ParsedFunction { attributes, visibility, signature, .. } = function;
    let before = errors.len();
    check_name(&signature, errors);
    check_qualifiers(&signature, errors);
    check_receiver(&signature, errors);
    check_generics(&signature, errors);
    let parameters = check_parameters(&signature, errors);
    check_output(&signature, errors);
    if errors.len() > before {
        return Checked::Neither;
    }
    let log_name = options.name.map_or_else(|| signature.ident.unraw().to_string(), |name| name.value());
    // Only lifetimes: other parameters are errors.
    let generics = signature.generics.clone();
    let declaration = declaration(attributes, visibility, &signature, generics);
    Checked::Replicated(Method { id: method_id(&log_name), log_name, declaration, parameters })
}

fn check_name(signature: &Signature, errors: &mut Errors) {
    let ident = &signature.ident;
    if let Some(owner) = reserved_by(&ident.unraw().to_string()) {
        let message = format!(
            "a replicated method cannot be named `{ident}`, because that is {owner}: rename it; if logs contain its \
             entries, add `#[replicated(name = \"{ident}\")]`"
        );
        errors.push(ident, message);
    }
}

fn check_qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(asyncness) = &signature.asyncness {
        errors.push(
            asyncness,
            "a replicated method cannot be async, because it must do the same on every replica: await before the call and \
             pass the result as an argument",
        );
    }
    if !matches!(signature.safety, Safety::Default) {
        errors.push(
            &signature.safety,
            "a replicated method cannot be unsafe, because it also runs where no caller ensures its conditions: write a \
             safe method that checks them",
        );
    }
}

fn check_receiver(signature: &Signature, errors: &mut Errors) {
    let receiver: Option<&Receiver> = signature.receiver();
    match self_parameter(signature) {
        SelfParameter::Exclusive => {}
        SelfParameter::Missing => errors.push(
            &signature.ident,
            "a replicated method changes the object: add `&mut self`, or remove `#[replicated]`",
        ),
        SelfParameter::ByValue => errors.push(
            receiver,
            "a replicated method cannot take the object by value, because the object stays on its node: write `&mut self`",
        ),
        SelfParameter::Shared => errors.push(
            receiver,
            "a replicated method changes the object: write `&mut self`; if it only reads, remove `#[replicated]`: it is \
             then a local read (call `linearizable()` first for a linearizable one)",
        ),
    }
}

fn check_generics(signature: &Signature, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.push(
                parameter,
                "a replicated method cannot be generic, because the log stores values without their types: write a \
                 concrete type, or move the parameter to the struct",
            );
        }
    }
    if let Some(bounds) = &signature.generics.where_clause
        && !bounds.predicates.is_empty()
    {
        errors.push(
            bounds,
            "a replicated method cannot have a `where` clause: move the bounds to the impl block",
        );
    }
}

fn check_parameters(signature: &Signature, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (i, input) in typed_parameters(signature).enumerate() {
        match classify(&input.ty) {
            Ok(ParameterKind::Context) => parameters.push(Parameter::Context),
            Ok(ParameterKind::Argument(kind)) => {
                let name = argument_name(&input.pat, i);
                parameters.push(Parameter::Argument(Argument { name, ty: input.ty.clone(), kind }));
            }
            Err(error) => errors.extend(error),
        }
    }
    let arguments = parameters.iter().filter(|parameter| matches!(parameter, Parameter::Argument(_))).count();
    if arguments > ARGUMENTS_MAX {
        let message = format!(
            "a replicated method takes at most {ARGUMENTS_MAX} arguments, and this one has {arguments}: combine some into a struct"
        );
        errors.push(&signature.ident, message);
    }
    parameters
}

/// The longest tuple that serde implements its traits for.
const ARGUMENTS_MAX: usize = 16;

fn check_output(signature: &Signature, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &signature.output else { return };
    let Some((kind, token)) = find_obstacle(ty) else { return };
    let message = match kind {
        Obstacle::Borrow => {
            "a replicated method cannot return a reference, because its reply is encoded: return an owned type, such as \
             `Option<String>` for `Option<&str>`"
        }
        Obstacle::Impl => {
            "a replicated method cannot return `impl Trait`, because its reply is encoded: write a concrete type, such as \
             `Vec<T>` for an iterator"
        }
        Obstacle::Dyn => {
            "a replicated method cannot return `dyn Trait`, because its reply is encoded: return an enum or a struct that \
             implements `Serialize` and `Deserialize`"
        }
    };
    match ungroup(ty) {
        Type::Reference(_) | Type::ImplTrait(_) | Type::TraitObject(_) => errors.push(ty, message),
        _ => errors.push(token, message),
    }
}

fn typed_parameters(signature: &Signature) -> impl Iterator<Item = &syn::PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

/// The name of an argument in the handle's method: the user's, or a name by position for a pattern.
fn argument_name(pattern: &Pat, position: usize) -> Ident {
    match pattern {
        Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() => name.ident.clone(),
        _ => hygienic(&format!("argument_{position}")),
    }
}

/// The parts of a function that its counterpart in the handle repeats.
fn declaration(
    attributes: Vec<Attribute>,
    visibility: syn::Visibility,
    signature: &Signature,
    generics: syn::Generics,
) -> Declaration {
    let is_kept = |attribute: &Attribute| {
        ["doc", "cfg", "deprecated"].iter().any(|name| attribute.path().is_ident(name))
    };
    let output = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    Declaration {
        ident: signature.ident.clone(),
        attributes: attributes.into_iter().filter(is_kept).collect(),
        visibility,
        output,
        generics,
    }
}
