//! A linearizable read in progress, and how to wait for it.

use super::Replica;
use super::wait::block_on;
use crate::calls::outcome::ReadError;
use crate::driver::mailbox::Event;
use crate::object::Object;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::oneshot;

/// A linearizable read in progress: await it, or [`wait`](LinearizableRead::wait) for it. The object can be read then.
#[must_use = "await it, or `.wait()` for it, before reading"]
pub struct LinearizableRead<'a, T: Object> {
    pub(super) replica: &'a Replica<T>,
    pub(super) deadline: Option<Duration>,
}

impl<'a, T: Object> LinearizableRead<'a, T> {
    /// Sets another deadline than [`Options::call_deadline`](crate::Options::call_deadline).
    pub fn deadline(mut self, deadline: Duration) -> LinearizableRead<'a, T> {
        self.deadline = Some(deadline);
        self
    }

    /// Blocks this thread until the object can be read, or the deadline has passed.
    ///
    /// # Errors
    /// The errors of awaiting it; and [`ReadError::ReadGuardHeld`] at once if this thread holds a read guard.
    pub fn wait(self) -> Result<&'a Replica<T>, ReadError> {
        if self.replica.core().state.id().is_held() {
            return Err(ReadError::ReadGuardHeld);
        }
        block_on(self.into_future())
    }
}

impl<'a, T: Object> IntoFuture for LinearizableRead<'a, T> {
    type Output = Result<&'a Replica<T>, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let LinearizableRead { replica, deadline } = self;
        let engine = &replica.engine;
        let deadline = deadline.unwrap_or(engine.call_deadline());
        let (reply, served) = oneshot::channel();
        let submitted = engine.mailbox().put(Event::Read { deadline, reply });
        Box::pin(async move {
            submitted.map_err(ReadError::Stopped)?;
            match served.await {
                Ok(read) => read.map(|()| replica),
                // Only a panic of the engine drops the sender.
                Err(_) => Err(ReadError::Stopped("its engine has ended".into())),
            }
        })
    }
}
