//! Classifies a parameter of a method by its type.

use super::types::{Obstacle, find_obstacle, ungroup};
use crate::model::ArgumentKind;
use syn::{GenericArgument, PathArguments, Type, TypePath};

/// What a parameter is, according to its type.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum ParameterKind {
    Context,
    Argument(ArgumentKind),
}

/// Classifies a parameter by its type.
///
/// # Errors
/// If a log entry cannot contain the type. The error is at the token that prevents it.
pub(crate) fn classify(ty: &Type) -> syn::Result<ParameterKind> {
    let ty = ungroup(ty);
    if let Type::ImplTrait(_) = ty {
        return Err(syn::Error::new_spanned(ty, IMPL_TRAIT));
    }
    if is_named(ty, "ApplyContext") {
        return Err(syn::Error::new_spanned(ty, "the context is passed by reference: write `&ApplyContext`"));
    }
    let Type::Reference(reference) = ty else {
        if let Some(kind) = optional_borrow(ty) {
            return Ok(ParameterKind::Argument(kind));
        }
        refuse_obstacles(ty)?;
        return Ok(ParameterKind::Argument(ArgumentKind::Owned));
    };
    let target = ungroup(&reference.elem);
    if is_named(target, "ApplyContext") {
        return match &reference.mutability {
            None => Ok(ParameterKind::Context),
            Some(_) => {
                Err(syn::Error::new_spanned(reference, "the context is read-only: write `&ApplyContext`"))
            }
        };
    }
    if reference.mutability.is_some() {
        let message = "a replicated method cannot take `&mut`, because it runs on every node and the caller's value is \
                       on one: take the argument by value or by `&`, and return the changed value";
        return Err(syn::Error::new_spanned(reference, message));
    }
    match target {
        Type::Slice(slice) if is_u8(&slice.elem) => return Ok(ParameterKind::Argument(ArgumentKind::Bytes)),
        Type::Slice(slice) => {
            refuse_obstacles(&slice.elem)?;
            return Ok(ParameterKind::Argument(ArgumentKind::Slice(slice.elem.clone())));
        }
        _ if is_str(target) => return Ok(ParameterKind::Argument(ArgumentKind::Str)),
        _ => {}
    }
    refuse_obstacles(target)?;
    Ok(ParameterKind::Argument(ArgumentKind::Reference(Box::new(target.clone()))))
}

/// `Option<&str>` and `Option<&[u8]>`, the only borrows that are allowed inside another type.
fn optional_borrow(ty: &Type) -> Option<ArgumentKind> {
    let Type::Path(TypePath { qself: None, path, .. }) = ty else { return None };
    let segment = path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let mut arguments = arguments.args.iter();
    let (Some(GenericArgument::Type(inner)), None) = (arguments.next(), arguments.next()) else {
        return None;
    };
    let Type::Reference(reference) = ungroup(inner) else { return None };
    if reference.mutability.is_some() {
        return None;
    }
    match ungroup(&reference.elem) {
        Type::Slice(slice) if is_u8(&slice.elem) => Some(ArgumentKind::OptionalBytes),
        target if is_str(target) => Some(ArgumentKind::OptionalStr),
        _ => None,
    }
}

const IMPL_TRAIT: &str = "a replicated method cannot take `impl Trait`, because the log stores values without their \
                          types: write a concrete type";

fn refuse_obstacles(ty: &Type) -> syn::Result<()> {
    let Some((kind, token)) = find_obstacle(ty) else { return Ok(()) };
    let message = match kind {
        Obstacle::Borrow => {
            "a replicated method cannot take a reference inside another type, except `Option<&str>` and \
             `Option<&[u8]>`: take an owned type, such as `Vec<String>` for `Vec<&str>`"
        }
        Obstacle::Impl => IMPL_TRAIT,
        Obstacle::Dyn => {
            "a replicated method cannot take `dyn Trait`, because the log stores values without their types: take an \
             enum or a struct that implements `Serialize` and `Deserialize`"
        }
    };
    Err(syn::Error::new_spanned(token, message))
}

/// Whether the type is a path that ends in `name`. A macro cannot resolve the path.
fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(TypePath { path, .. }) if path.segments.last().is_some_and(|last| last.ident == name))
}

fn is_str(ty: &Type) -> bool {
    is_named(ty, "str")
}

fn is_u8(ty: &Type) -> bool {
    is_named(ungroup(ty), "u8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn argument_kind(ty: Type) -> ArgumentKind {
        match classify(&ty) {
            Ok(ParameterKind::Argument(kind)) => kind,
            other => panic!("not an argument: {other:?}"),
        }
    }

    fn error(ty: Type) -> String {
        classify(&ty).expect_err("it is an error").to_string()
    }

    #[test]
    fn borrowed_text_and_bytes_are_distinguished_from_other_references() {
        assert_eq!(argument_kind(parse_quote!(&str)), ArgumentKind::Str);
        assert_eq!(argument_kind(parse_quote!(&'a str)), ArgumentKind::Str);
        assert_eq!(argument_kind(parse_quote!(&[u8])), ArgumentKind::Bytes);
        assert_eq!(argument_kind(parse_quote!(Option<&str>)), ArgumentKind::OptionalStr);
        assert_eq!(argument_kind(parse_quote!(std::option::Option<&[u8]>)), ArgumentKind::OptionalBytes);
        assert_eq!(argument_kind(parse_quote!(&String)), ArgumentKind::Reference(parse_quote!(String)));
        assert_eq!(argument_kind(parse_quote!(&[u8; 4])), ArgumentKind::Reference(parse_quote!([u8; 4])));
        assert_eq!(argument_kind(parse_quote!(&[String])), ArgumentKind::Slice(parse_quote!(String)));
        assert_eq!(argument_kind(parse_quote!((&str))), ArgumentKind::Str);
    }

    #[test]
    fn owned_types_are_owned() {
        for ty in [
            parse_quote!(String),
            parse_quote!(Option<String>),
            parse_quote!((u8, Vec<u8>)),
            parse_quote!(Cow<'static, str>),
        ] {
            assert_eq!(argument_kind(ty), ArgumentKind::Owned);
        }
    }

    #[test]
    fn the_context_is_recognised_by_its_last_segment() {
        for ty in [
            parse_quote!(&ApplyContext),
            parse_quote!(&raftobj::ApplyContext),
            parse_quote!(&'a ApplyContext),
        ] {
            assert_eq!(classify(&ty).expect("a context"), ParameterKind::Context);
        }
        assert!(error(parse_quote!(ApplyContext)).contains("&ApplyContext"));
        assert!(error(parse_quote!(&mut ApplyContext)).contains("&ApplyContext"));
    }

    #[test]
    fn types_that_an_entry_cannot_contain_are_refused() {
        assert!(error(parse_quote!(&mut String)).contains("`&mut`"));
        for ty in [
            parse_quote!(Vec<&str>),
            parse_quote!(&&str),
            parse_quote!(Option<&String>),
            parse_quote!(&[&str]),
            parse_quote!(Cow<'_, str>),
        ] {
            assert!(error(ty).contains("inside another type"));
        }
        assert!(error(parse_quote!(impl Into<String>)).contains("`impl Trait`"));
        assert!(error(parse_quote!(Vec<impl Into<String>>)).contains("`impl Trait`"));
        assert!(error(parse_quote!(Box<dyn Error>)).contains("`dyn Trait`"));
    }
}
