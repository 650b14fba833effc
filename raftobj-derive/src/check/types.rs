//! Questions about a type. A macro cannot resolve names, so only the tokens of the type can answer them.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Type;

/// The type without parentheses, and without the invisible groups that macros put around their arguments.
pub(super) fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        other => other,
    }
}

/// What prevents values of a type from being encoded for other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// `&`, or a lifetime other than `'static`.
    Borrow,
    /// `impl`.
    Impl,
    /// `dyn`.
    Dyn,
}

/// The first obstacle in the tokens of a type, and where it is.
pub(super) fn find_obstacle(tokens: impl ToTokens) -> Option<(Obstacle, TokenStream)> {
    let trees: Vec<TokenTree> = tokens.into_token_stream().into_iter().collect();
    for (i, tree) in trees.iter().enumerate() {
        let found = match tree {
            TokenTree::Group(group) => {
                if let Some(inner) = find_obstacle(group.stream()) {
                    return Some(inner);
                }
                None
            }
            TokenTree::Ident(ident) if ident == "impl" => Some(Obstacle::Impl),
            TokenTree::Ident(ident) if ident == "dyn" => Some(Obstacle::Dyn),
            TokenTree::Punct(punct) if punct.as_char() == '&' => Some(Obstacle::Borrow),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => match trees.get(i + 1) {
                Some(TokenTree::Ident(name)) if name != "static" => {
                    return Some((Obstacle::Borrow, quote!(#tree #name)));
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(found) = found {
            return Some((found, tree.to_token_stream()));
        }
    }
    None
}

/// Whether a type contains an obstacle or any lifetime. `'static` counts too: what it bounds is not visible here, and a
/// rule about visible tokens is easier to explain.
pub(super) fn has_obstacle_or_lifetime(ty: &Type) -> bool {
    find_obstacle(ty).is_some() || ty.to_token_stream().to_string().contains('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_obstacle_is_found() {
        let kind = |tokens: TokenStream| find_obstacle(tokens).map(|(kind, _)| kind);
        assert_eq!(kind(quote!(Option<&str>)), Some(Obstacle::Borrow));
        assert_eq!(kind(quote!((u8, Ref<'a, u8>))), Some(Obstacle::Borrow));
        assert_eq!(kind(quote!(Cow<'static, str>)), None);
        assert_eq!(kind(quote!(Box<dyn Error>)), Some(Obstacle::Dyn));
        assert_eq!(kind(quote!(impl Iterator<Item = u8>)), Some(Obstacle::Impl));
        assert_eq!(kind(quote!(Vec<(u8, String)>)), None);
    }
}
