//! What may stand in the parentheses of `#[replicated(…)]`.

use crate::errors::Errors;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, Lit, LitStr, Meta, Path, Token};

/// The options of a struct or of an impl block.
pub(crate) struct ItemOptions {
    /// The path of raftobj in the user's crate.
    pub(crate) raftobj: TokenStream,
}

/// The options of a method.
#[derive(Default)]
pub(crate) struct MethodOptions {
    /// The name that gives the method its id, instead of its own.
    pub(crate) name: Option<LitStr>,
    /// The `local` of `local = false`, which keeps a `&self` method out of the handle.
    pub(crate) local_false: Option<Ident>,
}

/// Reads the options of a struct or of an impl block; what is wrong is as if it were not there.
pub(crate) fn parse_item(tokens: TokenStream, errors: &mut Errors) -> ItemOptions {
    let mut raftobj = None;
    for option in parse(tokens, errors) {
        match option.key.to_string().as_str() {
            "crate" if raftobj.is_none() => {
                match option.text("the path of raftobj").and_then(|t| t.parse::<Path>()) {
                    Ok(path) => raftobj = Some(quote!(#path)),
                    Err(error) => errors.extend(error),
                }
            }
            "crate" => errors.push(&option.key, "`crate` is given twice"),
            "name" | "local" => errors.push(
                &option.key,
                format!(
                    "`{}` is an option of a method; put `#[replicated({} = …)]` on it",
                    option.key, option.key
                ),
            ),
            other => errors.push(&option.key, format!("unknown option `{other}`; there is `crate = \"…\"`")),
        }
    }
    ItemOptions { raftobj: raftobj.unwrap_or_else(|| quote!(::raftobj)) }
}

/// Reads the options of a method; what is wrong is as if it were not there.
pub(crate) fn parse_method(mark: &Attribute, errors: &mut Errors) -> MethodOptions {
    let tokens = match &mark.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            errors.push(pair, "options go in parentheses: `#[replicated(name = \"…\")]`");
            TokenStream::new()
        }
    };
    let mut options = MethodOptions::default();
    for option in parse(tokens, errors) {
        match option.key.to_string().as_str() {
            "name" if options.name.is_none() => match option.text("the method's name in the log") {
                Ok(name) if name.value().is_empty() => errors.push(name, "a method's name in the log is not empty"),
                Ok(name) => options.name = Some(name),
                Err(error) => errors.extend(error),
            },
            "local" if options.local_false.is_none() => {
                if !matches!(&option.value, Lit::Bool(value) if !value.value) {
                    errors.push(
                        &option.value,
                        "`local = false` is all that can be said; without it a `&self` method is a local read by itself",
                    );
                }
                options.local_false = Some(option.key);
            }
            "name" | "local" => errors.push(&option.key, format!("`{}` is given twice", option.key)),
            "crate" => errors.push(
                &option.key,
                "`crate` is an option of the struct and of the impl block; put `#[replicated(crate = \"…\")]` on them",
            ),
            other => errors.push(
                &option.key,
                format!("unknown option `{other}`; there are `name = \"…\"` and `local = false`"),
            ),
        }
    }
    if let (Some(key), Some(_)) = (&options.local_false, &options.name) {
        errors
            .push(key, "a method that is left out has no name in the log: remove `name`, or `local = false`");
    }
    options
}

fn parse(tokens: TokenStream, errors: &mut Errors) -> Vec<KeyValue> {
    match Punctuated::<KeyValue, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(options) => options.into_iter().collect(),
        Err(error) => {
            errors.extend(error);
            Vec::new()
        }
    }
}

struct KeyValue {
    key: Ident,
    value: Lit,
}

impl KeyValue {
    fn text(&self, what: &str) -> syn::Result<LitStr> {
        match &self.value {
            Lit::Str(text) => Ok(text.clone()),
            other => Err(syn::Error::new_spanned(other, format!("`{}` takes {what} as a string", self.key))),
        }
    }
}

impl Parse for KeyValue {
    fn parse(input: ParseStream<'_>) -> syn::Result<KeyValue> {
        // `crate` is a keyword, and an option all the same.
        let key = Ident::parse_any(input)?;
        if !input.peek(Token![=]) {
            return Err(syn::Error::new_spanned(&key, format!("`{key}` needs a value: `{key} = …`")));
        }
        input.parse::<Token![=]>()?;
        Ok(KeyValue { key, value: input.parse()? })
    }
}
