//! The node of a replica: its status, its log, its shutdown.

use super::wait::block_on;
use crate::driver::Engine;
use crate::driver::mailbox::Event;
use crate::node::LogPage;
use crate::node::status::Status;
use crate::object::Object;
use crate::object::describe::describe;
use crate::object::lock::StateLock;
use crate::raft::types::{Entry, Index, Term, Time};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// The node of a replica.
pub struct NodeControl<'a, T: Object> {
    engine: &'a Engine,
    state: &'a StateLock<T>,
}

/// An entry of the log, in readable form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEntry {
    /// Its index.
    pub index: Index,
    /// Its term: that of the leader which appended it.
    pub term: Term,
    /// The clock of that leader when it appended the entry.
    pub time: Time,
    /// The call, as `set("a", "1")`, or `no-op`. Cut after 1,000 characters.
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

    /// The current status. Blocks for one turn of the engine. After the node's end, its last status.
    pub fn status(&self) -> Status {
        let (reply, status) = oneshot::channel();
        let submitted = self.engine.mailbox().put(Event::Status(reply));
        match submitted.is_ok().then(|| block_on(status)) {
            Some(Ok(status)) => status,
            _ => self.engine.last_status(),
        }
    }

    /// Watches the status: a new value at every change of role, leader or term, and at most one per tick while indexes
    /// grow.
    pub fn watch_status(&self) -> StatusWatch {
        StatusWatch { receiver: self.engine.watch() }
    }

    /// The last `count` entries of this node's log, committed or not, oldest first. Empty after the node's end.
    ///
    /// It takes memory for so many entries, and reads them in parts, between which the node goes on. If entries that were
    /// read are replaced meanwhile, which happens to uncommitted ones, it begins again.
    pub fn last_entries(&self, count: usize) -> Vec<LogEntry> {
        let mut entries: Vec<Entry> = Vec::new();
        while entries.len() < count {
            let left = count - entries.len();
            let page = entries.last().map_or(LogPage::Last(left), |last| LogPage::After(last.id, left));
            match self.log_page(page) {
                Some(next) if next.is_empty() => break,
                Some(next) => entries.extend(next),
                None => entries.clear(),
            }
        }
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

    /// A part of the log; nothing after the node's end.
    fn log_page(&self, page: LogPage) -> Option<Vec<Entry>> {
        let (reply, entries) = oneshot::channel();
        let submitted = self.engine.mailbox().put(Event::Log { page, reply });
        match submitted.is_ok().then(|| block_on(entries)) {
            Some(Ok(entries)) => entries,
            _ => Some(Vec::new()),
        }
    }

    /// Shuts the node down: its calls end, its files are closed, and its threads have ended when this returns. The object
    /// can still be read.
    ///
    /// On a thread that holds a read guard of the object, and in a replicated method, it returns at once: the node's
    /// threads need the object, and end soon after it is free.
    pub fn shutdown(&self) {
        match self.state.id().is_held() {
            true => self.engine.begin_shutdown(),
            false => self.engine.shutdown(),
        }
    }
}

/// Longer arguments are cut in [`LogEntry::description`].
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// The status of a node, as it changes.
#[derive(Clone, Debug)]
pub struct StatusWatch {
    receiver: watch::Receiver<Arc<Status>>,
}

impl StatusWatch {
    /// The latest status.
    pub fn status(&mut self) -> Arc<Status> {
        self.receiver.borrow_and_update().clone()
    }

    /// Waits for a status that was not returned yet. `None` once the node has ended and its last status was returned.
    pub async fn changed(&mut self) -> Option<Arc<Status>> {
        self.receiver.changed().await.ok()?;
        Some(self.status())
    }

    /// [`changed`](StatusWatch::changed), in code without an async runtime.
    pub fn wait_changed(&mut self) -> Option<Arc<Status>> {
        block_on(self.changed())
    }
}
