//! Generates `impl Object`: the table of methods, `apply` and `describe`.

use super::scope::Scope;
use crate::model::{ArgumentKind, ImplBlock, Method, Parameter};
use crate::spelling::spell_all;
use crate::tokens::{as_generated, hygienic};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

pub(super) fn expand(block: &ImplBlock, scope: &Scope) -> TokenStream {
    let Scope { private, handle, generics } = scope;
    let ImplBlock { raftobj, self_type, name, methods, .. } = block;
    let (parameters, _, bounds) = generics.split_for_impl();
    let name = name.to_string();
    let table = methods.iter().map(|method| expand_table_row(method, private));
    let apply = methods.iter().map(|method| expand_apply(method, private));
    let describe = methods.iter().map(|method| expand_describe(method, private));
    let result = quote!(::core::result::Result);
    quote! {
        #[automatically_derived]
        impl #parameters #raftobj::Object for #self_type #bounds {
            type Handle = #handle<#self_type>;

            const NAME: &'static ::core::primitive::str = #name;

            const METHODS: &'static [#private::Method] = {
                const TABLE: &[#private::Method] = &[#(#table,)*];
                const _: () = #private::check_methods(TABLE);
                TABLE
            };

            fn apply(
                &mut self,
                method: #private::MethodId,
                arguments: &[::core::primitive::u8],
                context: &#private::ApplyContext,
                reply: &mut ::std::vec::Vec<::core::primitive::u8>,
            ) -> #result<(), #private::MethodError> {
                let _ = (arguments, context, &reply);
                match method {
                    #(#apply)*
                    _ => #result::Err(#private::MethodError::Unknown(method)),
                }
            }

            fn describe(
                method: #private::MethodId,
                arguments: &[::core::primitive::u8],
            ) -> #result<::std::string::String, #private::MethodError> {
                use #private::{ShowAnything as _, ShowDebug as _};
                let _ = arguments;
                match method {
                    #(#describe)*
                    _ => #result::Err(#private::MethodError::Unknown(method)),
                }
            }
        }
    }
}

fn expand_table_row(method: &Method, private: &TokenStream) -> TokenStream {
    let Method { declaration, log_name, id, .. } = method;
    let cfgs = declaration.cfgs();
    let types: Vec<_> = method.arguments().map(|argument| &argument.ty).collect();
    let arity = u8::try_from(types.len()).unwrap_or(u8::MAX);
    let types = spell_all(types);
    quote! {
        #(#cfgs)*
        #private::Method { id: #private::MethodId(#id), name: #log_name, arity: #arity, types: #types }
    }
}

/// The arm of `apply` that decodes the arguments, calls the method, and encodes its return value.
fn expand_apply(method: &Method, private: &TokenStream) -> TokenStream {
    let Method { declaration, log_name, id, parameters, .. } = method;
    let cfgs = declaration.cfgs();
    let decode = expand_decode(method, private);
    let mut position = 0;
    let passed = parameters.iter().map(|parameter| match parameter {
        Parameter::Context => quote!(context),
        Parameter::Argument(argument) => {
            let name = decoded_name(position);
            position += 1;
            match argument.kind {
                ArgumentKind::Reference(_) | ArgumentKind::Slice(_) => quote!(&#name),
                _ => quote!(#name),
            }
        }
    });
    let allow_deprecated = declaration.allow_deprecated();
    let (ident, output, value) = (as_generated(&declaration.ident), &declaration.output, hygienic("value"));
    quote! {
        #(#cfgs)*
        #private::MethodId(#id) => {
            #decode
            #allow_deprecated
            let #value = Self::#ident(self, #(#passed),*);
            <#output as #private::ReplicatedReply>::encode(&#value, #log_name, reply)
        }
    }
}

/// The arm of `describe` that decodes the arguments and formats them.
fn expand_describe(method: &Method, private: &TokenStream) -> TokenStream {
    let Method { declaration, id, .. } = method;
    let cfgs = declaration.cfgs();
    let decode = expand_decode(method, private);
    let names: Vec<_> = method.arguments().enumerate().map(|(position, _)| decoded_name(position)).collect();
    let mutable = (!names.is_empty()).then(|| quote!(mut));
    quote! {
        #(#cfgs)*
        #private::MethodId(#id) => {
            #decode
            let #mutable list = ::std::string::String::new();
            #((&#private::Shown(&#names)).show(&mut list);)*
            ::core::result::Result::Ok(list)
        }
    }
}

/// Decodes the arguments one by one and checks that no bytes are left.
fn expand_decode(method: &Method, private: &TokenStream) -> TokenStream {
    let log_name = &method.log_name;
    let decode_each = method.arguments().enumerate().map(|(position, argument)| {
        let name = decoded_name(position);
        let value = match &argument.kind {
            ArgumentKind::Owned => {
                let ty = &argument.ty;
                quote!(<#ty as #private::ReplicatedArgument>::decode(&mut arguments))
            }
            ArgumentKind::Reference(target) => {
                quote!(<#target as #private::ReplicatedArgument>::decode(&mut arguments))
            }
            ArgumentKind::Slice(item) => {
                quote!(<#item as #private::ReplicatedArgument>::decode_slice(&mut arguments))
            }
            ArgumentKind::Str => quote!(arguments.take::<&::core::primitive::str>()),
            ArgumentKind::Bytes => quote!(arguments.take::<&[::core::primitive::u8]>()),
            ArgumentKind::OptionalStr => {
                quote!(arguments.take::<::core::option::Option<&::core::primitive::str>>())
            }
            ArgumentKind::OptionalBytes => {
                quote!(arguments.take::<::core::option::Option<&[::core::primitive::u8]>>())
            }
        };
        quote!(let #name = #value?;)
    });
    let mutable = method.arguments().next().map(|_| quote!(mut));
    quote! {
        let #mutable arguments = #private::Arguments::new(#log_name, arguments);
        #(#decode_each)*
        arguments.end()?;
    }
}

fn decoded_name(position: usize) -> Ident {
    hygienic(&format!("argument_{position}"))
}
