//! Calls that are not sent yet.

use super::window::Pending;
use std::collections::BTreeMap;

/// First in, first out. A call has one position until it leaves; positions only grow.
#[derive(Clone, Debug, Default)]
pub(super) struct CallQueue {
    waiting: BTreeMap<u64, Pending>,
    next: u64,
    bytes: usize,
}

impl CallQueue {
    pub(super) fn calls(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a call at the end and returns its position.
    pub(super) fn push(&mut self, pending: Pending) -> u64 {
        let position = self.next;
        self.next += 1;
        self.bytes += pending.bytes();
        self.waiting.insert(position, pending);
        position
    }

    /// Removes the first call if it may leave.
    pub(super) fn pop_if(&mut self, may_leave: impl FnOnce(&Pending) -> bool) -> Option<Pending> {
        let first = self.waiting.first_entry()?;
        if !may_leave(first.get()) {
            return None;
        }
        let pending = first.remove();
        self.bytes -= pending.bytes();
        Some(pending)
    }

    pub(super) fn remove(&mut self, position: u64) {
        let pending = self.waiting.remove(&position).expect("a call leaves the queue once");
        self.bytes -= pending.bytes();
    }

    /// An upper bound of the calls ahead of a position: some of them may have left.
    pub(super) fn ahead(&self, position: u64) -> usize {
        let first = self.waiting.first_key_value().map_or(position, |(first, _)| *first);
        usize::try_from(position - first).unwrap_or(usize::MAX).min(self.waiting.len())
    }

    #[cfg(test)]
    pub(super) fn at(&self, position: u64) -> Option<super::config::CallId> {
        self.waiting.get(&position).map(|pending| pending.call)
    }
}
