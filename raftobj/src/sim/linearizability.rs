//! Whether what clients saw is linearizable, checked without the log.
//!
//! The checks of the [`Oracle`](super::oracle::Oracle) know the index of each call, and only compare. This check gets when
//! each operation began and ended and what it returned, and searches for any order that explains that
//! ([`history`](super::history)). The object is its own model.

use super::history::{
    Checker, ClientId, History, Model, Operation as HistoryOperation, Outcome, Timestamp, Verdict,
};
use super::operation::{End, Operation, Request};
use super::violation::Violation;
use super::world::World;
use crate::object::describe::call_text;
use crate::object::{MethodError, Object};
use crate::raft::types::Index;
use bytes::Bytes;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The search of one key's history takes at most this many steps. The report counts the runs that it leaves undecided.
const STEPS_MAX: u64 = 5_000;

/// An operation, as the checker sees it.
struct ModelCall<T> {
    key: u64,
    request: Request<T>,
    /// The index at which it took effect, or zero if that is unknown: replies may depend on it, states must not.
    index: Index,
}

/// A reply, as the checker sees it.
#[derive(Clone, PartialEq, Eq)]
enum ModelReply {
    Reply(Bytes),
    /// The call took effect; its reply is lost, or there is none.
    NoReply,
    Value(String),
}

/// An object as its own model.
struct ObjectModel<'a, T: Object> {
    world: &'a World<T>,
}

/// Searches for an order of all calls and linearizable reads. Returns 1 if some history was too long to decide.
pub(crate) fn judge<T: Object + Clone + Eq + Hash + Debug>(world: &World<T>) -> u64 {
    let mut history = History::new();
    for operation in &world.operations {
        if let Some(operation) = history_operation(operation) {
            history.push(operation);
        }
    }
    match Checker::new(&ObjectModel { world }).steps_max(STEPS_MAX).check(&history) {
        Verdict::Linearizable => 0,
        Verdict::Undecided { .. } => 1,
        Verdict::NotLinearizable(example) => {
            Violation::raise("what clients saw is linearizable", format!("\n{example}"))
        }
    }
}

/// An operation for the history; `None` if it has no effect on linearizability.
fn history_operation<T: Object>(
    operation: &Operation<T>,
) -> Option<HistoryOperation<ModelCall<T>, ModelReply>> {
    let Operation { client, request, key, invoked, ended, .. } = operation;
    if matches!(request, Request::Read { local: true, .. }) {
        return None;
    }
    let (at, end) = ended.as_ref()?;
    let returned = |reply| Outcome::Returned { reply, at: Timestamp(*at) };
    let outcome = match end {
        End::Returned { reply, .. } => returned(ModelReply::Reply(reply.clone())),
        End::Applied { .. } => returned(ModelReply::NoReply),
        End::Read { value, .. } => returned(ModelReply::Value(value.clone())),
        End::Unknown if matches!(request, Request::Call { .. }) => Outcome::Unknown,
        End::Unknown | End::Refused => return None,
    };
    let call = ModelCall { key: *key, request: request.clone(), index: end.index().unwrap_or_default() };
    Some(HistoryOperation {
        client: ClientId(*client as u64),
        call,
        invoked_at: Timestamp(*invoked),
        outcome,
    })
}

impl<T: Object + Clone + Eq + Hash + Debug> Model for ObjectModel<'_, T> {
    type Call = ModelCall<T>;
    type Reply = ModelReply;
    type State = T;
    type Key = u64;

    fn key(&self, call: &ModelCall<T>) -> u64 {
        call.key
    }

    fn initial(&self) -> T {
        (self.world.program.object)()
    }

    fn apply(&self, state: &mut T, call: &ModelCall<T>) -> ModelReply {
        match &call.request {
            Request::Read { read, .. } => ModelReply::Value(read(state)),
            Request::Call { method, arguments, .. } => {
                let context = self.world.oracle.context(call.index);
                let mut reply = Vec::new();
                let apply = || state.apply(*method, arguments, &context, &mut reply);
                match catch_unwind(AssertUnwindSafe(apply)) {
                    Ok(Ok(())) if reply.len() <= self.world.setup.limits.reply_bytes_max => {
                        ModelReply::Reply(reply.into())
                    }
                    Ok(Ok(()) | Err(MethodError::Reply { .. })) | Err(_) => ModelReply::NoReply,
                    Ok(Err(error)) => unreachable!("the object knows the methods of its own calls: {error}"),
                }
            }
        }
    }

    fn is_read_only(&self, call: &ModelCall<T>, _: &ModelReply) -> bool {
        matches!(call.request, Request::Read { .. })
    }

    fn describe(&self, call: &ModelCall<T>, reply: Option<&ModelReply>) -> String {
        let returned = |show: &dyn Fn(&[u8]) -> String| match reply {
            None => String::new(),
            Some(ModelReply::Reply(bytes)) => format!(" -> {}", show(bytes)),
            Some(ModelReply::NoReply) => " -> no reply".to_owned(),
            Some(ModelReply::Value(value)) => format!(" -> {value}"),
        };
        match &call.request {
            Request::Read { .. } => format!("read{}", returned(&|_| String::new())),
            Request::Call { method, arguments, show } => {
                format!("{}{}", call_text::<T>(*method, arguments), returned(show))
            }
        }
    }
}

impl<T> PartialEq for ModelCall<T> {
    fn eq(&self, other: &ModelCall<T>) -> bool {
        match (&self.request, &other.request) {
            (
                Request::Call { method, arguments, .. },
                Request::Call { method: other_method, arguments: others, .. },
            ) => method == other_method && arguments == others && self.index == other.index,
            (Request::Read { read, .. }, Request::Read { read: other, .. }) => Rc::ptr_eq(read, other),
            _ => false,
        }
    }
}

impl<T> Debug for ModelCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.request {
            Request::Call { method, .. } => write!(f, "call of method {:08x}", method.0),
            Request::Read { .. } => f.write_str("read"),
        }
    }
}

impl Debug for ModelReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelReply::Reply(bytes) => write!(f, "{} bytes", bytes.len()),
            ModelReply::NoReply => f.write_str("no reply"),
            ModelReply::Value(value) => f.write_str(value),
        }
    }
}
