//! `impl Object`: the method table, apply and describe.

use super::scope::Scope;
use crate::model::{Block, Kind, Method, Parameter};
use crate::spelling::spell_all;
use crate::tokens::{as_generated, hygienic};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

pub(super) fn expand(block: &Block, scope: &Scope) -> TokenStream {
    let Scope { private, handle, generics } = scope;
    let Block { raftobj, self_type, name, methods, .. } = block;
    let (parameters, _, bounds) = generics.split_for_impl();
    let name = name.to_string();
    let table = methods.iter().map(|method| expand_entry(method, private));
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

fn expand_entry(method: &Method, private: &TokenStream) -> TokenStream {
    let Method { face, log_name, id, .. } = method;
    let cfgs = face.cfgs();
    let types: Vec<_> = method.arguments().map(|argument| &argument.ty).collect();
    let arity = u8::try_from(types.len()).unwrap_or(u8::MAX);
    let types = spell_all(types);
    quote! {
        #(#cfgs)*
        #private::Method { id: #private::MethodId(#id), name: #log_name, arity: #arity, types: #types }
    }
}

/// The arm that decodes the arguments, calls the method, and encodes what it returns.
fn expand_apply(method: &Method, private: &TokenStream) -> TokenStream {
    let Method { face, log_name, id, parameters, .. } = method;
    let cfgs = face.cfgs();
    let decode = expand_decode(method, private);
    let mut position = 0;
    let given = parameters.iter().map(|parameter| match parameter {
        Parameter::Context => quote!(context),
        Parameter::Argument(argument) => {
            let name = decoded_name(position);
            position += 1;
            match argument.kind {
                Kind::Reference(_) | Kind::Slice(_) => quote!(&#name),
                _ => quote!(#name),
            }
        }
    });
    let allowances = face.allowances();
    let (ident, output, value) = (as_generated(&face.ident), &face.output, hygienic("value"));
    quote! {
        #(#cfgs)*
        #private::MethodId(#id) => {
            #decode
            #allowances
            let #value = Self::#ident(self, #(#given),*);
            <#output as #private::ReplicatedReply>::encode(&#value, #log_name, reply)
        }
    }
}

/// The arm that decodes the arguments and renders them.
fn expand_describe(method: &Method, private: &TokenStream) -> TokenStream {
    let Method { face, id, .. } = method;
    let cfgs = face.cfgs();
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

/// Takes the arguments one by one, and makes sure that nothing is left.
fn expand_decode(method: &Method, private: &TokenStream) -> TokenStream {
    let log_name = &method.log_name;
    let take = method.arguments().enumerate().map(|(position, argument)| {
        let name = decoded_name(position);
        let value = match &argument.kind {
            Kind::Owned => {
                let ty = &argument.ty;
                quote!(<#ty as #private::ReplicatedArgument>::decode(&mut arguments))
            }
            Kind::Reference(target) => {
                quote!(<#target as #private::ReplicatedArgument>::decode(&mut arguments))
            }
            Kind::Slice(item) => {
                quote!(<#item as #private::ReplicatedArgument>::decode_slice(&mut arguments))
            }
            Kind::Text => quote!(arguments.take::<&::core::primitive::str>()),
            Kind::Bytes => quote!(arguments.take::<&[::core::primitive::u8]>()),
            Kind::OptionalText => quote!(arguments.take::<::core::option::Option<&::core::primitive::str>>()),
            Kind::OptionalBytes => {
                quote!(arguments.take::<::core::option::Option<&[::core::primitive::u8]>>())
            }
        };
        quote!(let #name = #value?;)
    });
    let mutable = method.arguments().next().map(|_| quote!(mut));
    quote! {
        let #mutable arguments = #private::Arguments::new(#log_name, arguments);
        #(#take)*
        arguments.end()?;
    }
}

fn decoded_name(position: usize) -> Ident {
    hygienic(&format!("argument_{position}"))
}
