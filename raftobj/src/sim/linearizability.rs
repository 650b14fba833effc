//! A second opinion: what clients saw, judged by somebody who knows nothing of the log.
//!
//! The checks of the [`Oracle`](super::oracle::Oracle) know where each call took effect, and so need only to compare. This
//! one is told when each operation began and ended and what came back, and searches for any order that explains it
//! ([`history`](super::history)). The object is its own model.

use super::client::{End, Operation, What};
use super::history::{Checker, ClientId, History, Model, Operation as Seen, Outcome, Timestamp, Verdict};
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

/// A key's history is searched this far. What is left undecided is counted in the report.
const STEPS_MAX: u64 = 5_000;

/// Judges the history of a run. Returns how many histories were too long to be decided.
pub(crate) type Judge<T> = Rc<dyn Fn(&World<T>) -> u64>;

/// What was asked.
struct Asked<T> {
    key: u64,
    what: What<T>,
    /// Where it took effect, if that is known: a reply may depend on it, the object must not.
    index: Index,
}

/// What was told.
#[derive(Clone, PartialEq, Eq)]
enum Told {
    Reply(Bytes),
    /// It took effect, and its reply is lost, or there is none.
    NoReply,
    Value(String),
}

/// An object as the model of itself.
struct Itself<'a, T: Object> {
    world: &'a World<T>,
}

/// Searches for an order of all calls and linearizable reads.
pub(crate) fn judge<T: Object + Clone + Eq + Hash + Debug>(world: &World<T>) -> u64 {
    let mut history = History::new();
    for operation in &world.operations {
        if let Some(seen) = seen(operation) {
            history.push(seen);
        }
    }
    match Checker::new(&Itself { world }).steps_max(STEPS_MAX).check(&history) {
        Verdict::Linearizable => 0,
        Verdict::Undecided { .. } => 1,
        Verdict::NotLinearizable(example) => {
            Violation::raise("what clients saw is linearizable", format!("\n{example}"))
        }
    }
}

fn seen<T: Object>(operation: &Operation<T>) -> Option<Seen<Asked<T>, Told>> {
    let Operation { client, what, key, invoked, ended, .. } = operation;
    if matches!(what, What::Read { local: true, .. }) {
        return None;
    }
    let (at, end) = ended.as_ref()?;
    let returned = |reply| Outcome::Returned { reply, at: Timestamp(*at) };
    let outcome = match end {
        End::Returned { reply, .. } => returned(Told::Reply(reply.clone())),
        End::Applied { .. } => returned(Told::NoReply),
        End::Read { value, .. } => returned(Told::Value(value.clone())),
        End::Unknown if matches!(what, What::Call { .. }) => Outcome::Unknown,
        End::Unknown | End::Refused => return None,
    };
    let call = Asked { key: *key, what: what.clone(), index: end.index().unwrap_or_default() };
    Some(Seen { client: ClientId(*client as u64), call, invoked_at: Timestamp(*invoked), outcome })
}

impl<T: Object + Clone + Eq + Hash + Debug> Model for Itself<'_, T> {
    type Call = Asked<T>;
    type Reply = Told;
    type State = T;
    type Key = u64;

    fn key(&self, call: &Asked<T>) -> u64 {
        call.key
    }

    fn initial(&self) -> T {
        (self.world.program.object)()
    }

    fn apply(&self, state: &mut T, call: &Asked<T>) -> Told {
        match &call.what {
            What::Read { read, .. } => Told::Value(read(state)),
            What::Call { method, arguments, .. } => {
                let context = self.world.oracle.context(call.index);
                let mut reply = Vec::new();
                let apply = || state.apply(*method, arguments, &context, &mut reply);
                match catch_unwind(AssertUnwindSafe(apply)) {
                    Ok(Ok(())) if reply.len() <= self.world.setup.limits.reply_bytes_max => {
                        Told::Reply(reply.into())
                    }
                    Ok(Ok(()) | Err(MethodError::Reply { .. })) | Err(_) => Told::NoReply,
                    Ok(Err(error)) => unreachable!("its own calls are known to the object: {error}"),
                }
            }
        }
    }

    fn is_read_only(&self, call: &Asked<T>, _: &Told) -> bool {
        matches!(call.what, What::Read { .. })
    }

    fn describe(&self, call: &Asked<T>, reply: Option<&Told>) -> String {
        let told = |show: &dyn Fn(&[u8]) -> String| match reply {
            None => String::new(),
            Some(Told::Reply(bytes)) => format!(" -> {}", show(bytes)),
            Some(Told::NoReply) => " -> no reply".to_owned(),
            Some(Told::Value(value)) => format!(" -> {value}"),
        };
        match &call.what {
            What::Read { .. } => format!("read{}", told(&|_| String::new())),
            What::Call { method, arguments, show } => {
                format!("{}{}", call_text::<T>(*method, arguments), told(show))
            }
        }
    }
}

impl<T> PartialEq for Asked<T> {
    fn eq(&self, other: &Asked<T>) -> bool {
        match (&self.what, &other.what) {
            (
                What::Call { method, arguments, .. },
                What::Call { method: other_method, arguments: others, .. },
            ) => method == other_method && arguments == others && self.index == other.index,
            (What::Read { read, .. }, What::Read { read: other, .. }) => Rc::ptr_eq(read, other),
            _ => false,
        }
    }
}

impl<T> Debug for Asked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Call { method, .. } => write!(f, "call of method {:08x}", method.0),
            What::Read { .. } => f.write_str("read"),
        }
    }
}

impl Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Reply(bytes) => write!(f, "{} bytes", bytes.len()),
            Told::NoReply => f.write_str("no reply"),
            Told::Value(value) => f.write_str(value),
        }
    }
}
