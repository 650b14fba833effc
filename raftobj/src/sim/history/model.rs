//! What an object should do: a model to compare a history with, and a few ready ones.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// What the object should do, one call at a time.
///
/// The model *computes* a reply rather than judging the one that was seen. So a call whose reply is unknown needs no
/// case of its own, a counterexample can say what the reply should have been, and a replicated object, which is
/// deterministic, can be its own model: clone it as the state and call its plain methods.
pub trait Model {
    /// What clients ask.
    type Call: PartialEq + Debug;
    /// What they are told.
    type Reply: PartialEq + Debug;
    /// What the object remembers. Small states make fast checks: each is compared, and kept, many times.
    type State: Clone + Eq + Hash + Debug;
    /// Calls of different keys have nothing to do with each other and are checked apart, which is what makes long
    /// histories cheap. `()` where the object is one piece.
    type Key: Ord + Debug;

    /// Which part of the object a call concerns. Must hold for its state as for its reply.
    fn key(&self, call: &Self::Call) -> Self::Key;

    /// The state, of one key, before the first call.
    fn initial(&self) -> Self::State;

    /// Does the call and returns its reply. Deterministic, and total: any call may be tried in any state.
    fn apply(&self, state: &mut Self::State, call: &Self::Call) -> Self::Reply;

    /// Whether a call that gets this reply leaves every state as it is: a read, or a compare-and-set that did not set.
    /// "No" is always right; a true "yes" makes checks much faster, a wrong one is found out by a panic.
    fn is_read_only(&self, _call: &Self::Call, _reply: &Self::Reply) -> bool {
        false
    }

    /// A call and its reply, if it has one, in the few words that a timeline has room for.
    fn describe(&self, call: &Self::Call, reply: Option<&Self::Reply>) -> String {
        match reply {
            Some(reply) => format!("{call:?} -> {reply:?}"),
            None => format!("{call:?}"),
        }
    }
}

/// Many objects of one kind, each under its key: calls are `(key, call)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByKey<K, M> {
    each: M,
    key: PhantomData<K>,
}

impl<K, M> ByKey<K, M> {
    /// Each key has an object of its own that behaves like `each`.
    pub fn new(each: M) -> Self {
        Self { each, key: PhantomData }
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
        self.each.initial()
    }

    fn apply(&self, state: &mut Self::State, (_, call): &Self::Call) -> Self::Reply {
        self.each.apply(state, call)
    }

    fn is_read_only(&self, (_, call): &Self::Call, reply: &Self::Reply) -> bool {
        self.each.is_read_only(call, reply)
    }

    fn describe(&self, (_, call): &Self::Call, reply: Option<&Self::Reply>) -> String {
        self.each.describe(call, reply)
    }
}

/// A value that can be read, written, swapped, and compared and set. At first there is none.
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
    /// Replies the value.
    Read,
    /// Sets the value, replies [`RegisterReply::Done`].
    Write(V),
    /// Sets the value, replies the one before it.
    Swap(V),
    /// Sets the value if it was the expected one, replies whether.
    CompareAndSet {
        /// What the value must be.
        expected: Option<V>,
        /// What it becomes.
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
    /// To a compare-and-set: whether it set.
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

/// A number that only grows, or shrinks, by what is added. At first 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

/// A call on a [`Counter`]; replies are numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterCall {
    /// Replies the sum.
    Get,
    /// Adds and replies the new sum; wraps at the ends of `i64`.
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

/// First in, first out. At first empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue<V>(PhantomData<V>);

impl<V> Queue<V> {
    /// An empty queue.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// A call on a [`Queue`]; the reply to a push is `None`, to a pop what was first, if anything was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueCall<V> {
    /// Puts a value at the end.
    Push(V),
    /// Takes the first value.
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
