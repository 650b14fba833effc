//! What the tokens of a type show. A macro cannot resolve names, so this is all that it can know of a type.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Type;

/// The type without parentheses, and without the groups that macros put around what they are given.
pub(super) fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        other => other,
    }
}

/// Something that a type shows, which matters to whether it can leave the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// `&`, or a lifetime other than `'static`.
    Borrow,
    /// `impl`.
    Impl,
    /// `dyn`.
    Dyn,
}

/// The first token that shows a borrow, `impl` or `dyn`.
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

pub(super) fn has_obstacle_or_lifetime(ty: &Type) -> bool {
    // Of `'static` it is not known what is behind it; the rule stays one that can be seen.
    find_obstacle(ty).is_some() || ty.to_token_stream().to_string().contains('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_shows_its_first_borrow_impl_or_dyn() {
        let kind = |tokens: TokenStream| find_obstacle(tokens).map(|(kind, _)| kind);
        assert_eq!(kind(quote!(Option<&str>)), Some(Obstacle::Borrow));
        assert_eq!(kind(quote!((u8, Ref<'a, u8>))), Some(Obstacle::Borrow));
        assert_eq!(kind(quote!(Cow<'static, str>)), None);
        assert_eq!(kind(quote!(Box<dyn Error>)), Some(Obstacle::Dyn));
        assert_eq!(kind(quote!(impl Iterator<Item = u8>)), Some(Obstacle::Impl));
        assert_eq!(kind(quote!(Vec<(u8, String)>)), None);
    }
}
