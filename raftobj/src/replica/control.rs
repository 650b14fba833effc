//! The node behind a replica: status, log, end.

use super::wait::block_on;
use crate::driver::Engine;
use crate::driver::mailbox::Event;
use crate::node::status::Status;
use crate::object::Object;
use crate::object::describe::describe;
use crate::object::lock::StateLock;
use crate::raft::types::{Entry, Index, Term, Time};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// The node behind a replica.
pub struct NodeControl<'a, T: Object> {
    engine: &'a Engine,
    state: &'a StateLock<T>,
}

/// An entry of the log, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEntry {
    /// Its position.
    pub index: Index,
    /// The term in which a leader made it.
    pub term: Term,
    /// The leader's clock then.
    pub time: Time,
    /// What it says: `set("a", "1")`, or `no-op`; cut after 1,000 characters.
    pub description: String,
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.index, self.term, self.description)
    }
}

impl<'a, T: Object> NodeControl<'a, T> {
    pub(super) fn new(engine: &'a Engine, state: &'a StateLock<T>) -> NodeControl<'a, T> {
        NodeControl { engine, state }
    }

    /// The node at this moment. Blocks for one turn of the engine; after the node's end it is its last status.
    pub fn status(&self) -> Status {
        let (reply, answer) = oneshot::channel();
        let asked = self.engine.mailbox().put(Event::Status(reply));
        match asked.is_ok().then(|| block_on(answer)) {
            Some(Ok(status)) => status,
            _ => self.engine.last_status(),
        }
    }

    /// Follows the node's status: a value at every change of role, leader or term, and at most one a tick while
    /// indexes grow.
    pub fn watch_status(&self) -> StatusWatch {
        StatusWatch { receiver: self.engine.watch() }
    }

    /// The last `count` entries of this node's log, committed or not, oldest first. Empty after the node's end.
    pub fn last_entries(&self, count: usize) -> Vec<LogEntry> {
        let (reply, answer) = oneshot::channel();
        let asked = self.engine.mailbox().put(Event::Log { count, reply });
        let entries = match asked.is_ok().then(|| block_on(answer)) {
            Some(Ok(entries)) => entries,
            _ => Vec::new(),
        };
        let line = |entry: Entry| {
            let mut description = describe::<T>(&entry);
            if let Some((end, _)) = description.char_indices().nth(DESCRIPTION_CHARS_MAX) {
                description.truncate(end);
                description.push('…');
            }
            LogEntry { index: entry.id.index, term: entry.id.term, time: entry.time, description }
        };
        entries.into_iter().map(line).collect()
    }

    /// Ends the node: its calls end, its files are closed, its threads are gone when this returns. The object can
    /// still be read.
    ///
    /// On a thread that holds a read guard of the object, and in a replicated method, it only begins the end:
    /// the node's threads need the object, and are gone soon after it is free.
    pub fn shutdown(&self) {
        match self.state.id().is_held() {
            true => self.engine.begin_shutdown(),
            false => self.engine.shutdown(),
        }
    }
}

/// Longer arguments are cut in [`LogEntry::description`].
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// A node's status as it changes.
#[derive(Clone, Debug)]
pub struct StatusWatch {
    receiver: watch::Receiver<Arc<Status>>,
}

impl StatusWatch {
    /// The latest status.
    pub fn status(&mut self) -> Arc<Status> {
        self.receiver.borrow_and_update().clone()
    }

    /// Waits for a status that was not seen yet; `None` when the node has ended and its last one was seen.
    pub async fn changed(&mut self) -> Option<Arc<Status>> {
        self.receiver.changed().await.ok()?;
        Some(self.status())
    }

    /// As [`changed`](StatusWatch::changed), from code without an async runtime.
    pub fn wait(&mut self) -> Option<Arc<Status>> {
        block_on(self.changed())
    }
}
