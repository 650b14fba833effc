//! A replicated call on its way, and how to wait for it.

use super::wait::block_on;
use crate::calls::outcome::{
    AppliedReason, CallError, Committed, NotAppliedReason, Outcome, Retry, UnknownReason,
};
#[cfg(any(test, feature = "sim"))]
use crate::codec::method::MethodId;
use crate::driver::mailbox::{CallTicket, Mailbox};
use crate::object::lock::LockId;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// A replicated call on its way.
///
/// It was encoded and queued, in program order, when the method was called, and its deadline runs from then.
/// Await it, or [`wait`](Call::wait) for it from code without an async runtime. Dropping it does not cancel it:
/// the call still takes effect, but nobody learns its outcome.
#[must_use = "await it, or `.wait()` for it; dropped, it still takes effect but nobody learns its outcome"]
pub struct Call<R> {
    state: State,
    reply: PhantomData<fn() -> R>,
}

enum State {
    /// It ended before it was queued.
    Ended(CallError),
    /// It was not made: a simulator's client asks what it would be.
    #[cfg(any(test, feature = "sim"))]
    Recorded {
        method: MethodId,
        arguments: Bytes,
    },
    Queued {
        outcome: oneshot::Receiver<Outcome>,
        ticket: CallTicket,
        engine: Arc<Mailbox>,
        lock: LockId,
    },
}

impl<R: DeserializeOwned> Call<R> {
    pub(crate) fn ended(error: CallError) -> Call<R> {
        Call { state: State::Ended(error), reply: PhantomData }
    }

    pub(crate) fn queued(
        outcome: oneshot::Receiver<Outcome>,
        ticket: CallTicket,
        engine: Arc<Mailbox>,
        lock: LockId,
    ) -> Call<R> {
        Call { state: State::Queued { outcome, ticket, engine, lock }, reply: PhantomData }
    }

    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn recorded(method: MethodId, arguments: Bytes) -> Call<R> {
        Call { state: State::Recorded { method, arguments }, reply: PhantomData }
    }

    /// The method and its encoded arguments, where nothing but telling them was wanted.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn into_recorded(self) -> Option<(MethodId, Bytes)> {
        match self.state {
            State::Recorded { method, arguments } => Some((method, arguments)),
            State::Ended(_) | State::Queued { .. } => None,
        }
    }

    /// Sets another deadline than the default, counted from when the call was made.
    pub fn deadline(self, deadline: Duration) -> Call<R> {
        if let State::Queued { ticket, engine, .. } = &self.state {
            engine.set_deadline(*ticket, deadline);
        }
        self
    }

    /// Blocks this thread until the call has ended: at its deadline at the latest.
    ///
    /// # Errors
    /// As awaiting it; and [`UnknownReason::UnderGuard`] at once where this thread holds a read guard of the
    /// object, because the call cannot be applied here before the guard is dropped. It was queued, and like one
    /// that is dropped it takes effect later.
    pub fn wait(self) -> Result<Committed<R>, CallError> {
        if let State::Queued { lock, .. } = &self.state
            && lock.is_held()
        {
            return Err(CallError::Unknown { reason: UnknownReason::UnderGuard });
        }
        block_on(self.into_future())
    }
}

impl<R: DeserializeOwned> IntoFuture for Call<R> {
    type Output = Result<Committed<R>, CallError>;
    type IntoFuture = CallFuture<R>;

    fn into_future(self) -> CallFuture<R> {
        CallFuture { state: self.state, reply: PhantomData }
    }
}

/// The future of a [`Call`].
pub struct CallFuture<R> {
    state: State,
    reply: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Future for CallFuture<R> {
    type Output = Result<Committed<R>, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            State::Ended(error) => Err(error.clone()),
            #[cfg(any(test, feature = "sim"))]
            State::Recorded { .. } => unreachable!("a recorded call is never awaited"),
            State::Queued { outcome, .. } => match Pin::new(outcome).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(outcome)) => outcome,
                // The engine ends every call it knows of; it is gone without doing so only if it panicked.
                Poll::Ready(Err(_)) => {
                    Err(CallError::Unknown { reason: UnknownReason::Stopped("its engine is gone".into()) })
                }
            },
        };
        Poll::Ready(outcome.and_then(decode_reply))
    }
}

/// Decodes a reply, to its last byte.
pub(crate) fn decode_reply<R: DeserializeOwned>(
    committed: Committed<Bytes>,
) -> Result<Committed<R>, CallError> {
    let Committed { value, index, term } = committed;
    let lost = |reason: String| CallError::Applied { index, reason: AppliedReason::Decode(reason) };
    match postcard::take_from_bytes::<R>(&value) {
        Ok((value, [])) => Ok(Committed { value, index, term }),
        Ok((_, rest)) => Err(lost(format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(lost(error.to_string())),
    }
}

/// The arguments of a call do not encode.
pub(crate) fn does_not_encode<R: DeserializeOwned>(error: &postcard::Error) -> Call<R> {
    Call::ended(CallError::NotApplied {
        reason: NotAppliedReason::Encode(error.to_string()),
        retry: Retry::Never,
    })
}
