//! The handle: the user's methods, on a core.

use super::block::Scope;
use crate::argument::{Argument, Kind, Parameter};
use crate::model::{Block, Face, Local, Method};
use crate::tokens::{as_generated, hygienic, spell_self_out};
use proc_macro2::TokenStream;
use quote::quote;

pub(super) fn expand(block: &Block, scope: &Scope) -> TokenStream {
    let Scope { private, handle, generics } = scope;
    let Block { self_type, name, .. } = block;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let methods = block.methods.iter().map(|method| expand_method(method, block, scope));
    let locals = block.locals.iter().map(|local| expand_local(local, block));
    let doc = format!("The methods of `{name}`, on a replica of it.");
    quote! {
        #[doc = #doc]
        pub struct #handle #generics #bounds {
            core: #private::Core<#self_type>,
        }

        #[automatically_derived]
        impl #parameters ::core::clone::Clone for #handle #arguments #bounds {
            fn clone(&self) -> Self {
                Self { core: ::core::clone::Clone::clone(&self.core) }
            }
        }

        #[automatically_derived]
        impl #parameters #private::Handle for #handle #arguments #bounds {
            type Object = #self_type;

            fn new(core: #private::Core<#self_type>) -> Self {
                Self { core }
            }

            fn core(&self) -> &#private::Core<#self_type> {
                &self.core
            }
        }

        #[automatically_derived]
        impl #parameters #handle #arguments #bounds {
            #(#methods)*
            #(#locals)*
        }
    }
}

fn expand_method(method: &Method, block: &Block, scope: &Scope) -> TokenStream {
    let private = &scope.private;
    let Method { face, id, parameters, .. } = method;
    let given = parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Context => None,
        Parameter::Argument(argument) => Some(argument),
    });
    let (names, types): (Vec<_>, Vec<_>) = given
        .clone()
        .map(|argument| (&argument.name, spell_self_out(&argument.ty, &block.self_type)))
        .unzip();
    let encoded = given.map(|argument| encoded(argument, block, private));
    let (attributes, head) = head(face, block, "Calls", "on every replica");
    let (generics, bounds) = (&face.generics, &face.generics.where_clause);
    let output = spell_self_out(&face.output, &block.self_type);
    quote! {
        #attributes
        #head #generics (&self, #(#names: #types),*) -> #private::Call<#output> #bounds {
            <#output as #private::ReplicatedReply>::call(
                &self.core,
                #private::MethodId(#id),
                &(#(#encoded,)*),
            )
        }
    }
}

/// What stands for an argument in the encoded tuple: always a reference.
fn encoded(argument: &Argument, block: &Block, private: &TokenStream) -> TokenStream {
    let Argument { name, ty, kind } = argument;
    match kind {
        Kind::Owned => {
            let ty = spell_self_out(ty, &block.self_type);
            quote!(<#ty as #private::ReplicatedArgument>::encoded(&#name))
        }
        Kind::Reference(target) => {
            let target = spell_self_out(target, &block.self_type);
            quote!(<#target as #private::ReplicatedArgument>::encoded(#name))
        }
        Kind::Slice(item) => {
            let item = spell_self_out(item, &block.self_type);
            quote!(<#item as #private::ReplicatedArgument>::encoded_slice(#name))
        }
        Kind::Text | Kind::OptionalText => quote!(#name),
        Kind::Bytes => quote!(#private::ByteSlice(#name)),
        Kind::OptionalBytes => quote!(::core::option::Option::map(#name, #private::ByteSlice)),
    }
}

fn expand_local(local: &Local, block: &Block) -> TokenStream {
    let Local { face, arguments } = local;
    let self_type = &block.self_type;
    let (names, types): (Vec<_>, Vec<_>) =
        arguments.iter().map(|(name, ty)| (name, spell_self_out(ty, self_type))).unzip();
    let (attributes, head) = head(face, block, "Reads", "from this node's copy");
    let (generics, bounds) = (&face.generics, &face.generics.where_clause);
    let output = spell_self_out(&face.output, self_type);
    let (ident, guard) = (as_generated(&face.ident), hygienic("guard"));
    quote! {
        #attributes
        #head #generics (&self, #(#names: #types),*) -> #output #bounds {
            let #guard = self.core.read();
            <#self_type>::#ident(&#guard, #(#names),*)
        }
    }
}

/// Attributes, and what stands before the generics. The words are the user's, so that docs and jumps lead there;
/// without docs there is a line that says what this is.
fn head(face: &Face, block: &Block, verb: &str, place: &str) -> (TokenStream, TokenStream) {
    let Face { ident, attributes, visibility, .. } = face;
    let has_docs = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
    let doc = (!has_docs).then(|| {
        let doc = format!("{verb} `{}::{ident}` {place}.", block.name);
        quote!(#[doc = #doc])
    });
    let (visibility, ident) = (as_generated(visibility), as_generated(ident));
    (quote!(#doc #(#attributes)*), quote!(#visibility fn #ident))
}
