//! The state machine: applies committed entries to the user's object.
//!
//! Begin with [`Machine::apply`]. Its result is a function of the entries alone, except for the texts of panics and for
//! the limit of a reply's size. The running digest covers all the rest.

use super::context::ApplyContext;
use super::describe::method_name;
use super::digest::Checkpoint;
use super::lock::{StateLock, WriteGuard};
use super::reply::{CallVerdict, Decision, Reply};
use super::sessions::{CommandStatus, Sessions};
use super::{MethodError, Object};
use crate::codec::DecodeError;
use crate::codec::command::{Command, ObjectId, SessionId};
use crate::codec::method::MethodId;
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Entry, EntryId, EntryKind, Index, Time};
use bytes::Bytes;
use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What [`Machine::apply`] does between two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// Apply the next entry.
    Continue,
    /// Release the object's lock, let all waiting readers enter, then apply the next entry.
    Pause,
    /// Apply no more of these entries.
    End,
}

/// A [`Machine`] of any object type, for an apply thread or a simulator.
pub(crate) trait Apply: Send {
    /// See [`Machine::apply`].
    fn apply(&mut self, entries: &[Entry], between: &mut dyn FnMut() -> Between) -> Applied;
}

/// Options of a [`Machine`].
#[derive(Clone, Debug)]
pub(crate) struct MachineConfig {
    /// This node's session: decisions on its calls are reported.
    pub(crate) own: SessionId,
    /// Of a larger reply, only the size is kept.
    pub(crate) reply_bytes_max: usize,
    /// What a panic in a method does.
    pub(crate) on_panic: OnPanic,
}

/// What a panic in a replicated method does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// The panic is the call's outcome. The object stays as the method left it, on every replica, and the node goes on.
    #[default]
    Continue,
    /// The node stops and names the index and the method. Every other node that applies the entry stops, too.
    Stop,
}

/// The result of applying some entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The last applied entry (`lastApplied`).
    pub(crate) upto: EntryId,
    /// Its time.
    pub(crate) time: Time,
    /// One for each of these entries that was applied, in order, for a [`DigestRing`](super::digest::DigestRing).
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The decisions on this node's own calls, in the order of the log.
    pub(crate) decisions: Vec<Decision>,
    /// How many of these entries had a method that panicked.
    pub(crate) panics: u64,
    /// Set, and never reset, when an entry cannot be applied; `upto` is the entry before it.
    pub(crate) stop: Option<ApplyStop>,
}

/// The entry that could not be applied, and why; nothing is applied after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} cannot be applied: {reason}")]
pub(crate) struct ApplyStop {
    /// The entry.
    pub(crate) index: Index,
    /// Its method, if the command could be decoded.
    pub(crate) method: Option<MethodId>,
    /// The reason.
    #[source]
    pub(crate) reason: StopReason,
}

/// Why an entry cannot be applied. A node that continued might differ from the other replicas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StopReason {
    /// The payload is not a command of this version of the format.
    #[error("it is not a command: {0}")]
    Command(#[from] DecodeError),
    /// This node has no object with this id.
    #[error("it is for object {}, which this node does not have", .0.0)]
    Object(ObjectId),
    /// The method cannot be called.
    #[error(transparent)]
    Method(MethodError),
    /// The method panicked, and [`OnPanic::Stop`] is set.
    #[error("`{method}` panicked, and the option on_panic is Stop: {message}")]
    Panicked {
        /// The method's name.
        method: &'static str,
        /// The message of the panic.
        message: String,
    },
}

/// The object, and the state that is replicated with it.
#[derive(Debug)]
pub(crate) struct Machine<T> {
    config: MachineConfig,
    state: Arc<StateLock<T>>,
    sessions: Sessions,
    applied: EntryId,
    time: Time,
    checkpoint: Checkpoint,
    stop: Option<ApplyStop>,
    /// Methods write their replies into it; kept to reuse its memory.
    buffer: Vec<u8>,
}

/// A buffer that has grown beyond this is freed after the call.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

impl<T: Object> Machine<T> {
    /// A machine that has applied nothing.
    pub(crate) fn new(state: Arc<StateLock<T>>, config: MachineConfig) -> Machine<T> {
        Machine {
            config,
            state,
            sessions: Sessions::default(),
            applied: EntryId::default(),
            time: Time::default(),
            checkpoint: Checkpoint::default(),
            stop: None,
            buffer: Vec::new(),
        }
    }

    /// Applies committed entries. The first follows the last applied one, without a gap.
    ///
    /// The object is locked at the first call that takes effect. While it is locked, `between` is called after each
    /// entry; it has the clock. It should ask for a pause about every millisecond.
    pub(crate) fn apply(&mut self, entries: &[Entry], between: &mut dyn FnMut() -> Between) -> Applied {
        #[cfg(test)]
        let swapped = planted!(OrderOfBatch).then(|| with_ends_swapped(entries));
        #[cfg(test)]
        let entries = swapped.as_deref().unwrap_or(entries);
        let state = Arc::clone(&self.state);
        let mut guard = None;
        let mut applied = Applied { checkpoints: Vec::with_capacity(entries.len()), ..Applied::default() };
        for entry in entries {
            if self.stop.is_some() {
                break;
            }
            assert_eq!(entry.id.index, self.applied.index.next(), "entries are applied without gaps");
            assert!(entry.id.term >= self.applied.term, "{} after {}", entry.id, self.applied);
            match self.apply_entry(entry, &state, &mut guard, &mut applied) {
                Ok(checkpoint) => {
                    self.checkpoint = checkpoint;
                    applied.checkpoints.push(checkpoint);
                    self.applied = entry.id;
                    self.time = entry.time;
                }
                Err(stop) => self.stop = Some(stop),
            }
            match guard.is_some().then(&mut *between) {
                None | Some(Between::Continue) => {}
                Some(Between::Pause) => guard = None,
                Some(Between::End) => break,
            }
        }
        Applied { upto: self.applied, time: self.time, stop: self.stop.clone(), ..applied }
    }

    fn apply_entry<'a>(
        &mut self,
        entry: &Entry,
        state: &'a StateLock<T>,
        guard: &mut Option<WriteGuard<'a, T>>,
        applied: &mut Applied,
    ) -> Result<Checkpoint, ApplyStop> {
        let index = entry.id.index;
        let stop = |method, reason| ApplyStop { index, method, reason };
        let command = match entry.kind {
            EntryKind::Noop => return Ok(self.checkpoint.without_effect(index)),
            EntryKind::Command => {
                Command::decode(&entry.payload).map_err(|error| stop(None, error.into()))?
            }
        };
        let (session, number, method) = (command.session, command.number, command.method);
        if command.object != ObjectId::default() {
            return Err(stop(Some(method), StopReason::Object(command.object)));
        }
        let own = session == self.config.own;
        let verdict = match self.sessions.receive(session, number, command.lowest) {
            CommandStatus::Fresh => {
                let object = guard.get_or_insert_with(|| state.write());
                let context = ApplyContext::new(index, entry.id.term, entry.time);
                let reply = self.call(object, &command, &context, &mut applied.panics);
                let reply = reply.map_err(|reason| stop(Some(method), reason))?;
                let checkpoint = self.checkpoint.with_effect(index, method, &reply, &self.buffer);
                if self.buffer.capacity() > BUFFER_BYTES_KEPT {
                    self.buffer = Vec::new();
                }
                self.sessions.record(session, number, entry.id, reply.to_kept());
                if own {
                    let verdict = CallVerdict::Replied { entry: entry.id, reply };
                    applied.decisions.push(Decision { number, verdict });
                }
                return Ok(checkpoint);
            }
            // A duplicate is answered with the entry and the reply of the first one.
            CommandStatus::Duplicate(kept) if own => {
                CallVerdict::Replied { entry: kept.entry, reply: kept.reply.clone() }
            }
            CommandStatus::Duplicate(_) => return Ok(self.checkpoint.without_effect(index)),
            CommandStatus::Forgotten => CallVerdict::Forgotten,
            CommandStatus::Gap => CallVerdict::Gap,
            CommandStatus::Retired => CallVerdict::Retired,
        };
        if own {
            applied.decisions.push(Decision { number, verdict });
        }
        Ok(self.checkpoint.without_effect(index))
    }

    /// Calls the method of a command that takes effect; the encoded reply is in `buffer`.
    fn call(
        &mut self,
        object: &mut T,
        command: &Command,
        context: &ApplyContext,
        panics: &mut u64,
    ) -> Result<Reply, StopReason> {
        let method = command.method;
        match catch_call(object, method, &command.arguments, context, &mut self.buffer) {
            Ok(()) => Ok(value_or_size(&self.buffer, self.config.reply_bytes_max)),
            Err(CallFailure::Panicked(message)) => {
                mark!(MethodPanicked);
                *panics += 1;
                let stop = self.config.on_panic == OnPanic::Stop;
                if stop || planted!(FailingMethodStopsItsCaller if command.session == self.config.own) {
                    let method = method_name::<T>(method).unwrap_or("unknown");
                    return Err(StopReason::Panicked { method, message: message.into_owned() });
                }
                Ok(Reply::Panicked(message))
            }
            Err(CallFailure::Refused(MethodError::Reply { reason, .. })) => {
                mark!(ReplyUnencodable);
                Ok(Reply::Unencodable(reason.into()))
            }
            Err(CallFailure::Refused(error)) => Err(StopReason::Method(error)),
        }
    }
}

impl<T: Object> Apply for Machine<T> {
    fn apply(&mut self, entries: &[Entry], between: &mut dyn FnMut() -> Between) -> Applied {
        Machine::apply(self, entries, between)
    }
}

/// Access for tests.
#[cfg(test)]
impl<T: Object> Machine<T> {
    /// The decisions on this node's own calls that the session table keeps, from `first` on.
    fn answers(&self, first: crate::codec::command::Number) -> Vec<Decision> {
        let decided = self.sessions.decided(self.config.own, first);
        let replied = |kept: &super::sessions::KeptReply| CallVerdict::Replied {
            entry: kept.entry,
            reply: kept.reply.clone(),
        };
        decided.map(|(number, kept)| Decision { number, verdict: replied(kept) }).collect()
    }
}

/// A planted bug: the first and the last entry of a batch with their contents swapped.
#[cfg(test)]
fn with_ends_swapped(entries: &[Entry]) -> Vec<Entry> {
    let mut swapped = entries.to_vec();
    if let ([first, .., last], [new_first, .., new_last]) = (entries, &mut swapped[..]) {
        (new_first.kind, new_first.payload) = (last.kind, last.payload.clone());
        (new_last.kind, new_last.payload) = (first.kind, first.payload.clone());
    }
    swapped
}

/// Why a method returned no value, or none that encodes.
enum CallFailure {
    Panicked(Cow<'static, str>),
    Refused(MethodError),
}

/// Calls a method and catches its panic. `buffer` has the encoded reply if it returns.
///
/// NB: unwind safety is asserted. The method may leave the object half changed, but in the same way on every replica,
/// as the documentation for users states.
fn catch_call<T: Object>(
    object: &mut T,
    method: MethodId,
    arguments: &[u8],
    context: &ApplyContext,
    buffer: &mut Vec<u8>,
) -> Result<(), CallFailure> {
    buffer.clear();
    let call = AssertUnwindSafe(|| object.apply(method, arguments, context, buffer));
    match catch_unwind(call) {
        Ok(result) => result.map_err(CallFailure::Refused),
        Err(panic) => Err(CallFailure::Panicked(message(panic))),
    }
}

fn message(panic: Box<dyn Any + Send>) -> Cow<'static, str> {
    match panic.downcast::<&'static str>() {
        Ok(text) => Cow::Borrowed(*text),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => Cow::Owned(*text),
            Err(panic) => {
                // NB: leaked, because the drop of a value of the user's type might panic again.
                std::mem::forget(panic);
                Cow::Borrowed("with a value that is not text")
            }
        },
    }
}

fn value_or_size(value: &[u8], limit: usize) -> Reply {
    match value.len() {
        bytes if bytes > limit => {
            mark!(ReplyTooLarge);
            Reply::TooLarge { bytes, limit }
        }
        _ => Reply::Value(Bytes::copy_from_slice(value)),
    }
}

#[cfg(test)]
#[path = "tests/machine.rs"]
mod tests;
