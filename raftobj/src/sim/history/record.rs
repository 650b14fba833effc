//! The record of a run: operations, when they began and how they ended.

use std::fmt;

/// Identifies a client. A client's operations overlap only where it started the next one without waiting for a reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.0)
    }
}

/// Orders events: of two events the one with the smaller timestamp came first. Timestamps are only compared, never
/// subtracted, so any counter or clock that all clients share will do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub u64);

/// Identifies an operation of one [`History`]: its position in [`History::operations`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationId(pub usize);

/// How an operation ended, as its client saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome<R> {
    /// It has not ended yet. Checked like `Unknown`; [`none_pending`] finds operations that never end.
    Pending,
    /// It took effect once, between its invocation and `at`, and this was its reply.
    Returned {
        /// What the client received.
        reply: R,
        /// When the client received it.
        at: Timestamp,
    },
    /// It may take effect once, at any time after its invocation, even after all other operations, or never.
    Unknown,
    /// It took no effect and never will.
    Failed,
}

/// One call of one client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation<C, R> {
    /// The client that called.
    pub client: ClientId,
    /// The method and its arguments.
    pub call: C,
    /// When the client sent it.
    pub invoked_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome<R>,
}

/// Operations of many clients on one object, with the order of their invocations and returns.
///
/// During a run, call [`invoke`](History::invoke) before a call is sent, and [`complete`](History::complete),
/// [`mark_unknown`](History::mark_unknown) or [`fail`](History::fail) when its outcome is known: the order of these calls
/// is the order of events. Threads that share a history put it behind a lock and take it twice for each operation. To add
/// operations that were recorded elsewhere, with timestamps of their own, use [`push`](History::push).
///
/// Invariants: an operation returns at or after its invocation; no recorded timestamp is after `now`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History<C, R> {
    operations: Vec<Operation<C, R>>,
    now: Timestamp,
}

impl<C, R> Default for History<C, R> {
    fn default() -> Self {
        Self { operations: Vec::new(), now: Timestamp(0) }
    }
}

impl<C, R> History<C, R> {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that a client starts a call.
    pub fn invoke(&mut self, client: ClientId, call: C) -> OperationId {
        let invoked_at = self.tick();
        self.operations.push(Operation { client, call, invoked_at, outcome: Outcome::Pending });
        OperationId(self.operations.len() - 1)
    }

    /// Records that the call took effect and this was its reply. A reply may come after
    /// [`mark_unknown`](History::mark_unknown): the client had only timed out.
    ///
    /// # Panics
    /// If the operation has returned or failed before: the caller confused two operations.
    pub fn complete(&mut self, operation: OperationId, reply: R) {
        let at = self.tick();
        self.end(operation, Outcome::Returned { reply, at });
    }

    /// Records that it is not known whether the call took effect or will.
    ///
    /// # Panics
    /// If the operation has returned or failed before.
    pub fn mark_unknown(&mut self, operation: OperationId) {
        self.end(operation, Outcome::Unknown);
    }

    /// Records that the call took no effect and never will.
    ///
    /// # Panics
    /// If the operation has returned or failed before.
    pub fn fail(&mut self, operation: OperationId) {
        self.end(operation, Outcome::Failed);
    }

    /// Adds an operation that was recorded elsewhere. Where a return and an invocation have the same timestamp, the two
    /// operations are concurrent.
    ///
    /// # Panics
    /// If it returned before it was invoked.
    pub fn push(&mut self, operation: Operation<C, R>) -> OperationId {
        let mut last = operation.invoked_at;
        if let Outcome::Returned { at, .. } = operation.outcome {
            assert!(operation.invoked_at <= at, "returned at {at:?}, before its invocation at {last:?}");
            last = at;
        }
        self.now = self.now.max(last);
        self.operations.push(operation);
        OperationId(self.operations.len() - 1)
    }

    /// All operations, in the order in which they were added.
    pub fn operations(&self) -> &[Operation<C, R>] {
        &self.operations
    }

    /// One operation.
    ///
    /// # Panics
    /// If the id belongs to another, longer history.
    pub fn operation(&self, id: OperationId) -> &Operation<C, R> {
        &self.operations[id.0]
    }

    /// All operations with their ids, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (OperationId, &Operation<C, R>)> {
        self.operations.iter().enumerate().map(|(i, operation)| (OperationId(i), operation))
    }

    fn tick(&mut self) -> Timestamp {
        self.now.0 += 1;
        self.now
    }

    fn end(&mut self, id: OperationId, outcome: Outcome<R>) {
        let operation = &mut self.operations[id.0];
        let is_open = matches!(operation.outcome, Outcome::Pending | Outcome::Unknown);
        assert!(is_open, "operation {} of {} ends twice", id.0, operation.client);
        operation.outcome = outcome;
    }
}

/// Operations that are still [`Outcome::Pending`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} operations never ended, the first of them {}", .operations.len(), .operations[0].0)]
#[non_exhaustive]
pub struct StillPending {
    /// Their ids, at least one.
    pub operations: Vec<OperationId>,
}

/// No caller waits for ever: each operation ended, if only as [`Outcome::Unknown`].
pub fn none_pending<C, R>(history: &History<C, R>) -> Result<(), StillPending> {
    let pending = history.iter().filter(|(_, operation)| matches!(operation.outcome, Outcome::Pending));
    let operations: Vec<OperationId> = pending.map(|(id, _)| id).collect();
    if operations.is_empty() { Ok(()) } else { Err(StillPending { operations }) }
}
