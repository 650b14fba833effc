//! Splits the annotated item. Method bodies stay the tokens that they are: what stands in them is the compiler's
//! business, and newer syntax there must not stop an older parser.

use crate::tokens::is_replicated;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Generics, Ident, ItemStruct, Signature, Token, Type, Visibility, braced};

/// What `#[replicated]` can stand on.
pub(crate) enum Item {
    Struct(ItemStruct),
    Block(ParsedBlock),
    /// A function or method: the attribute inside a block that has none itself.
    Function(Signature),
}

/// An impl block.
pub(crate) struct ParsedBlock {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) generics: Generics,
    /// The trait and its `for`, which a block that can be replicated has not.
    pub(crate) of_trait: Option<TokenStream>,
    pub(crate) self_type: Type,
    pub(crate) functions: Vec<ParsedFunction>,
    /// Marks on what is no function.
    pub(crate) misplaced: Vec<Attribute>,
    /// Signatures that do not parse.
    pub(crate) broken: Vec<syn::Error>,
}

/// A function of a block, without its body.
pub(crate) struct ParsedFunction {
    pub(crate) attributes: Vec<Attribute>,
    /// Those of the attributes that are `#[replicated]`.
    pub(crate) marks: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
}

/// Splits an item.
///
/// # Errors
/// Where it is none that can be replicated, or does not parse.
pub(crate) fn item(tokens: TokenStream) -> syn::Result<Item> {
    let start = |input: ParseStream<'_>| -> syn::Result<ItemKind> {
        Attribute::parse_outer(input)?;
        input.parse::<Visibility>()?;
        let start = if is_function(input) {
            ItemKind::Function
        } else if input.peek(Token![struct]) {
            ItemKind::Struct
        } else if input.peek(Token![impl]) || (input.peek(Token![unsafe]) && input.peek2(Token![impl])) {
            ItemKind::Block
        } else {
            let found = input.cursor().token_tree().map(|(tree, _)| tree.to_token_stream());
            return Err(syn::Error::new_spanned(
                found,
                "`#[replicated]` goes on a struct, on its inherent impl block, and on methods of that block",
            ));
        };
        input.parse::<TokenStream>()?;
        Ok(start)
    };
    match start.parse2(tokens.clone())? {
        ItemKind::Struct => syn::parse2(tokens).map(Item::Struct),
        ItemKind::Block => syn::parse2(tokens).map(Item::Block),
        ItemKind::Function => parse_function.parse2(tokens).map(Item::Function),
    }
}

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
            broken: Vec::new(),
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
        let (marks, attributes): (Vec<_>, Vec<_>) =
            Attribute::parse_outer(input)?.into_iter().partition(|attribute| is_replicated(attribute.path()));
        let visibility = input.parse()?;
        if !is_function(input) {
            self.misplaced.extend(marks);
            return skip_item(input);
        }
        let ahead = input.fork();
        match ahead.parse::<Signature>() {
            Ok(signature) => {
                input.advance_to(&ahead);
                self.functions.push(ParsedFunction { attributes, marks, visibility, signature });
            }
            Err(error) => self.broken.push(error),
        }
        skip_item(input)
    }
}

/// Whether a function begins here: its qualifiers, then `fn`.
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

/// Whether `impl <` opens a path such as `<T as Trait>::Type`, and no generics.
fn is_qualified_path(input: ParseStream<'_>) -> bool {
    input.peek(Token![<])
        && (input.peek2(Ident) || input.peek2(Token![<]))
        && input.fork().parse::<Generics>().is_err()
}

/// Skips to the end of an item whose head was read or is of no interest: a brace, or a semicolon. After an `=`
/// only a semicolon ends it, for a constant's value may have braces.
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
