//! Checks a method: whether it can be replicated, or else read locally.

use super::argument::{Class, classify};
use super::reserved::why_reserved;
use super::types::{Shown, bare, shown, shows_any};
use crate::errors::Errors;
use crate::model::{Argument, Face, Local, Method, Parameter, id_of};
use crate::options::{self, MethodOptions};
use crate::parse::RawFunction;
use crate::tokens::{hygienic, spell_generics_out};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, GenericParam, Pat, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type};

/// What becomes of a function of the block.
pub(super) enum Checked {
    Replicated(Method),
    Local(Local),
    /// It stays in the user's block, and nowhere else.
    Neither,
}

/// Checks a function of the block.
pub(super) fn check(function: RawFunction, self_type: &TokenStream, errors: &mut Errors) -> Checked {
    let Some((mark, more)) = function.marks.split_first() else {
        return check_local(function, self_type, errors);
    };
    for mark in more {
        errors.push(mark, "`#[replicated]` is here twice; put all options into one");
    }
    let options = options::parse_method(mark, errors);
    if options.not_local.is_some() {
        return check_left_out(&function, mark, errors);
    }
    check_replicated(function, options, errors)
}

/// How a function takes the object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Not,
    ByValue,
    Shared,
    Exclusive,
}

fn taken(signature: &Signature) -> Taken {
    let Some(receiver) = signature.receiver() else { return Taken::Not };
    match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => Taken::Shared,
        ReceiverKind::Reference(_, _, Some(_)) => Taken::Exclusive,
        ReceiverKind::Typed(_, ty) => match bare(ty) {
            Type::Reference(reference) if reference.mutability.is_some() => Taken::Exclusive,
            Type::Reference(_) => Taken::Shared,
            _ => Taken::ByValue,
        },
        _ => Taken::ByValue,
    }
}

fn check_left_out(function: &RawFunction, mark: &Attribute, errors: &mut Errors) -> Checked {
    if taken(&function.signature) != Taken::Shared {
        errors.push(
            mark,
            "`local = false` keeps a `&self` method from being a local read; this one is none, so remove it",
        );
    }
    Checked::Neither
}

fn check_local(function: RawFunction, self_type: &TokenStream, errors: &mut Errors) -> Checked {
    let RawFunction { attributes, visibility, signature, .. } = function;
    let returns_owned = match &signature.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => !shows_any(ty),
    };
    let is_plain = signature.asyncness.is_none() && matches!(signature.safety, Safety::Default);
    if taken(&signature) != Taken::Shared || !returns_owned || !is_plain {
        return Checked::Neither;
    }
    let mut arguments = Vec::new();
    for (i, input) in typed(&signature).enumerate() {
        // Only apply has a context, so only a replicated method can call this one.
        if matches!(classify(&input.ty), Ok(Class::Context)) {
            return Checked::Neither;
        }
        arguments.push((argument_name(&input.pat, i), (*input.ty).clone()));
    }
    if let Some(reason) = why_reserved(&signature.ident.unraw().to_string()) {
        let ident = &signature.ident;
        let message = format!(
            "a local read cannot be named `{ident}`, which {reason}: rename it, or leave it out of the replica with \
             `#[replicated(local = false)]`"
        );
        errors.push(ident, message);
        return Checked::Neither;
    }
    let generics = spell_generics_out(&signature.generics, self_type);
    Checked::Local(Local { face: face(attributes, visibility, &signature, generics), arguments })
}

fn check_replicated(function: RawFunction, options: MethodOptions, errors: &mut Errors) -> Checked {
    let RawFunction { attributes, visibility, signature, .. } = function;
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
    // Only lifetimes are left.
    let generics = signature.generics.clone();
    let face = face(attributes, visibility, &signature, generics);
    Checked::Replicated(Method { id: id_of(&log_name), log_name, face, parameters })
}

fn check_name(signature: &Signature, errors: &mut Errors) {
    let ident = &signature.ident;
    if let Some(reason) = why_reserved(&ident.unraw().to_string()) {
        let message = format!(
            "a replicated method cannot be named `{ident}`, which {reason}: rename it (to keep its entries in a log, \
             add `#[replicated(name = \"{ident}\")]`)"
        );
        errors.push(ident, message);
    }
}

fn check_qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(asyncness) = &signature.asyncness {
        errors.push(
            asyncness,
            "a replicated method cannot be async, for it must do the same on every replica: await before the call, and \
             pass what came of it as an argument",
        );
    }
    if !matches!(signature.safety, Safety::Default) {
        errors.push(
            &signature.safety,
            "a replicated method cannot be unsafe, for what a caller promises is not known where an entry is applied: \
             check it in the method",
        );
    }
}

fn check_receiver(signature: &Signature, errors: &mut Errors) {
    let receiver: Option<&Receiver> = signature.receiver();
    match taken(signature) {
        Taken::Exclusive => {}
        Taken::Not => errors.push(
            &signature.ident,
            "a replicated method changes the object: take `&mut self`, or remove `#[replicated]`",
        ),
        Taken::ByValue => errors.push(
            receiver,
            "a replicated method cannot take the object by value, for it stays on its nodes: take `&mut self`",
        ),
        Taken::Shared => errors.push(
            receiver,
            "a replicated method changes the object: take `&mut self`; or, if it only reads, remove `#[replicated]`: \
             it then reads locally, and `linearizable()` makes sure that nothing is missed",
        ),
    }
}

fn check_generics(signature: &Signature, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.push(
                parameter,
                "a replicated method cannot have generics, for an entry of the log does not carry types: write the \
                 type, or make it a parameter of the struct",
            );
        }
    }
    if let Some(bounds) = &signature.generics.where_clause
        && !bounds.predicates.is_empty()
    {
        errors.push(bounds, "a replicated method cannot have bounds of its own: move them to the impl block");
    }
}

fn check_parameters(signature: &Signature, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (i, input) in typed(signature).enumerate() {
        match classify(&input.ty) {
            Ok(Class::Context) => parameters.push(Parameter::Context),
            Ok(Class::Argument(kind)) => {
                let name = argument_name(&input.pat, i);
                parameters.push(Parameter::Argument(Argument { name, ty: input.ty.clone(), kind }));
            }
            Err(error) => errors.extend(error),
        }
    }
    let arguments = parameters.iter().filter(|parameter| matches!(parameter, Parameter::Argument(_))).count();
    if arguments > ARGUMENTS_MAX {
        let message = format!(
            "a replicated method takes at most {ARGUMENTS_MAX} arguments, and this one {arguments}: put some into a struct"
        );
        errors.push(&signature.ident, message);
    }
    parameters
}

/// The longest tuple that serde knows.
const ARGUMENTS_MAX: usize = 16;

fn check_output(signature: &Signature, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &signature.output else { return };
    let Some((kind, token)) = shown(ty) else { return };
    let message = match kind {
        Shown::Borrow => {
            "a replicated method cannot return a reference, for its reply leaves the node: return the owned type, such \
             as `Option<String>` for `Option<&str>`"
        }
        Shown::Impl => {
            "a replicated method cannot return `impl Trait`, for its reply is encoded: write the type, such as `Vec<T>` \
             for an iterator"
        }
        Shown::Dyn => {
            "a replicated method cannot return `dyn Trait`, for its reply is encoded: return an enum or a struct with \
             serde"
        }
    };
    match bare(ty) {
        Type::Reference(_) | Type::ImplTrait(_) | Type::TraitObject(_) => errors.push(ty, message),
        _ => errors.push(token, message),
    }
}

fn typed(signature: &Signature) -> impl Iterator<Item = &syn::PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

/// The name of an argument in the handle's method: the user's, or one by position for any other pattern.
fn argument_name(pattern: &Pat, position: usize) -> Ident {
    match pattern {
        Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() => name.ident.clone(),
        _ => hygienic(&format!("argument_{position}")),
    }
}

fn face(
    attributes: Vec<Attribute>,
    visibility: syn::Visibility,
    signature: &Signature,
    generics: syn::Generics,
) -> Face {
    let is_kept = |attribute: &Attribute| {
        ["doc", "cfg", "deprecated"].iter().any(|name| attribute.path().is_ident(name))
    };
    let output = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    Face {
        ident: signature.ident.clone(),
        attributes: attributes.into_iter().filter(is_kept).collect(),
        visibility,
        output,
        generics,
    }
}
