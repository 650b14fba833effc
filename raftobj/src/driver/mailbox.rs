//! How other threads reach the event loop: one queue, drained whole, and one wake-up.
//!
//! Bounds: calls that have not ended are counted, and a call beyond the limit ends at once with
//! [`NotAppliedReason::QueueFull`]. Events of the node's own threads are bounded by the work that the event loop gives
//! them.

use crate::calls::CallId;
use crate::calls::limits::QueueLimits;
use crate::calls::outcome::{CallError, NotAppliedReason, Outcome, ReadError, Retry};
use crate::codec::method::MethodId;
use crate::node::status::Status;
use crate::node::{FoundingWrite, LogPage};
use crate::object::machine::Applied;
use crate::raft::PersistId;
use crate::raft::types::Entry;
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// Something that happened on another thread.
pub(crate) enum Event {
    /// A caller submits a call.
    Call(CallRequest),
    /// A caller sets another deadline.
    Deadline { call: CallId, time_left: Duration },
    /// A caller asks for a linearizable read.
    Read { deadline: Duration, reply: oneshot::Sender<Result<(), ReadError>> },
    /// A caller asks for the status.
    Status(oneshot::Sender<Status>),
    /// A caller asks for a part of the log.
    Log { page: LogPage, reply: oneshot::Sender<Option<Vec<Entry>>> },
    /// The WAL thread has made all writes up to this one durable.
    Persisted(PersistId),
    /// The WAL thread has made a step of the founding durable.
    FoundingWritten(FoundingWrite),
    /// The apply thread has applied entries.
    Applied(Applied),
    /// The WAL thread has found the disk nearly full, or with space again.
    DiskSpace { is_short: bool },
    /// A thread of the node has failed, and the node cannot go on.
    Failed(String),
    /// The user shuts the node down.
    Shutdown,
}

/// A call on its way to the event loop.
pub(crate) struct CallRequest {
    pub(crate) id: CallId,
    pub(crate) method: MethodId,
    pub(crate) arguments: Bytes,
    pub(crate) submitted_at: Instant,
    pub(crate) reply: oneshot::Sender<Outcome>,
}

/// Identifies a call that was submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTicket {
    id: CallId,
    submitted_at: Instant,
}

impl Event {
    /// The event loop has ended: sends an error to the caller that waits, if any.
    pub(crate) fn reject(self, reason: &str) {
        match self {
            Event::Call(request) => {
                let reason = NotAppliedReason::Stopped(reason.to_owned());
                send_reply(request.reply, Err(CallError::NotApplied { reason, retry: Retry::Elsewhere }));
            }
            Event::Read { reply, .. } => send_reply(reply, Err(ReadError::Stopped(reason.to_owned()))),
            // A caller that asks for the status or the log sees its sender dropped.
            _ => {}
        }
    }
}

/// Sends a reply. The receiver may be gone.
pub(crate) fn send_reply<T>(sender: oneshot::Sender<T>, reply: T) {
    catch_waker_panic(|| drop(sender.send(reply)));
}

/// Runs code that calls wakers.
///
/// NB: a waker is the user's code, and runs on our thread. If it panics, that must end neither the node nor, while
/// another panic unwinds, the process.
pub(crate) fn catch_waker_panic(wake: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(wake)).is_err() {
        tracing::error!("a waker of this program panicked; the task that it belongs to may wait for ever");
    }
}

/// The events that the event loop has not handled yet.
pub(crate) struct Mailbox {
    queue: Mutex<EventQueue>,
    filled: Notify,
    next_call: AtomicU64,
    /// Calls that have not ended, and the bytes of their arguments.
    open_calls: AtomicUsize,
    open_bytes: AtomicUsize,
    limits: QueueLimits,
}

#[derive(Default)]
struct EventQueue {
    events: Vec<Event>,
    /// Why nobody drains it any more, once the event loop has ended.
    closed: Option<String>,
}

impl Mailbox {
    /// `limits` bounds the calls that have not ended.
    pub(crate) fn new(limits: QueueLimits) -> Mailbox {
        Mailbox {
            queue: Mutex::default(),
            filled: Notify::new(),
            next_call: AtomicU64::new(1),
            open_calls: AtomicUsize::new(0),
            open_bytes: AtomicUsize::new(0),
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
        let calls = self.open_calls.fetch_add(1, Ordering::Relaxed);
        let held = self.open_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(error) = self.limits.check(calls, held, bytes) {
            self.call_ended(bytes);
            return Err(error);
        }
        let id = CallId(self.next_call.fetch_add(1, Ordering::Relaxed));
        let (reply, outcome) = oneshot::channel();
        let submitted_at = Instant::now();
        let request = CallRequest { id, method, arguments, submitted_at, reply };
        match self.put(Event::Call(request)) {
            Ok(()) => Ok((CallTicket { id, submitted_at }, outcome)),
            Err(reason) => {
                self.call_ended(bytes);
                let reason = NotAppliedReason::Stopped(reason);
                Err(CallError::NotApplied { reason, retry: Retry::Elsewhere })
            }
        }
    }

    /// A call of `bytes` has ended, and makes room for others.
    pub(crate) fn call_ended(&self, bytes: usize) {
        self.open_calls.fetch_sub(1, Ordering::Relaxed);
        self.open_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Sets a call's deadline, counted from when it was submitted. Does nothing to a call that has ended.
    pub(crate) fn set_deadline(&self, call: CallTicket, deadline: Duration) {
        let time_left = deadline.saturating_sub(call.submitted_at.elapsed());
        let _ = self.put(Event::Deadline { call: call.id, time_left });
    }

    /// Adds an event and wakes the event loop. Fails with the reason where the event loop has ended.
    pub(crate) fn put(&self, event: Event) -> Result<(), String> {
        let mut queue = self.lock();
        if let Some(reason) = &queue.closed {
            return Err(reason.clone());
        }
        let first = queue.events.is_empty();
        queue.events.push(event);
        drop(queue);
        if first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves all events into `events`, which is empty.
    pub(crate) fn drain(&self, events: &mut Vec<Event>) {
        debug_assert!(events.is_empty(), "{} events would be lost", events.len());
        std::mem::swap(&mut self.lock().events, events);
    }

    /// Waits until there may be events.
    pub(crate) async fn wait_filled(&self) {
        self.filled.notified().await;
    }

    /// Takes no more events, and returns those that were not drained.
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
