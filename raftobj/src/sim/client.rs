//! Clients: what they ask for, and what they were told.

use super::random::Random;
use super::schedule::setup::Limits;
use crate::calls::outcome::{CallError, Committed, NotAppliedReason, Outcome, ReadError, Retry};
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::lock::StateLock;
use crate::raft::types::Index;
use crate::replica::submit::{SubmitCall, SubmittedCall};
use crate::replica::{Call, Core, Handle};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client at the moment of its next operation, as a workload sees it.
///
/// A workload asks for one operation each time it is called, as a function of what is here and of nothing else: then a
/// seed repeats.
pub struct Client<'a, T: Object> {
    number: usize,
    serial: u64,
    random: Random,
    handle: &'a RecordingHandle<T>,
    wanted: Option<Wanted<T>>,
    key: u64,
}

/// What a client wants.
pub(crate) struct Wanted<T> {
    pub(crate) what: What<T>,
    /// Operations on different keys have nothing to do with each other.
    pub(crate) key: u64,
}

pub(crate) enum What<T> {
    Call {
        method: MethodId,
        arguments: Bytes,
        /// The reply as a person reads it.
        show: fn(&[u8]) -> String,
    },
    Read {
        /// What is read, as `Debug` tells it.
        read: Rc<dyn Fn(&T) -> String>,
        local: bool,
    },
}

impl<T> Clone for What<T> {
    fn clone(&self) -> What<T> {
        match self {
            What::Call { method, arguments, show } => {
                What::Call { method: *method, arguments: arguments.clone(), show: *show }
            }
            What::Read { read, local } => What::Read { read: Rc::clone(read), local: *local },
        }
    }
}

/// Names an operation of a run: its position in `World::operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OperationId(pub(crate) usize);

/// Something that a client asked for.
pub(crate) struct Operation<T> {
    pub(crate) client: usize,
    pub(crate) server: usize,
    pub(crate) life: u64,
    pub(crate) what: What<T>,
    pub(crate) key: u64,
    /// The step at which it was asked for.
    pub(crate) invoked: u64,
    /// What was known to have taken effect by then, to anybody.
    pub(crate) floor: Index,
    /// The step at which it ended, and how.
    pub(crate) ended: Option<(u64, End)>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A call that took effect there, with its encoded reply.
    Returned { index: Index, reply: Bytes },
    /// A call that took effect there; the reply is lost, or there is none.
    Applied { index: Index },
    /// A call that took effect, takes effect later, or never will.
    Unknown,
    /// A call that never will, or a read that was not served.
    Refused,
    /// A read, served in the state after that index.
    Read { index: Index, value: String },
}

impl<'a, T: Object> Client<'a, T> {
    pub(crate) fn new(
        number: usize,
        serial: u64,
        random: Random,
        handle: &'a RecordingHandle<T>,
    ) -> Client<'a, T> {
        Client { number, serial, random, handle, wanted: None, key: 0 }
    }

    /// Which client this is, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// A number that no other operation of the run has, from 1 on: for values that can be told apart.
    pub fn operation_number(&self) -> u64 {
        self.serial
    }

    /// The client's own random numbers: the same for the same seed, client and operation.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Says what the operation is about. [`check_linearizability`](super::Simulation::check_linearizability) judges the operations of
    /// each key apart, which is much faster; so no operation may see or change what belongs to another key, or what is
    /// right looks wrong.
    pub fn set_key(&mut self, key: u64) {
        self.key = key;
    }

    /// Makes a replicated call: `client.call(|kv| kv.set("a", 1))`.
    ///
    /// # Panics
    /// Where the workload asked for something before, or the arguments do not encode.
    pub fn call<R: DeserializeOwned + Debug>(&mut self, call: impl FnOnce(&T::Handle) -> Call<R>) {
        let Some((method, arguments)) = self.handle.record(call) else {
            panic!("the arguments do not encode");
        };
        let show = |reply: &[u8]| match postcard::from_bytes::<R>(reply) {
            Ok(reply) => format!("{reply:?}"),
            Err(error) => format!("bytes that are no reply ({error})"),
        };
        self.want(What::Call { method, arguments, show });
    }

    /// Reads what was committed before: `client.read(|kv| kv.get("a"))`.
    ///
    /// # Panics
    /// Where the workload asked for something before.
    pub fn read<R: Debug>(&mut self, read: impl Fn(&T) -> R + 'static) {
        self.want(What::Read { read: Rc::new(move |object| format!("{:?}", read(object))), local: false });
    }

    /// Reads what this client's node has, which may be old.
    ///
    /// # Panics
    /// Where the workload asked for something before.
    pub fn read_local<R: Debug>(&mut self, read: impl Fn(&T) -> R + 'static) {
        self.want(What::Read { read: Rc::new(move |object| format!("{:?}", read(object))), local: true });
    }

    fn want(&mut self, what: What<T>) {
        assert!(self.wanted.is_none(), "a workload asks for one operation at a time");
        self.wanted = Some(Wanted { what, key: self.key });
    }

    pub(crate) fn into_wanted(self) -> Option<Wanted<T>> {
        self.wanted
    }
}

/// A handle that records its calls: nothing is called.
pub(crate) struct RecordingHandle<T: Object> {
    handle: T::Handle,
    recorder: Arc<Recorder>,
}

#[derive(Default)]
struct Recorder {
    last: Mutex<Option<(MethodId, Bytes)>>,
}

impl<T: Object> RecordingHandle<T> {
    /// `object` is what a read through the handle would see.
    pub(crate) fn new(object: T) -> RecordingHandle<T> {
        let recorder = Arc::new(Recorder::default());
        let core = Core::new(Arc::clone(&recorder) as Arc<dyn SubmitCall>, Arc::new(StateLock::new(object)));
        RecordingHandle { handle: <T::Handle as Handle>::new(core), recorder }
    }

    /// The method that `call` calls, and its encoded arguments; `None` where they do not encode.
    fn record<R>(&self, call: impl FnOnce(&T::Handle) -> Call<R>) -> Option<(MethodId, Bytes)> {
        drop(call(&self.handle));
        self.recorder.lock().take()
    }
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Option<(MethodId, Bytes)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubmitCall for Recorder {
    fn submit(&self, method: MethodId, arguments: Bytes) -> Result<SubmittedCall, CallError> {
        *self.lock() = Some((method, arguments));
        let reason = NotAppliedReason::Stopped("a recorded call is not made".to_owned());
        Err(CallError::NotApplied { reason, retry: Retry::Never })
    }
}

impl End {
    pub(crate) fn of_call(outcome: &Outcome) -> End {
        match outcome {
            Ok(Committed { value, index, .. }) => End::Returned { index: *index, reply: value.clone() },
            Err(CallError::Applied { index, .. }) => End::Applied { index: *index },
            Err(CallError::Unknown { .. }) => End::Unknown,
            Err(CallError::NotApplied { .. }) => End::Refused,
        }
    }

    pub(crate) fn of_read(outcome: &Result<Index, ReadError>, value: impl FnOnce() -> String) -> End {
        match outcome {
            Ok(index) => End::Read { index: *index, value: value() },
            Err(_) => End::Refused,
        }
    }

    /// What is left of it where the object there may be wrong.
    pub(crate) fn mistrusted(self) -> End {
        match self {
            End::Returned { .. } | End::Applied { .. } | End::Unknown => End::Unknown,
            End::Read { .. } | End::Refused => End::Refused,
        }
    }

    /// Whether it is what a healthy cluster gives, as far as its limits let it.
    pub(crate) fn is_served(&self, limits: &Limits) -> bool {
        match self {
            End::Returned { .. } | End::Applied { .. } | End::Read { .. } => true,
            // A log without room takes no call, as its limit says.
            End::Unknown => limits.has_small_log(),
            // Nor does any take one that is too large.
            End::Refused => limits.has_small_commands(),
        }
    }

    /// Where it took effect, or what it saw.
    pub(crate) fn index(&self) -> Option<Index> {
        match self {
            End::Returned { index, .. } | End::Applied { index } | End::Read { index, .. } => Some(*index),
            End::Unknown | End::Refused => None,
        }
    }
}
