//! A replicated call in progress, and how to wait for it.

use super::submit::SubmittedCall;
use super::wait::block_on;
use crate::calls::outcome::{CallError, Committed, NoReplyReason, NotAppliedReason, Retry, UnknownReason};
use crate::object::lock::LockId;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A replicated call in progress.
///
/// It was encoded and submitted, in program order, when the method was called, and its deadline is counted from then.
/// Await it, or [`wait`](Call::wait) for it in code without an async runtime. Dropping it does not cancel it: the call
/// still takes effect, but nobody learns its outcome.
#[must_use = "await it, or `.wait()` for it; dropped, it still takes effect but nobody learns its outcome"]
pub struct Call<R> {
    state: State,
    reply: PhantomData<fn() -> R>,
}

enum State {
    /// It ended before it was submitted.
    Ended(CallError),
    /// The engine has it, or will take it from its mailbox.
    Submitted { call: SubmittedCall, lock: LockId },
}

impl<R: DeserializeOwned> Call<R> {
    pub(crate) fn ended(error: CallError) -> Call<R> {
        Call { state: State::Ended(error), reply: PhantomData }
    }

    /// The arguments do not encode.
    pub(crate) fn not_encodable(error: &postcard::Error) -> Call<R> {
        let reason = NotAppliedReason::Encode(error.to_string());
        Call::ended(CallError::NotApplied { reason, retry: Retry::Never })
    }

    pub(crate) fn submitted(call: SubmittedCall, lock: LockId) -> Call<R> {
        Call { state: State::Submitted { call, lock }, reply: PhantomData }
    }

    /// Sets another deadline than [`Options::call_deadline`](crate::Options::call_deadline), counted from when the method
    /// was called.
    pub fn deadline(self, deadline: Duration) -> Call<R> {
        if let State::Submitted { call, .. } = &self.state {
            call.mailbox.set_deadline(call.ticket, deadline);
        }
        self
    }

    /// Blocks this thread until the call has ended, at its deadline at the latest.
    ///
    /// # Errors
    /// The errors of awaiting it; and [`UnknownReason::ReadGuardHeld`] at once if this thread holds a read guard of the
    /// object: the call cannot be applied here before the guard is dropped. It was submitted all the same, and takes
    /// effect later.
    pub fn wait(self) -> Result<Committed<R>, CallError> {
        if let State::Submitted { lock, .. } = &self.state
            && lock.is_held()
        {
            return Err(CallError::Unknown { reason: UnknownReason::ReadGuardHeld });
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
            State::Submitted { call, .. } => match Pin::new(&mut call.outcome).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(outcome)) => outcome,
                // The engine ends every call that it has taken; only a panic of its thread drops the sender.
                Poll::Ready(Err(_)) => {
                    Err(CallError::Unknown { reason: UnknownReason::Stopped("its engine has ended".into()) })
                }
            },
        };
        Poll::Ready(outcome.and_then(decode_reply))
    }
}

/// Decodes a reply. It must use all of the bytes.
pub(crate) fn decode_reply<R: DeserializeOwned>(
    committed: Committed<Bytes>,
) -> Result<Committed<R>, CallError> {
    let Committed { value, index, term } = committed;
    let no_reply = |reason: String| CallError::Applied { index, reason: NoReplyReason::Decode(reason) };
    match postcard::take_from_bytes::<R>(&value) {
        Ok((value, [])) => Ok(Committed { value, index, term }),
        Ok((_, rest)) => Err(no_reply(format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(no_reply(error.to_string())),
    }
}
