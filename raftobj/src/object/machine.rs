//! Applies committed entries to the user's object.
//!
//! Begin with [`Machine::apply`]. What comes out is a function of the entries alone, but for the texts of
//! panics and for how long replies are kept; the running digest covers the rest.

use super::context::ApplyContext;
use super::describe::method_name;
use super::digest::Checkpoint;
use super::lock::{StateLock, WriteGuard};
use super::reply::{Decision, Reply, Verdict};
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

/// A [`Machine`] of any object: what an apply thread or a simulator holds.
pub(crate) trait Apply: Send {
    /// See [`Machine::apply`].
    fn apply(&mut self, entries: &[Entry], pause: &mut dyn FnMut() -> bool) -> Applied;
}

/// What the machine must be told.
#[derive(Clone, Debug)]
pub(crate) struct MachineConfig {
    /// The session whose calls' decisions are reported: this node's.
    pub(crate) own: SessionId,
    /// Larger replies are kept as their size.
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

/// What applying some entries did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The last entry that is applied now.
    pub(crate) upto: EntryId,
    /// Its time.
    pub(crate) time: Time,
    /// One for each entry applied, in order; for a [`DigestRing`](super::digest::DigestRing).
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// About this node's own calls, in the order of the log.
    pub(crate) decisions: Vec<Decision>,
    /// How many methods panicked in these entries.
    pub(crate) panics: u64,
    /// Set for ever once an entry cannot be applied; `upto` is the one before it.
    pub(crate) stop: Option<ApplyStop>,
}

/// The entry at which the node stopped applying, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} cannot be applied: {reason}")]
pub(crate) struct ApplyStop {
    /// The entry.
    pub(crate) index: Index,
    /// Its method, if it got as far.
    pub(crate) method: Option<MethodId>,
    /// Why.
    #[source]
    pub(crate) reason: StopReason,
}

/// Why an entry cannot be applied. Going on would be a guess that may differ from the other replicas'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StopReason {
    /// The payload is not a command of this version.
    #[error("it is not a command: {0}")]
    Command(#[from] DecodeError),
    /// There is no object of this id here.
    #[error("it is for object {}, and this node has none of that id", .0.0)]
    Object(ObjectId),
    /// The method cannot be called.
    #[error(transparent)]
    Method(MethodError),
    /// The method panicked, and the node was told to stop then.
    #[error("`{method}` panicked, and the node is told to stop on a panic: {message}")]
    Panicked {
        /// The method's name.
        method: &'static str,
        /// The panic's message.
        message: String,
    },
}

/// The object and what is replicated with it.
#[derive(Debug)]
pub(crate) struct Machine<T> {
    config: MachineConfig,
    state: Arc<StateLock<T>>,
    sessions: Sessions,
    applied: EntryId,
    time: Time,
    checkpoint: Checkpoint,
    stop: Option<ApplyStop>,
    /// Where methods write their replies; kept for its memory.
    buffer: Vec<u8>,
}

/// A larger buffer is given back after the call that needed it.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

impl<T: Object> Machine<T> {
    /// A machine before the first entry.
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

    /// Applies committed entries, which follow the last applied one without a gap.
    ///
    /// The object is locked from the first call that takes effect on. `pause` is asked after each of them and
    /// owns the clock: where it returns true the lock is given up, and all readers that wait get in before
    /// the next entry. It should do so about every millisecond.
    pub(crate) fn apply(&mut self, entries: &[Entry], pause: &mut dyn FnMut() -> bool) -> Applied {
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
            if guard.is_some() && pause() {
                guard = None;
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
                let called = call(&mut **object, method, &command.arguments, &context, &mut self.buffer);
                let reply = match called {
                    Ok(()) => value_or_size(&self.buffer, self.config.reply_bytes_max),
                    Err(Failure::Panicked(message)) => {
                        mark!(MethodPanicked);
                        applied.panics += 1;
                        let alone = planted!(FailingMethodStopsItsCaller) && own;
                        if self.config.on_panic == OnPanic::Stop || alone {
                            let name = method_name::<T>(method).unwrap_or("unknown");
                            let message = message.into_owned();
                            return Err(stop(Some(method), StopReason::Panicked { method: name, message }));
                        }
                        Reply::Panicked(message)
                    }
                    Err(Failure::Refused(MethodError::Reply { reason, .. })) => {
                        mark!(ReplyUnencodable);
                        Reply::Unencodable(reason.into())
                    }
                    Err(Failure::Refused(error)) => {
                        return Err(stop(Some(method), StopReason::Method(error)));
                    }
                };
                let checkpoint = self.checkpoint.with_effect(index, method, &reply, &self.buffer);
                if self.buffer.capacity() > BUFFER_BYTES_KEPT {
                    self.buffer = Vec::new();
                }
                self.sessions.record(session, number, entry.id, reply.to_kept());
                if own {
                    let verdict = Verdict::Replied { entry: entry.id, reply };
                    applied.decisions.push(Decision { number, verdict });
                }
                return Ok(checkpoint);
            }
            // A repeat: it is answered with what it did when it took effect.
            CommandStatus::Duplicate(kept) if own => {
                Verdict::Replied { entry: kept.entry, reply: kept.reply.clone() }
            }
            CommandStatus::Duplicate(_) => return Ok(self.checkpoint.without_effect(index)),
            CommandStatus::Forgotten => Verdict::Forgotten,
            CommandStatus::Gap => Verdict::Gap,
            CommandStatus::Retired => Verdict::Retired,
        };
        if own {
            applied.decisions.push(Decision { number, verdict });
        }
        Ok(self.checkpoint.without_effect(index))
    }
}

impl<T: Object> Apply for Machine<T> {
    fn apply(&mut self, entries: &[Entry], pause: &mut dyn FnMut() -> bool) -> Applied {
        Machine::apply(self, entries, pause)
    }
}

/// What tests look at.
#[cfg(test)]
impl<T: Object> Machine<T> {
    /// What the session table says of this node's own calls from `first` on.
    fn answers(&self, first: crate::codec::command::Number) -> Vec<Decision> {
        let decided = self.sessions.decided(self.config.own, first);
        let replied = |kept: &super::sessions::KeptReply| Verdict::Replied {
            entry: kept.entry,
            reply: kept.reply.clone(),
        };
        decided.map(|(number, kept)| Decision { number, verdict: replied(kept) }).collect()
    }
}

/// What a planted bug makes of a batch: its first and its last entry change what they say.
#[cfg(test)]
fn with_ends_swapped(entries: &[Entry]) -> Vec<Entry> {
    let mut swapped = entries.to_vec();
    if let ([first, .., last], [new_first, .., new_last]) = (entries, &mut swapped[..]) {
        (new_first.kind, new_first.payload) = (last.kind, last.payload.clone());
        (new_last.kind, new_last.payload) = (first.kind, first.payload.clone());
    }
    swapped
}

/// Why a call left no value.
enum Failure {
    Panicked(Cow<'static, str>),
    Refused(MethodError),
}

/// Calls a method of the user's, whatever it does. `buffer` holds its reply if it returns.
///
/// NB: unwind safety is asserted. The object may be left half changed, but equally so on every replica, which is
/// what users are told.
fn call<T: Object>(
    object: &mut T,
    method: MethodId,
    arguments: &[u8],
    context: &ApplyContext,
    buffer: &mut Vec<u8>,
) -> Result<(), Failure> {
    buffer.clear();
    let call = AssertUnwindSafe(|| object.apply(method, arguments, context, buffer));
    match catch_unwind(call) {
        Ok(result) => result.map_err(Failure::Refused),
        Err(panic) => Err(Failure::Panicked(message(panic))),
    }
}

fn message(panic: Box<dyn Any + Send>) -> Cow<'static, str> {
    match panic.downcast::<&'static str>() {
        Ok(text) => Cow::Borrowed(*text),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => Cow::Owned(*text),
            Err(panic) => {
                // NB: leaked, because dropping a value that the user chose might panic again.
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
