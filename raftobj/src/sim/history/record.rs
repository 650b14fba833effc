//! What was recorded: operations, when they began and how they ended.

use std::fmt;

/// Who called. A client's operations may overlap only where it went on without waiting for an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.0)
    }
}

/// A place in the order of events: of two events the one with the smaller point came first. Not a clock: points are
/// only compared, never subtracted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub u64);

/// Names an operation of one [`History`]: its place in [`History::operations`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationId(pub usize);

/// How an operation ended, as its client saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome<R> {
    /// Nothing was heard yet. Checked like `Unknown`; [`none_pending`](super::none_pending) finds what stays so.
    Pending,
    /// It took effect once, between its invocation and `at`, and this was its reply.
    Returned {
        /// What the client was told.
        reply: R,
        /// When it was told.
        at: Timestamp,
    },
    /// It may have taken effect at any time after its invocation, even after everything else, or never.
    Unknown,
    /// It certainly took no effect and never will.
    Failed,
}

/// One call of one client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation<C, R> {
    /// Who called.
    pub client: ClientId,
    /// What was asked.
    pub call: C,
    /// When it was asked.
    pub invoked_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome<R>,
}

/// Operations of many clients on one object, with the order of their beginnings and ends.
///
/// While a run goes on, [`invoke`](History::invoke) before a call is sent and [`complete`](History::complete),
/// [`mark_unknown`](History::mark_unknown) or [`fail`](History::fail) when its end is known: the order of these calls is the
/// order of events. Threads that share a history put it behind a lock and take it twice for each operation. A history
/// that was recorded elsewhere comes in by [`push`](History::push), with points of its own.
///
/// Invariants: an operation returns at or after its invocation; no recorded point is after `now`.
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
    /// A history in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client begins a call.
    pub fn invoke(&mut self, client: ClientId, call: C) -> OperationId {
        let invoked_at = self.tick();
        self.operations.push(Operation { client, call, invoked_at, outcome: Outcome::Pending });
        OperationId(self.operations.len() - 1)
    }

    /// The call took effect and this was its reply. A reply that comes after [`mark_unknown`](History::mark_unknown) is taken too:
    /// the client had only lost its patience.
    ///
    /// # Panics
    /// If the operation has returned or failed before: whoever records mixed two operations up.
    pub fn complete(&mut self, operation: OperationId, reply: R) {
        let at = self.tick();
        self.end(operation, Outcome::Returned { reply, at });
    }

    /// Nobody knows whether the call took effect, or will.
    ///
    /// # Panics
    /// If the operation has returned or failed before.
    pub fn mark_unknown(&mut self, operation: OperationId) {
        self.end(operation, Outcome::Unknown);
    }

    /// The call certainly took no effect and never will.
    ///
    /// # Panics
    /// If the operation has returned or failed before.
    pub fn fail(&mut self, operation: OperationId) {
        self.end(operation, Outcome::Failed);
    }

    /// Adds an operation that was recorded elsewhere. Where a return and an invocation have the same point, the two
    /// operations count as concurrent.
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

    /// All operations, as they were added.
    pub fn operations(&self) -> &[Operation<C, R>] {
        &self.operations
    }

    /// One operation.
    ///
    /// # Panics
    /// If the id is of another, longer history.
    pub fn operation(&self, id: OperationId) -> &Operation<C, R> {
        &self.operations[id.0]
    }

    /// All operations with their ids, as they were added.
    pub fn iter(&self) -> impl Iterator<Item = (OperationId, &Operation<C, R>)> {
        self.operations.iter().enumerate().map(|(i, operation)| (OperationId(i), operation))
    }

    fn tick(&mut self) -> Timestamp {
        self.now.0 += 1;
        self.now
    }

    fn end(&mut self, id: OperationId, outcome: Outcome<R>) {
        let operation = &mut self.operations[id.0];
        let open = matches!(operation.outcome, Outcome::Pending | Outcome::Unknown);
        assert!(open, "operation {} of {} ends twice", id.0, operation.client);
        operation.outcome = outcome;
    }
}
