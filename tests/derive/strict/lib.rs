//! A very strict crate of a user. It denies every lint that generated code could violate, renames raftobj, and shadows
//! the names of the prelude. The test is that it compiles. (Lints that serde's derives allow for themselves are denied,
//! because they cannot be forbidden.)

#![forbid(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    dead_code,
    unused_mut,
    unused_variables,
    unused_imports
)]
#![deny(
    warnings,
    unused,
    deprecated,
    unused_qualifications,
    unused_lifetimes,
    unused_results,
    unnameable_types
)]
#![deny(missing_debug_implementations, single_use_lifetimes, redundant_lifetimes)]
#![deny(trivial_casts, trivial_numeric_casts, elided_lifetimes_in_paths, explicit_outlives_requirements)]
#![deny(non_ascii_idents, let_underscore_drop, unit_bindings, meta_variable_misuse)]
#![deny(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![deny(clippy::allow_attributes, clippy::allow_attributes_without_reason, clippy::indexing_slicing)]

use renamed::{ApplyContext, Replica, replicated};

/// Names that generated code must not resolve to.
pub mod shadows {
    use renamed::replicated;

    /// Not the standard library's.
    #[derive(Debug)]
    pub struct Vec;
    /// Not the standard library's.
    #[derive(Debug)]
    pub struct String;
    /// Not the standard library's.
    #[derive(Debug)]
    pub enum Result {
        /// Not the standard library's.
        Ok,
        /// Not the standard library's.
        Err,
    }
    pub use self::Result::{Err, Ok};
    /// Not the standard library's.
    #[derive(Debug)]
    pub enum Option {
        /// Not the standard library's.
        Some,
        /// Not the standard library's.
        None,
    }
    pub use self::Option::{None, Some};
    /// Not the standard library's.
    pub trait Clone {}
    /// Not the standard library's.
    pub trait Send {}
    /// Not the standard library's.
    pub trait Sync {}
    /// Not the standard library's.
    pub trait Sized {}
    /// Not raftobj's.
    pub trait Object {}
    /// Not raftobj's.
    pub trait Handle {}
    /// Not raftobj's.
    #[derive(Debug)]
    pub struct Core;
    /// Not raftobj's.
    #[derive(Debug)]
    pub struct Method;
    /// Not raftobj's.
    #[derive(Debug)]
    pub struct MethodId;

    /// An object in scope of those names.
    #[replicated(crate = "renamed")]
    #[derive(Debug)]
    pub struct Shadowed {
        /// A count.
        pub count: u64,
    }

    #[replicated(crate = "renamed")]
    impl Shadowed {
        /// Adds.
        #[replicated]
        pub fn add(&mut self, by: u64, text: &str, bytes: &[u8], more: core::option::Option<&[u8]>) -> u64 {
            let more = more.map_or(0, <[u8]>::len);
            self.count +=
                by + [text.len(), bytes.len(), more].iter().fold(0, |sum, n| sum + u64::from(*n > 0));
            self.count
        }

        /// Counts.
        #[must_use]
        pub const fn count(&self) -> u64 {
            self.count
        }
    }
}

/// A map.
#[replicated(crate = "renamed")]
#[derive(Debug, Default)]
pub struct Map<K, V> {
    entries: std::collections::BTreeMap<K, V>,
}

#[replicated(crate = "crate::facade")]
impl<K: Ord, V> Map<K, V>
where
    V: PartialEq,
{
    /// Puts.
    #[replicated]
    pub fn put(&mut self, key: K, value: V, _context: &ApplyContext) -> Option<V> {
        self.entries.insert(key, value)
    }

    /// Takes two.
    #[replicated]
    pub fn take(&mut self, (one, other): (K, K), _: u8) -> Option<(V, V)> {
        self.entries.remove(&one).zip(self.entries.remove(&other))
    }

    #[replicated]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Deprecated, but logs contain it.
    #[deprecated(note = "use `clear`")]
    #[replicated]
    pub fn empty(&mut self) {
        self.entries.clear();
    }

    /// Whether it has a key.
    #[must_use]
    pub fn has<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// Deprecated.
    #[deprecated(note = "use `has`")]
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }
}

/// A private object without users.
mod hidden {
    use renamed::replicated;

    #[replicated(crate = "renamed")]
    #[derive(Debug, Default)]
    pub(crate) struct Hidden(u8);

    #[replicated(crate = "renamed")]
    impl Hidden {
        #[replicated]
        pub(crate) fn set(&mut self, value: u8) {
            self.0 = value;
            self.clear();
        }

        #[replicated]
        fn clear(&mut self) {
            self.0 = 0;
        }
    }
}

/// An object without replicated methods, which causes no warnings of unused code.
#[replicated(crate = "renamed")]
#[derive(Clone, Copy, Debug)]
pub struct Still;

#[replicated(crate = "renamed")]
impl Still {}

/// The user's own path of raftobj.
mod facade {
    pub(crate) use renamed::*;
}

/// Calls the methods of the handles.
pub fn calls(map: &Replica<Map<u8, u16>>, shadowed: &Replica<shadows::Shadowed>) {
    drop(map.put(1, 2));
    drop(map.take((1, 2), 3));
    drop(map.clear());
    drop(shadowed.add(1, "", &[], None));
    let _: (bool, u64) = (map.has(&1), shadowed.count());
    let mut hidden = hidden::Hidden::default();
    hidden.set(1);
}
