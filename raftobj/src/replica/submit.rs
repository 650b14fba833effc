//! Where a call is submitted.
//!
//! The methods of a handle do not know what takes their calls: in a running node it is the engine, in the simulator a
//! recorder.

use crate::calls::outcome::{CallError, Outcome};
use crate::codec::method::MethodId;
use crate::driver::Engine;
use crate::driver::mailbox::{CallTicket, Mailbox};
use bytes::Bytes;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Takes encoded calls. Its bounds are those that a [`Replica`](super::Replica) promises.
pub(crate) trait SubmitCall: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Submits a call, in the order in which its thread submits them.
    ///
    /// # Errors
    /// How the call ended, where it ended at once.
    fn submit(&self, method: MethodId, arguments: Bytes) -> Result<SubmittedCall, CallError>;
}

/// A call in the mailbox of the engine, or beyond.
pub(crate) struct SubmittedCall {
    pub(super) outcome: oneshot::Receiver<Outcome>,
    pub(super) ticket: CallTicket,
    /// Takes a new deadline for the call. NB: not the engine itself, so that a call does not keep a node running.
    pub(super) mailbox: Arc<Mailbox>,
}

impl SubmitCall for Engine {
    fn submit(&self, method: MethodId, arguments: Bytes) -> Result<SubmittedCall, CallError> {
        let mailbox = Arc::clone(self.mailbox());
        let (ticket, outcome) = mailbox.submit(method, arguments)?;
        Ok(SubmittedCall { outcome, ticket, mailbox })
    }
}
