//! How other threads reach the engine: one queue, drained whole, and one wake-up.
//!
//! Bounds: calls that were made and have not ended are counted, and one beyond the limit ends at once with
//! [`NotAppliedReason::QueueFull`]. What the engine's own threads put in is bounded by what it gave them.

use crate::calls::CallId;
use crate::calls::limits::QueueLimits;
use crate::calls::outcome::{CallError, NotAppliedReason, Outcome, ReadError, Retry};
use crate::codec::method::MethodId;
use crate::node::FoundingWrite;
use crate::node::status::Status;
use crate::object::machine::Applied;
use crate::raft::PersistId;
use crate::raft::types::Entry;
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// What happened elsewhere.
pub(crate) enum Event {
    /// A caller makes a call.
    Call(CallRequest),
    /// A caller sets another deadline.
    Deadline { call: CallId, left: Duration },
    /// A caller asks for a linearizable read.
    Read { deadline: Duration, done: oneshot::Sender<Result<(), ReadError>> },
    /// Someone asks how the node is.
    Status(oneshot::Sender<Status>),
    /// Someone asks for the last entries of the log.
    Log { count: usize, done: oneshot::Sender<Vec<Entry>> },
    /// The log's thread has made a write durable.
    Persisted(PersistId),
    /// The log's thread has made a step of the founding durable.
    FoundingWritten(FoundingWrite),
    /// The apply thread has applied entries.
    Applied(Applied),
    /// A thread of the node cannot go on.
    Failed(String),
    /// The node is to end.
    Shutdown,
}

/// A call on its way to the engine.
pub(crate) struct CallRequest {
    pub(crate) id: CallId,
    pub(crate) method: MethodId,
    pub(crate) arguments: Bytes,
    pub(crate) made: Instant,
    pub(crate) done: oneshot::Sender<Outcome>,
}

/// Names a call to the engine, and when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTicket {
    id: CallId,
    made: Instant,
}

impl Event {
    /// The engine has ended: whoever waits for an answer is told.
    pub(crate) fn refuse(self, reason: &str) {
        match self {
            Event::Call(request) => {
                let reason = NotAppliedReason::Stopped(reason.to_owned());
                tell(request.done, Err(CallError::NotApplied { reason, retry: Retry::Elsewhere }));
            }
            Event::Read { done, .. } => tell(done, Err(ReadError::Stopped(reason.to_owned()))),
            // Their senders are dropped, which is an answer too; the others have none.
            _ => {}
        }
    }
}

/// Answers whoever asked; they may have gone.
pub(crate) fn tell<T>(done: oneshot::Sender<T>, answer: T) {
    wake(|| drop(done.send(answer)));
}

/// Does something that wakes others.
///
/// NB: a waker is its owner's code, and runs on our thread. If it panics, that must end neither the node nor, while
/// another panic unwinds, the process.
pub(crate) fn wake(others: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(others)).is_err() {
        tracing::error!("a waker of this program panicked; whoever it belongs to may wait for ever");
    }
}

/// The queue.
pub(crate) struct Mailbox {
    queue: Mutex<EventQueue>,
    wake: Notify,
    next_call: AtomicU64,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    limits: QueueLimits,
}

#[derive(Default)]
struct EventQueue {
    events: Vec<Event>,
    /// Why nobody drains it any more.
    closed: Option<String>,
}

impl Mailbox {
    /// `limits` bounds the calls that have not ended.
    pub(crate) fn new(limits: QueueLimits) -> Mailbox {
        Mailbox {
            queue: Mutex::default(),
            wake: Notify::new(),
            next_call: AtomicU64::new(1),
            calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            limits,
        }
    }

    /// Submits a call. Calls of one thread are taken in the order in which it submits them.
    pub(crate) fn submit(
        &self,
        method: MethodId,
        arguments: Bytes,
    ) -> Result<(CallTicket, oneshot::Receiver<Outcome>), CallError> {
        let bytes = arguments.len();
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(error) = self.limits.check(calls, held, bytes) {
            self.call_ended(bytes);
            return Err(error);
        }
        let id = CallId(self.next_call.fetch_add(1, Ordering::Relaxed));
        let (done, outcome) = oneshot::channel();
        let made = Instant::now();
        let request = CallRequest { id, method, arguments, made, done };
        match self.put(Event::Call(request)) {
            Ok(()) => Ok((CallTicket { id, made }, outcome)),
            Err(reason) => {
                self.call_ended(bytes);
                let reason = NotAppliedReason::Stopped(reason);
                Err(CallError::NotApplied { reason, retry: Retry::Elsewhere })
            }
        }
    }

    /// A call of `bytes` has ended; its place is free.
    pub(crate) fn call_ended(&self, bytes: usize) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Sets a call's deadline, counted from when it was made. A call that has ended does not mind.
    pub(crate) fn set_deadline(&self, call: CallTicket, deadline: Duration) {
        let left = deadline.saturating_sub(call.made.elapsed());
        let _ = self.put(Event::Deadline { call: call.id, left });
    }

    /// Puts an event in and wakes the engine; errs with the reason where the engine has ended.
    pub(crate) fn put(&self, event: Event) -> Result<(), String> {
        let mut queue = self.lock();
        if let Some(reason) = &queue.closed {
            return Err(reason.clone());
        }
        let first = queue.events.is_empty();
        queue.events.push(event);
        drop(queue);
        if first {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes all events, into a buffer that is empty.
    pub(crate) fn drain(&self, events: &mut Vec<Event>) {
        debug_assert!(events.is_empty(), "{} events would be lost", events.len());
        std::mem::swap(&mut self.lock().events, events);
    }

    /// Returns when there may be events.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes nothing any more, and gives back what was not drained.
    pub(crate) fn close(&self, reason: &str) -> Vec<Event> {
        let mut queue = self.lock();
        queue.closed.get_or_insert_with(|| reason.to_owned());
        std::mem::take(&mut queue.events)
    }

    fn lock(&self) -> MutexGuard<'_, EventQueue> {
        // A panic between two lines of this file leaves the queue whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
