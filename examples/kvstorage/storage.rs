//! The replicated object, as a user of raftobj writes it.

use raftobj::replicated;
use std::collections::BTreeMap;

/// A dictionary of strings.
#[replicated]
#[derive(Default, PartialEq)]
pub(crate) struct KvStorage {
    data: BTreeMap<String, String>,
}

#[replicated]
impl KvStorage {
    /// Sets a key and returns the value it had.
    #[replicated]
    pub(crate) fn set(&mut self, key: String, value: String) -> Option<String> {
        self.data.insert(key, value)
    }

    /// Removes a key and returns the value it had.
    #[replicated]
    pub(crate) fn pop(&mut self, key: &str) -> Option<String> {
        self.data.remove(key)
    }

    /// The value of a key, on this node.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.data.get(key).cloned()
    }
}
