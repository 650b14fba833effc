//! The interface between a handle and what takes its calls: the engine of a running node, or a recorder in the simulator.

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
    /// Submits a call. The calls of one thread take effect in the order in which it submits them.
    ///
    /// # Errors
    /// How the call ended, if it ended at once.
    fn submit(&self, method: MethodId, arguments: Bytes) -> Result<SubmittedCall, CallError>;
}

/// A call that the engine has, or that is in its mailbox.
pub(crate) struct SubmittedCall {
    pub(super) outcome: oneshot::Receiver<Outcome>,
    pub(super) ticket: CallTicket,
    /// To set another deadline. NB: not the engine itself, because a call must not keep its node running.
    pub(super) mailbox: Arc<Mailbox>,
}

impl SubmitCall for Engine {
    fn submit(&self, method: MethodId, arguments: Bytes) -> Result<SubmittedCall, CallError> {
        let mailbox = Arc::clone(self.mailbox());
        let (ticket, outcome) = mailbox.submit(method, arguments)?;
        Ok(SubmittedCall { outcome, ticket, mailbox })
    }
}
