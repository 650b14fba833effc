//! Tests of the attribute as a function of tokens: the exact code that it generates, and what it leaves unchanged.

use super::check::reserved;
use super::expand_attribute;
use proc_macro2::TokenStream;
use quote::quote;
use std::path::Path;

/// Compares with a file in `golden/`; `UPDATE_GOLDENFILES=1 cargo test -p raftobj-derive` writes it instead.
fn assert_golden(file: &str, expansions: &[TokenStream]) {
    let tokens = quote!(#(#expansions)*);
    let syntax = syn::parse2(tokens).expect("the expansion parses");
    let actual = prettyplease::unparse(&syntax);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &actual).expect("the golden file is writable");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file is there");
    assert_eq!(
        expected,
        actual,
        "{} differs; read the difference, then set UPDATE_GOLDENFILES=1",
        path.display()
    );
}

/// If it fails: the generated code has changed.
#[test]
fn a_map_expands_to_the_golden_file() {
    let structure = expand_attribute(
        quote!(),
        quote! {
            #[derive(Default)]
            pub struct KvStorage { data: BTreeMap<String, String> }
        },
    );
    let block = expand_attribute(
        quote!(),
        quote! {
            impl KvStorage {
                /// Sets a key and returns the value it had.
                #[replicated]
                pub fn set(&mut self, key: String, value: String) -> Option<String> {
                    self.data.insert(key, value)
                }

                #[replicated(name = "compare_and_set")]
                pub fn cas(&mut self, key: &str, old: Option<&str>, new: &[u8]) -> Result<(), CasError> { self.only_expanded() }

                #[replicated]
                fn clear(&mut self) { self.data.clear() }

                /// The value of a key.
                pub fn get(&self, key: &str) -> Option<String> { self.data.get(key).cloned() }

                pub fn first(&self) -> Option<&str> { None }
                pub fn new() -> Self { Self::default() }
            }
        },
    );
    assert_golden("kv_storage.rs", &[structure, block]);
}

/// If it fails: the generated code of generic objects has changed.
#[test]
fn a_generic_map_expands_to_the_golden_file() {
    let structure = expand_attribute(
        quote!(crate = "other::raftobj"),
        quote! {
            pub struct Map<K, V> where K: Ord { entries: BTreeMap<K, V>, count: u64 }
        },
    );
    let block = expand_attribute(
        quote!(crate = "other::raftobj"),
        quote! {
            #[cfg(feature = "maps")]
            impl<K: Ord, V> Map<K, V> where Self: Sized {
                #[replicated]
                #[cfg(feature = "stamps")]
                #[deprecated = "use put"]
                pub(crate) fn stamp(&mut self, at: &ApplyContext, (key, mut value): (K, V), others: &[V], of: &Self, _: u8) -> Option<V> { self.only_expanded() }

                pub fn count<Q: Ord>(&self, keys: impl Iterator<Item = Q>) -> usize where K: Borrow<Q> { self.only_expanded() }
            }
        },
    );
    assert_golden("map.rs", &[structure, block]);
}

/// If it fails: a body with new or unfinished syntax breaks the whole block.
#[test]
fn bodies_are_not_parsed() {
    let expanded = expand_attribute(
        quote!(),
        quote! {
            impl Odd {
                const LIMITS: Limits = Limits { most: 3 };
                made_by! { fn a() {} }
                #[replicated]
                fn set(&mut self) { let = yield @ => ; }
            }
        },
    );
    let text = expanded.to_string();
    assert!(!text.contains("compile_error"), "{text}");
    assert!(text.contains("let = yield @ => ;"), "{text}");
}

/// If it fails: one mistake removes the user's item, and every use of the item is an error too.
#[test]
fn the_users_item_is_emitted_despite_errors() {
    for item in [
        quote!(
            struct Borrows<'a> {
                text: &'a str,
            }
        ),
        quote!(
            impl Odd {
                async fn set(&mut self) {}
            }
        ),
        quote!(
            impl Display for Odd {
                fn fmt(&self) {}
            }
        ),
        quote!(
            impl Odd {
                fn set(,) {}
            }
        ),
        quote!(
            fn free() {}
        ),
        quote!(
            enum Choice {
                A,
            }
        ),
    ] {
        let text = expand_attribute(quote!(unknown = 1), item.clone()).to_string();
        assert!(text.starts_with(&item.to_string()), "{text}");
        assert!(text.contains("compile_error"), "{text}");
    }
}

/// If it fails: users fix one mistake, compile, and only then see the next.
#[test]
fn all_errors_of_a_block_are_reported_at_once() {
    let expanded = expand_attribute(
        quote!(nonsense = 1),
        quote! {
            impl Odd {
                #[replicated] async fn a(self, x: &mut u8, y: impl Into<u8>) -> &str { "" }
                #[replicated] fn b(&self) {}
                #[replicated] fn read(&mut self) {}
                #[replicated] fn good(&mut self) {}
            }
        },
    );
    let text = expanded.to_string();
    assert_eq!(text.matches("compile_error").count(), 8, "{text}");
    assert!(text.contains("\"good\""), "the method without an error is generated: {text}");
}

/// If it fails: a method with such a name can never be called, because `Replica` has one of its own.
#[test]
fn names_that_replica_has_itself_are_refused() {
    let of_traits = "clone clone_from into try_into borrow borrow_mut to_owned clone_into type_id deref";
    for name in of_traits.split_whitespace().chain(reserved::REPLICA_METHODS.iter().copied()) {
        let ident = quote::format_ident!("{name}");
        for method in [quote!(#[replicated] fn #ident(&mut self) {}), quote!(fn #ident(&self) {})] {
            let text = expand_attribute(quote!(), quote!(impl Odd { #method })).to_string();
            assert_eq!(text.matches("compile_error").count(), 1, "{name}: {text}");
        }
        // The handle gets neither of these, so they may have the name.
        for method in
            [quote!(#[replicated(local = false)] fn #ident(&self) {}), quote!(fn #ident(&mut self) {})]
        {
            let text = expand_attribute(quote!(), quote!(impl Odd { #method })).to_string();
            assert!(!text.contains("compile_error"), "{name}: {text}");
        }
    }
}

/// If it fails: a method of `Replica` hides a user's method, or a name is reserved for nothing.
#[test]
fn the_reserved_names_are_the_methods_of_replica() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../raftobj/src/replica");
    let mut methods = Vec::new();
    let entries = std::fs::read_dir(folder).expect("the folder of `Replica`");
    let paths = entries.map(|entry| entry.expect("it is readable").path());
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let source = std::fs::read_to_string(path).expect("it is readable");
        for item in syn::parse_file(&source).expect("it parses").items {
            methods.extend(methods_of_replica(&item));
        }
    }
    methods.sort();
    assert_eq!(methods, reserved::REPLICA_METHODS);
}

/// The public methods of an inherent impl block of `Replica`.
fn methods_of_replica(item: &syn::Item) -> Vec<String> {
    let syn::Item::Impl(block) = item else { return Vec::new() };
    let is_replica = matches!(&*block.self_ty, syn::Type::Path(path)
        if path.path.segments.last().is_some_and(|last| last.ident == "Replica"));
    if !is_replica || block.trait_.is_some() {
        return Vec::new();
    }
    let functions = block.items.iter().filter_map(|item| match item {
        syn::ImplItem::Fn(function) => Some(function),
        _ => None,
    });
    functions
        .filter(|function| {
            matches!(function.vis, syn::Visibility::Public(_)) && function.sig.receiver().is_some()
        })
        .map(|function| function.sig.ident.to_string())
        .collect()
}

/// If it fails: an attribute in the wrong place is silently removed.
#[test]
fn only_attributes_of_a_blocks_items_are_removed() {
    for item in [
        quote!(
            struct Odd {
                #[replicated]
                field: u8,
            }
        ),
        quote!(
            fn free() {
                #[replicated]
                struct Inner;
            }
        ),
    ] {
        let text = expand_attribute(quote!(), item).to_string();
        assert!(text.contains("# [replicated]"), "{text}");
    }
}
