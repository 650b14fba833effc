//! Splits the annotated item. Method bodies are not parsed: only the compiler judges them, and syntax newer than
//! this parser is allowed there.

use crate::tokens::is_replicated;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Generics, Ident, ItemStruct, Signature, Token, Type, Visibility, braced};

/// An item with `#[replicated]` on it.
pub(crate) enum Item {
    Struct(ItemStruct),
    Block(ParsedBlock),
    /// A function outside of an annotated block: always an error.
    Function(Signature),
}

/// An impl block.
pub(crate) struct ParsedBlock {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) generics: Generics,
    /// `Trait for`, which is an error.
    pub(crate) of_trait: Option<TokenStream>,
    pub(crate) self_type: Type,
    pub(crate) functions: Vec<ParsedFunction>,
    /// `#[replicated]` on items other than functions: errors.
    pub(crate) misplaced: Vec<Attribute>,
    /// Why signatures did not parse.
    pub(crate) signature_errors: Vec<syn::Error>,
}

/// A function of a block, without its body.
pub(crate) struct ParsedFunction {
    /// All attributes except `#[replicated]`.
    pub(crate) attributes: Vec<Attribute>,
    /// Its `#[replicated]` attributes.
    pub(crate) replicated: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
}

/// Splits an item.
///
/// # Errors
/// If `#[replicated]` cannot be on such an item, or the item does not parse.
pub(crate) fn item(tokens: TokenStream) -> syn::Result<Item> {
    let kind = |input: ParseStream<'_>| -> syn::Result<ItemKind> {
        Attribute::parse_outer(input)?;
        input.parse::<Visibility>()?;
        let kind = if is_function(input) {
            ItemKind::Function
        } else if input.peek(Token![struct]) {
            ItemKind::Struct
        } else if input.peek(Token![impl]) || (input.peek(Token![unsafe]) && input.peek2(Token![impl])) {
            ItemKind::Block
        } else {
            let found = input.cursor().token_tree().map(|(tree, _)| tree.to_token_stream());
            let instead = if input.peek(Token![enum]) || input.peek(Token![union]) {
                "write a struct with this type as a field"
            } else {
                "remove it here"
            };
            return Err(syn::Error::new_spanned(found, format!("{BELONGS}: {instead}")));
        };
        input.parse::<TokenStream>()?;
        Ok(kind)
    };
    match kind.parse2(tokens.clone())? {
        ItemKind::Struct => syn::parse2(tokens).map(Item::Struct),
        ItemKind::Block => syn::parse2(tokens).map(Item::Block),
        ItemKind::Function => parse_function.parse2(tokens).map(Item::Function),
    }
}

/// Where `#[replicated]` may be, for error messages.
pub(crate) const BELONGS: &str =
    "`#[replicated]` belongs on a struct, on its inherent impl block, and on methods of that block";

enum ItemKind {
    Struct,
    Block,
    Function,
}

fn parse_function(input: ParseStream<'_>) -> syn::Result<Signature> {
    Attribute::parse_outer(input)?;
    input.parse::<Visibility>()?;
    let signature = input.parse()?;
    input.parse::<TokenStream>()?;
    Ok(signature)
}

impl Parse for ParsedBlock {
    fn parse(input: ParseStream<'_>) -> syn::Result<ParsedBlock> {
        let attributes = Attribute::parse_outer(input)?;
        input.parse::<Option<Token![unsafe]>>()?;
        input.parse::<Token![impl]>()?;
        let mut generics = if input.peek(Token![<]) && !is_qualified_path(input) {
            input.parse()?
        } else {
            Generics::default()
        };
        let negative = input.parse::<Option<Token![!]>>()?;
        let mut self_type: Type = input.parse()?;
        let mut of_trait = None;
        if let Some(for_token) = input.parse::<Option<Token![for]>>()? {
            of_trait = Some(quote::quote!(#negative #self_type #for_token));
            self_type = input.parse()?;
        }
        generics.where_clause = input.parse()?;

        let items;
        braced!(items in input);
        let mut block = ParsedBlock {
            attributes,
            generics,
            of_trait,
            self_type,
            functions: Vec::new(),
            misplaced: Vec::new(),
            signature_errors: Vec::new(),
        };
        block.attributes.extend(Attribute::parse_inner(&items)?);
        while !items.is_empty() {
            block.parse_item(&items)?;
        }
        Ok(block)
    }
}

impl ParsedBlock {
    fn parse_item(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let (replicated, attributes): (Vec<_>, Vec<_>) =
            Attribute::parse_outer(input)?.into_iter().partition(|attribute| is_replicated(attribute.path()));
        let visibility = input.parse()?;
        if !is_function(input) {
            self.misplaced.extend(replicated);
            return skip_item(input);
        }
        let ahead = input.fork();
        match ahead.parse::<Signature>() {
            Ok(signature) => {
                input.advance_to(&ahead);
                self.functions.push(ParsedFunction { attributes, replicated, visibility, signature });
            }
            Err(error) => self.signature_errors.push(error),
        }
        skip_item(input)
    }
}

/// Whether a function begins here: qualifiers, then `fn`.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    loop {
        if ahead.peek(Token![fn]) {
            return true;
        }
        let is_qualifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::LitStr);
        if !is_qualifier || ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
}

/// Whether the `<` after `impl` opens a path such as `<T as Trait>::Type` and not generics.
fn is_qualified_path(input: ParseStream<'_>) -> bool {
    input.peek(Token![<])
        && (input.peek2(Ident) || input.peek2(Token![<]))
        && input.fork().parse::<Generics>().is_err()
}

/// Skips the rest of an item: to the end of its braces, or to a semicolon. After an `=` only a semicolon ends it,
/// because the value of a constant may contain braces.
fn skip_item(input: ParseStream<'_>) -> syn::Result<()> {
    let mut in_value = false;
    while !input.is_empty() {
        match input.parse::<TokenTree>()? {
            TokenTree::Punct(punct) if punct.as_char() == ';' => return Ok(()),
            TokenTree::Punct(punct) if punct.as_char() == '=' => in_value = true,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !in_value => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}
