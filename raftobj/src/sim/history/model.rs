//! Models: the specified behaviour of an object, to compare a history with.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// The specified behaviour of an object, one call at a time.
///
/// A model *computes* the reply; it does not judge an observed one. Therefore a call with an unknown reply is no special
/// case, a counterexample can show the right reply, and a replicated object, which is deterministic, can be its own
/// model: clone it as the state and call its plain methods.
pub trait Model {
    /// A method and its arguments.
    type Call: PartialEq + Debug;
    /// What a call returns.
    type Reply: PartialEq + Debug;
    /// The object's state. Small states make checks fast: states are compared and stored many times.
    type State: Clone + Eq + Hash + Debug;
    /// Calls of different keys are independent and are checked separately, which makes long histories cheap to check.
    /// `()` where the object cannot be divided.
    type Key: Ord + Debug;

    /// The part of the object that a call reads and changes; neither its effect nor its reply may depend on another.
    fn key(&self, call: &Self::Call) -> Self::Key;

    /// The state of one key before the first call.
    fn initial(&self) -> Self::State;

    /// Executes the call and returns its reply. Must be deterministic and total: any call may be tried in any state.
    fn apply(&self, state: &mut Self::State, call: &Self::Call) -> Self::Reply;

    /// Whether a call that gets this reply changes no state: a read, or a compare-and-set that did not set. `false` is
    /// always correct; `true` makes checks much faster, and panics where the call does change the state.
    fn is_read_only(&self, _call: &Self::Call, _reply: &Self::Reply) -> bool {
        false
    }

    /// A call and its reply, if it has one, as a short text for a timeline.
    fn describe(&self, call: &Self::Call, reply: Option<&Self::Reply>) -> String {
        match reply {
            Some(reply) => format!("{call:?} -> {reply:?}"),
            None => format!("{call:?}"),
        }
    }
}

/// A map of independent objects of one kind: calls are `(key, call)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByKey<K, M> {
    model: M,
    key: PhantomData<K>,
}

impl<K, M> ByKey<K, M> {
    /// Each key has an object of its own that behaves like `model`.
    pub fn new(model: M) -> Self {
        Self { model, key: PhantomData }
    }
}

impl<K: Ord + Clone + Debug, M: Model<Key = ()>> Model for ByKey<K, M> {
    type Call = (K, M::Call);
    type Reply = M::Reply;
    type State = M::State;
    type Key = K;

    fn key(&self, (key, _): &Self::Call) -> Self::Key {
        key.clone()
    }

    fn initial(&self) -> Self::State {
        self.model.initial()
    }

    fn apply(&self, state: &mut Self::State, (_, call): &Self::Call) -> Self::Reply {
        self.model.apply(state, call)
    }

    fn is_read_only(&self, (_, call): &Self::Call, reply: &Self::Reply) -> bool {
        self.model.is_read_only(call, reply)
    }

    fn describe(&self, (_, call): &Self::Call, reply: Option<&Self::Reply>) -> String {
        self.model.describe(call, reply)
    }
}

/// A value that can be read, written, swapped, and compared and set. Initially there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register<V>(PhantomData<V>);

impl<V> Register<V> {
    /// A register without a value.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// A call on a [`Register`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegisterCall<V> {
    /// Replies with the value.
    Read,
    /// Sets the value; replies with [`RegisterReply::Done`].
    Write(V),
    /// Sets the value; replies with the previous one.
    Swap(V),
    /// Sets the value if it was the expected one; replies whether it did.
    CompareAndSet {
        /// The value that must be there.
        expected: Option<V>,
        /// The value to set.
        new: V,
    },
}

/// A reply of a [`Register`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegisterReply<V> {
    /// To a read, and to a swap.
    Value(Option<V>),
    /// To a write.
    Done,
    /// To a compare-and-set: whether it set the value.
    Set(bool),
}

impl<V: Clone + Eq + Hash + Debug> Model for Register<V> {
    type Call = RegisterCall<V>;
    type Reply = RegisterReply<V>;
    type State = Option<V>;
    type Key = ();

    fn key(&self, _: &Self::Call) -> Self::Key {}

    fn initial(&self) -> Self::State {
        None
    }

    fn apply(&self, state: &mut Self::State, call: &Self::Call) -> Self::Reply {
        match call {
            RegisterCall::Read => RegisterReply::Value(state.clone()),
            RegisterCall::Write(value) => {
                *state = Some(value.clone());
                RegisterReply::Done
            }
            RegisterCall::Swap(value) => RegisterReply::Value(state.replace(value.clone())),
            RegisterCall::CompareAndSet { expected, new } => {
                let is_equal = state == expected;
                if is_equal {
                    *state = Some(new.clone());
                }
                RegisterReply::Set(is_equal)
            }
        }
    }

    fn is_read_only(&self, call: &Self::Call, reply: &Self::Reply) -> bool {
        *call == RegisterCall::Read || *reply == RegisterReply::Set(false)
    }

    fn describe(&self, call: &Self::Call, reply: Option<&Self::Reply>) -> String {
        let value = |value: &Option<V>| value.as_ref().map_or("none".into(), |value| format!("{value:?}"));
        let call = match call {
            RegisterCall::Read => "read".into(),
            RegisterCall::Write(value) => format!("write {value:?}"),
            RegisterCall::Swap(new) => format!("swap {new:?}"),
            RegisterCall::CompareAndSet { expected, new } => format!("cas {}, {new:?}", value(expected)),
        };
        match reply {
            None | Some(RegisterReply::Done) => call,
            Some(RegisterReply::Value(seen)) => format!("{call} -> {}", value(seen)),
            Some(RegisterReply::Set(is_set)) => format!("{call} -> {is_set}"),
        }
    }
}

/// A sum that calls add to. Initially 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

/// A call on a [`Counter`]; the reply is the sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterCall {
    /// Reads the sum.
    Get,
    /// Adds, wrapping at the limits of `i64`, and replies with the new sum.
    Add(i64),
}

impl Model for Counter {
    type Call = CounterCall;
    type Reply = i64;
    type State = i64;
    type Key = ();

    fn key(&self, _: &Self::Call) -> Self::Key {}

    fn initial(&self) -> Self::State {
        0
    }

    fn apply(&self, state: &mut Self::State, call: &Self::Call) -> Self::Reply {
        if let CounterCall::Add(amount) = call {
            *state = state.wrapping_add(*amount);
        }
        *state
    }

    fn is_read_only(&self, call: &Self::Call, _: &Self::Reply) -> bool {
        *call == CounterCall::Get
    }
}

/// First in, first out. Initially empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue<V>(PhantomData<V>);

impl<V> Queue<V> {
    /// An empty queue.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// A call on a [`Queue`]; the reply to a push is `None`, to a pop the first value, if there was one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueCall<V> {
    /// Adds a value at the end.
    Push(V),
    /// Removes the first value.
    Pop,
}

impl<V: Clone + Eq + Hash + Debug> Model for Queue<V> {
    type Call = QueueCall<V>;
    type Reply = Option<V>;
    type State = VecDeque<V>;
    type Key = ();

    fn key(&self, _: &Self::Call) -> Self::Key {}

    fn initial(&self) -> Self::State {
        VecDeque::new()
    }

    fn apply(&self, state: &mut Self::State, call: &Self::Call) -> Self::Reply {
        match call {
            QueueCall::Push(value) => {
                state.push_back(value.clone());
                None
            }
            QueueCall::Pop => state.pop_front(),
        }
    }

    fn is_read_only(&self, call: &Self::Call, reply: &Self::Reply) -> bool {
        *call == QueueCall::Pop && reply.is_none()
    }
}
