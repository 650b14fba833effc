//! Functions that change tokens without parsing them.

use proc_macro2::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Generics, Path};

/// Whether a path names our attribute, with any prefix.
pub(crate) fn is_replicated(path: &Path) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == "replicated")
}

/// An impl block without the `#[replicated]` attributes of its items. All else stays as written, bodies too.
///
/// The compiler has removed the block's own attribute already. It would expand those inside again.
pub(crate) fn without_replicated(block: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = block.into_iter().collect();
    if let Some(TokenTree::Group(body)) = trees.last_mut()
        && body.delimiter() == Delimiter::Brace
    {
        let mut stripped = Group::new(Delimiter::Brace, strip(body.stream()));
        stripped.set_span(body.span());
        *body = stripped;
    }
    trees.into_iter().collect()
}

fn strip(items: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut trees = items.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let is_hash = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '#');
        match trees.peek() {
            Some(TokenTree::Group(group)) if is_hash && is_replicated_group(group) => {
                trees.next();
            }
            _ => kept.push(tree),
        }
    }
    kept.into_iter().collect()
}

/// Whether a group is the `[replicated(…)]` of an attribute.
fn is_replicated_group(group: &Group) -> bool {
    if group.delimiter() != Delimiter::Bracket {
        return false;
    }
    let path = group.stream().into_iter().take_while(|tree| match tree {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == ':',
        _ => false,
    });
    syn::parse2::<Path>(path.collect()).is_ok_and(|path| is_replicated(&path))
}

/// Replaces `Self` by the type, for use outside of the impl block.
pub(crate) fn replace_self(tokens: impl ToTokens, self_type: &TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_token_stream().into_iter().collect();
    let mut replaced = TokenStream::new();
    for (i, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Ident(ident) if ident == "Self" => {
                let is_path = matches!(trees.get(i + 1), Some(TokenTree::Punct(next))
                    if next.as_char() == ':' && next.spacing() == Spacing::Joint);
                replaced.extend(if is_path { quote!(<#self_type>) } else { self_type.clone() });
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace_self(group.stream(), self_type));
                inner.set_span(group.span());
                replaced.extend([TokenTree::Group(inner)]);
            }
            other => replaced.extend([other.clone()]),
        }
    }
    replaced
}

/// Replaces `Self` by the type in generics and their `where` clause.
pub(crate) fn replace_self_in_generics(generics: &Generics, self_type: &TokenStream) -> Generics {
    let parameters = replace_self(generics, self_type);
    let mut replaced: Generics = syn::parse2(parameters).unwrap_or_else(|_| generics.clone());
    let bounds = replace_self(&generics.where_clause, self_type);
    replaced.where_clause = syn::parse2(bounds).unwrap_or_else(|_| generics.where_clause.clone());
    replaced
}

/// The same tokens with the same locations, marked as generated code, which most lints ignore.
pub(crate) fn as_generated(tokens: impl ToTokens) -> TokenStream {
    let generated = |mut tree: TokenTree| {
        if let TokenTree::Group(group) = &tree {
            tree = TokenTree::Group(Group::new(group.delimiter(), as_generated(group.stream())));
        }
        tree.set_span(Span::call_site().located_at(tree.span()));
        tree
    };
    tokens.into_token_stream().into_iter().map(generated).collect()
}

/// A name that cannot clash with the user's names.
pub(crate) fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tokens: TokenStream) -> String {
        tokens.to_string()
    }

    #[test]
    fn attributes_are_removed_from_items_but_not_from_bodies() {
        let item = quote! {
            impl A { #[doc = "d"] #[replicated(name = "x")] fn a() { #[replicated] fn b() {} } #[raftobj::replicated] fn c() {} }
        };
        let expected = quote!(impl A { #[doc = "d"] fn a() { #[replicated] fn b() {} } fn c() {} });
        assert_eq!(text(without_replicated(item)), text(expected));
    }

    #[test]
    fn self_is_replaced_in_types_and_in_paths() {
        let self_type = quote!(Map<K, V>);
        let replaced = replace_self(quote!(Option<(Self, [u8; Self::N])>), &self_type);
        assert_eq!(crate::spelling::spell(replaced), "Option<(Map<K, V>, [u8; <Map<K, V>>::N])>");
    }
}
