//! Generates the handle: a type with the user's methods, each of which calls the core.

use super::scope::Scope;
use crate::model::{Argument, ArgumentKind, Declaration, ImplBlock, LocalRead, Method};
use crate::tokens::{as_generated, hygienic, replace_self};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

/// The handle is generic over the object, although the object is always the user's type. Without the parameter, a
/// public handle would expose a private struct; with it, the handle is as private as the struct, whose visibility the
/// attribute on the block cannot see.
pub(super) fn expand(block: &ImplBlock, scope: &Scope) -> TokenStream {
    let Scope { private, handle, generics } = scope;
    let ImplBlock { raftobj, self_type, name, .. } = block;
    let (parameters, _, bounds) = generics.split_for_impl();
    let methods = block.methods.iter().map(|method| expand_method(method, block, scope));
    let local_reads = block.local_reads.iter().map(|local| expand_local(local, block));
    let doc = format!("The methods of `{name}` on a `Replica` of it.");
    quote! {
        #[doc = #doc]
        pub struct #handle<T: #raftobj::Object> {
            core: #private::Core<T>,
        }

        #[automatically_derived]
        impl #parameters ::core::clone::Clone for #handle<#self_type> #bounds {
            fn clone(&self) -> Self {
                Self { core: ::core::clone::Clone::clone(&self.core) }
            }
        }

        #[automatically_derived]
        impl #parameters #private::Handle for #handle<#self_type> #bounds {
            type Object = #self_type;

            fn new(core: #private::Core<#self_type>) -> Self {
                Self { core }
            }

            fn core(&self) -> &#private::Core<#self_type> {
                &self.core
            }
        }

        #[automatically_derived]
        impl #parameters #handle<#self_type> #bounds {
            #(#methods)*
            #(#local_reads)*
        }
    }
}

fn expand_method(method: &Method, block: &ImplBlock, scope: &Scope) -> TokenStream {
    let (raftobj, private) = (&block.raftobj, &scope.private);
    let Method { declaration, id, .. } = method;
    let (names, types): (Vec<_>, Vec<_>) = method
        .arguments()
        .map(|argument| (&argument.name, replace_self(&argument.ty, &block.self_type)))
        .unzip();
    let bounded = method.arguments().filter_map(|argument| serialized_type(argument, block));
    let encoded = method.arguments().map(|argument| encoded_argument(argument, private));
    let (attributes, head) = signature_head(declaration, block, "Calls", "on every replica");
    let generics = &declaration.generics;
    let output = replace_self(&declaration.output, &block.self_type);
    quote! {
        #attributes
        #head #generics (&self, #(#names: #types),*) -> #private::Call<#output>
        where
            #(for<'trivial> #bounded: #raftobj::serde::Serialize,)*
        {
            <#output as #private::ReplicatedReply>::call(
                &self.core,
                #private::MethodId(#id),
                &(#(#encoded,)*),
            )
        }
    }
}

/// The type that must implement `Serialize` to encode an argument.
///
/// The bound is on the handle's method, below a `for<…>`, without which the compiler refuses a bound that is known to be
/// false. So the compiler reports a type without serde once, in the user's method, because `apply` decodes it; the code
/// that encodes it adds no second error.
fn serialized_type(argument: &Argument, block: &ImplBlock) -> Option<TokenStream> {
    match &argument.kind {
        ArgumentKind::Owned => Some(replace_self(&argument.ty, &block.self_type)),
        ArgumentKind::Reference(ty) | ArgumentKind::Slice(ty) => Some(replace_self(ty, &block.self_type)),
        ArgumentKind::Str | ArgumentKind::Bytes | ArgumentKind::OptionalStr | ArgumentKind::OptionalBytes => {
            None
        }
    }
}

/// An argument as an element of the encoded tuple: always a reference, so that nothing is cloned.
fn encoded_argument(argument: &Argument, private: &TokenStream) -> TokenStream {
    let name = &argument.name;
    match &argument.kind {
        ArgumentKind::Owned => quote!(&#name),
        ArgumentKind::Reference(_)
        | ArgumentKind::Slice(_)
        | ArgumentKind::Str
        | ArgumentKind::OptionalStr => quote!(#name),
        ArgumentKind::Bytes => quote!(#private::ByteSlice(#name)),
        ArgumentKind::OptionalBytes => quote!(::core::option::Option::map(#name, #private::ByteSlice)),
    }
}

fn expand_local(local: &LocalRead, block: &ImplBlock) -> TokenStream {
    let LocalRead { declaration, arguments } = local;
    let self_type = &block.self_type;
    let (names, types): (Vec<_>, Vec<_>) =
        arguments.iter().map(|(name, ty)| (name, replace_self(ty, self_type))).unzip();
    let (attributes, head) = signature_head(declaration, block, "Reads", "from this node's copy");
    let (generics, bounds) = (&declaration.generics, &declaration.generics.where_clause);
    let output = replace_self(&declaration.output, self_type);
    let (ident, guard) = (as_generated(&declaration.ident), hygienic("guard"));
    // The compiler refuses a borrow that the return type hides. This span puts its error at the method's name.
    let at = Span::call_site().located_at(declaration.ident.span());
    let allow_deprecated = declaration.allow_deprecated();
    let read = quote_spanned!(at=> <#self_type>::#ident(&#guard, #(#names),*));
    quote! {
        #attributes
        #allow_deprecated
        #head #generics (&self, #(#names: #types),*) -> #output #bounds {
            let #guard = self.core.read();
            #read
        }
    }
}

/// The attributes of a method, and its signature up to the generics. Both keep the user's locations, to which editors
/// jump. A method without docs gets a line.
fn signature_head(
    declaration: &Declaration,
    block: &ImplBlock,
    verb: &str,
    place: &str,
) -> (TokenStream, TokenStream) {
    let Declaration { ident, attributes, visibility, .. } = declaration;
    let has_docs = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
    let doc = (!has_docs).then(|| {
        let doc = format!("{verb} `{}::{ident}` {place}.", block.name);
        quote!(#[doc = #doc])
    });
    let (visibility, ident) = (as_generated(visibility), as_generated(ident));
    (quote!(#doc #(#attributes)*), quote!(#visibility fn #ident))
}
