//! How an argument travels: what is encoded for it, what is decoded, and what the method is given.

use super::types::{Obstacle, find_obstacle, ungroup};
use crate::model::ArgumentKind;
use syn::{GenericArgument, PathArguments, Type, TypePath};

/// What a parameter's type says.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum ParameterKind {
    Context,
    Argument(ArgumentKind),
}

/// Sorts a parameter by its type.
///
/// # Errors
/// At the token which shows that the type cannot travel, saying what to write instead.
pub(crate) fn classify(ty: &Type) -> syn::Result<ParameterKind> {
    let ty = ungroup(ty);
    if let Type::ImplTrait(_) = ty {
        let message = "a replicated method cannot take `impl Trait`: an entry of the log does not carry types; \
                       write the type";
        return Err(syn::Error::new_spanned(ty, message));
    }
    if is_named(ty, "ApplyContext") {
        return Err(syn::Error::new_spanned(ty, "the context is lent: take `&ApplyContext`"));
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
                Err(syn::Error::new_spanned(reference, "the context is only read: take `&ApplyContext`"))
            }
        };
    }
    if reference.mutability.is_some() {
        let message = "a replicated method cannot take `&mut`: the caller's value is on one node, the method runs on \
                       all; take it by value or by `&`, and return what changed";
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

/// `Option<&str>` and `Option<&[u8]>`, the only borrows that may be inside another type.
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

fn refuse_obstacles(ty: &Type) -> syn::Result<()> {
    let Some((kind, token)) = find_obstacle(ty) else { return Ok(()) };
    let message = match kind {
        Obstacle::Borrow => {
            "a replicated method cannot take a reference inside another type, but for `Option<&str>` and \
             `Option<&[u8]>`: take the owned type, such as `Vec<String>` for `Vec<&str>`"
        }
        Obstacle::Impl => {
            "a replicated method cannot take `impl Trait`: an entry of the log does not carry types; write the type"
        }
        Obstacle::Dyn => {
            "a replicated method cannot take `dyn Trait`: an entry of the log does not carry types; take an enum or \
             a struct with serde"
        }
    };
    Err(syn::Error::new_spanned(token, message))
}

/// Whether the type is a path that ends in `name`: a macro cannot know what the path means.
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

    fn kind(ty: Type) -> ArgumentKind {
        match classify(&ty) {
            Ok(ParameterKind::Argument(kind)) => kind,
            other => panic!("not an argument: {other:?}"),
        }
    }

    fn refusal(ty: Type) -> String {
        classify(&ty).expect_err("refused").to_string()
    }

    #[test]
    fn borrowed_text_and_bytes_are_told_from_other_references() {
        assert_eq!(kind(parse_quote!(&str)), ArgumentKind::Str);
        assert_eq!(kind(parse_quote!(&'a str)), ArgumentKind::Str);
        assert_eq!(kind(parse_quote!(&[u8])), ArgumentKind::Bytes);
        assert_eq!(kind(parse_quote!(Option<&str>)), ArgumentKind::OptionalStr);
        assert_eq!(kind(parse_quote!(std::option::Option<&[u8]>)), ArgumentKind::OptionalBytes);
        assert_eq!(kind(parse_quote!(&String)), ArgumentKind::Reference(parse_quote!(String)));
        assert_eq!(kind(parse_quote!(&[u8; 4])), ArgumentKind::Reference(parse_quote!([u8; 4])));
        assert_eq!(kind(parse_quote!(&[String])), ArgumentKind::Slice(parse_quote!(String)));
        assert_eq!(kind(parse_quote!((&str))), ArgumentKind::Str);
    }

    #[test]
    fn owned_types_are_owned() {
        for ty in [
            parse_quote!(String),
            parse_quote!(Option<String>),
            parse_quote!((u8, Vec<u8>)),
            parse_quote!(Cow<'static, str>),
        ] {
            assert_eq!(kind(ty), ArgumentKind::Owned);
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
        assert!(refusal(parse_quote!(ApplyContext)).contains("&ApplyContext"));
        assert!(refusal(parse_quote!(&mut ApplyContext)).contains("&ApplyContext"));
    }

    #[test]
    fn what_cannot_travel_is_refused() {
        assert!(refusal(parse_quote!(&mut String)).contains("`&mut`"));
        for ty in [
            parse_quote!(Vec<&str>),
            parse_quote!(&&str),
            parse_quote!(Option<&String>),
            parse_quote!(&[&str]),
            parse_quote!(Cow<'_, str>),
        ] {
            assert!(refusal(ty).contains("inside another type"));
        }
        assert!(refusal(parse_quote!(impl Into<String>)).contains("`impl Trait`"));
        assert!(refusal(parse_quote!(Vec<impl Into<String>>)).contains("`impl Trait`"));
        assert!(refusal(parse_quote!(Box<dyn Error>)).contains("`dyn Trait`"));
    }
}
