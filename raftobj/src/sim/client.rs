//! A client, as a workload sees it.

use super::operation::Request;
use super::random::Random;
use crate::calls::outcome::{CallError, NotAppliedReason, Retry};
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::lock::StateLock;
use crate::replica::submit::{SubmitCall, SubmittedCall};
use crate::replica::{Call, Core, Handle};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client that is about to make its next operation.
///
/// A workload chooses one operation each time it is called. The choice must be a function of this value only: then a seed
/// repeats its run.
pub struct Client<'a, T: Object> {
    number: usize,
    operation_number: u64,
    random: Random,
    handle: &'a RecordingHandle<T>,
    chosen: Option<KeyedRequest<T>>,
    key: u64,
}

/// What a client requests, and about which key.
pub(crate) struct KeyedRequest<T> {
    pub(crate) request: Request<T>,
    /// Operations on different keys are independent of each other.
    pub(crate) key: u64,
}

impl<'a, T: Object> Client<'a, T> {
    pub(crate) fn new(
        number: usize,
        operation_number: u64,
        random: Random,
        handle: &'a RecordingHandle<T>,
    ) -> Client<'a, T> {
        Client { number, operation_number, random, handle, chosen: None, key: 0 }
    }

    /// Which client this is, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The number of this operation, from 1: no other operation of the run has it, so it makes values unique.
    pub fn operation_number(&self) -> u64 {
        self.operation_number
    }

    /// Random numbers that depend on the seed, the client and the operation, and on nothing else.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Sets the key that the operation is about; the default is 0.
    /// [`check_linearizability`](super::Simulation::check_linearizability) checks each key's operations on their own, which
    /// is much faster. An operation must neither see nor change the state of another key: otherwise the check fails
    /// although the cluster is correct.
    pub fn set_key(&mut self, key: u64) {
        self.key = key;
    }

    /// Makes a replicated call: `client.call(|kv| kv.set("a", 1))`.
    ///
    /// # Panics
    /// If the workload has already chosen an operation, or the arguments cannot be encoded.
    pub fn call<R: DeserializeOwned + Debug>(&mut self, call: impl FnOnce(&T::Handle) -> Call<R>) {
        let Some((method, arguments)) = self.handle.record(call) else {
            panic!("the arguments cannot be encoded");
        };
        let show = |reply: &[u8]| match postcard::from_bytes::<R>(reply) {
            Ok(reply) => format!("{reply:?}"),
            Err(error) => format!("bytes that cannot be decoded ({error})"),
        };
        self.choose(Request::Call { method, arguments, show });
    }

    /// Makes a linearizable read: `client.read(|kv| kv.get("a"))`.
    ///
    /// # Panics
    /// If the workload has already chosen an operation.
    pub fn read<R: Debug>(&mut self, read: impl Fn(&T) -> R + 'static) {
        self.choose(Request::Read {
            read: Rc::new(move |object| format!("{:?}", read(object))),
            local: false,
        });
    }

    /// Reads the replica of this client's node, which may be behind.
    ///
    /// # Panics
    /// If the workload has already chosen an operation.
    pub fn read_local<R: Debug>(&mut self, read: impl Fn(&T) -> R + 'static) {
        self.choose(Request::Read {
            read: Rc::new(move |object| format!("{:?}", read(object))),
            local: true,
        });
    }

    fn choose(&mut self, request: Request<T>) {
        assert!(self.chosen.is_none(), "a workload chooses one operation at a time");
        self.chosen = Some(KeyedRequest { request, key: self.key });
    }

    pub(crate) fn into_request(self) -> Option<KeyedRequest<T>> {
        self.chosen
    }
}

/// A handle that records its calls instead of making them: see [`Client::call`].
pub(crate) struct RecordingHandle<T: Object> {
    handle: T::Handle,
    recorder: Arc<Recorder>,
}

#[derive(Default)]
struct Recorder {
    last: Mutex<Option<(MethodId, Bytes)>>,
}

impl<T: Object> RecordingHandle<T> {
    /// `object` is the state of a local read through the handle.
    pub(crate) fn new(object: T) -> RecordingHandle<T> {
        let recorder = Arc::new(Recorder::default());
        let core = Core::new(Arc::clone(&recorder) as Arc<dyn SubmitCall>, Arc::new(StateLock::new(object)));
        RecordingHandle { handle: <T::Handle as Handle>::new(core), recorder }
    }

    /// The method that `call` calls, and its encoded arguments; `None` if they cannot be encoded.
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
