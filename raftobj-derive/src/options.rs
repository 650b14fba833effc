//! The options in the parentheses of `#[replicated(…)]`.

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
    /// The name whose hash is the method's id, if it is not the method's own name.
    pub(crate) name: Option<LitStr>,
    /// The key of `local = false`, which excludes a `&self` method from the handle.
    pub(crate) local_false: Option<Ident>,
}

/// Parses the options of a struct or of an impl block. Reports invalid options and ignores them.
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
            "crate" => errors.push(&option.key, "`crate` is given twice: remove one"),
            "name" | "local" => errors.push(
                &option.key,
                format!(
                    "`{}` is an option of methods: write `#[replicated({} = …)]` on the method",
                    option.key, option.key
                ),
            ),
            other => errors.push(
                &option.key,
                format!("unknown option `{other}`: the only option here is `crate = \"…\"`"),
            ),
        }
    }
    ItemOptions { raftobj: raftobj.unwrap_or_else(|| quote!(::raftobj)) }
}

/// Parses the options of a method. Reports invalid options and ignores them.
pub(crate) fn parse_method(attribute: &Attribute, errors: &mut Errors) -> MethodOptions {
    let tokens = match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            errors.push(pair, "options belong in parentheses: write `#[replicated(name = \"…\")]`");
            TokenStream::new()
        }
    };
    let mut options = MethodOptions::default();
    for option in parse(tokens, errors) {
        match option.key.to_string().as_str() {
            "name" if options.name.is_none() => match option.text("the method's name in the log") {
                Ok(name) if name.value().is_empty() => errors.push(name, "a method's name in the log cannot be empty: write a name, or remove `name`"),
                Ok(name) => options.name = Some(name),
                Err(error) => errors.extend(error),
            },
            "local" if options.local_false.is_none() => {
                if !matches!(&option.value, Lit::Bool(value) if !value.value) {
                    errors.push(
                        &option.value,
                        "a `&self` method is a local read by default: remove `local`, or write `local = false` to prevent that",
                    );
                }
                options.local_false = Some(option.key);
            }
            "name" | "local" => errors.push(&option.key, format!("`{}` is given twice: remove one", option.key)),
            "crate" => errors.push(
                &option.key,
                "`crate` is an option of the struct and of the impl block: write `#[replicated(crate = \"…\")]` there",
            ),
            other => errors.push(
                &option.key,
                format!("unknown option `{other}`: the options of a method are `name = \"…\"` and `local = false`"),
            ),
        }
    }
    if let (Some(key), Some(_)) = (&options.local_false, &options.name) {
        errors
            .push(key, "a method with `local = false` is not in the log: remove `name`, or `local = false`");
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
            other => Err(syn::Error::new_spanned(
                other,
                format!("`{key}` takes {what} as a string: write `{key} = \"…\"`", key = self.key),
            )),
        }
    }
}

impl Parse for KeyValue {
    fn parse(input: ParseStream<'_>) -> syn::Result<KeyValue> {
        // `parse_any`, because the option `crate` is a keyword.
        let key = Ident::parse_any(input)?;
        if !input.peek(Token![=]) {
            return Err(syn::Error::new_spanned(&key, format!("`{key}` needs a value: write `{key} = …`")));
        }
        input.parse::<Token![=]>()?;
        Ok(KeyValue { key, value: input.parse()? })
    }
}
