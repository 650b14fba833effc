//! For tests of all rooms: an object that is written without the macro, entries with calls of it, and random numbers.

use super::context::ApplyContext;
use super::{MethodError, Object, Replicated};
use crate::codec::command::{Command, Number, ObjectId, SessionId};
use crate::codec::method::{Method, MethodId};
use crate::hash::splitmix64;
use crate::raft::types::{Boot, Entry, EntryId, EntryKind, Incarnation, Index, NodeId, Term, Time};
use crate::replica::{Core, Handle};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts how often each key was added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) counts: BTreeMap<u64, u64>,
    /// With another value on each replica, the method `skewed` is not deterministic.
    pub(crate) skew: u64,
    /// The object of an older version of the code, which does not have this method.
    #[serde(skip)]
    pub(crate) lacks: Option<MethodId>,
}

pub(crate) const ADD: MethodId = MethodId::of("add");
pub(crate) const BOOM: MethodId = MethodId::of("boom");
pub(crate) const LARGE: MethodId = MethodId::of("large");
pub(crate) const SKEWED: MethodId = MethodId::of("skewed");
pub(crate) const UNENCODABLE: MethodId = MethodId::of("unencodable");

impl Replicated for Tally {}

const fn method(name: &'static str) -> Method {
    Method { id: MethodId::of(name), name, arity: 1, types: "u64" }
}

impl Object for Tally {
    type Handle = TallyHandle;

    const NAME: &'static str = "Tally";

    const METHODS: &'static [Method] =
        &[method("add"), method("boom"), method("large"), method("skewed"), method("unencodable")];

    fn apply(
        &mut self,
        id: MethodId,
        arguments: &[u8],
        _context: &ApplyContext,
        reply: &mut Vec<u8>,
    ) -> Result<(), MethodError> {
        let has = |method: &&Method| method.id == id && self.lacks != Some(id);
        let Some(method) = Self::METHODS.iter().find(has) else {
            return Err(MethodError::Unknown(id));
        };
        let key = key(method.name, arguments)?;
        let count = self.counts.entry(key).or_default();
        *count += 1;
        match id {
            ADD => reply.extend_from_slice(&count.to_le_bytes()),
            BOOM => panic!("boom {key} with skew {}", self.skew),
            LARGE => reply.resize(usize::try_from(key).unwrap(), 7),
            SKEWED => reply.extend_from_slice(&self.skew.to_le_bytes()),
            UNENCODABLE => {
                return Err(MethodError::Reply { method: method.name, reason: "no length".to_owned() });
            }
            other => unreachable!("method {:08x} is in the table", other.0),
        }
        Ok(())
    }

    fn describe(id: MethodId, arguments: &[u8]) -> Result<String, MethodError> {
        match Self::METHODS.iter().find(|method| method.id == id) {
            Some(method) => Ok(key(method.name, arguments)?.to_string()),
            None => Err(MethodError::Unknown(id)),
        }
    }
}

fn key(method: &'static str, arguments: &[u8]) -> Result<u64, MethodError> {
    match <[u8; 8]>::try_from(arguments) {
        Ok(bytes) => Ok(u64::from_le_bytes(bytes)),
        Err(error) => Err(MethodError::Arguments { method, reason: error.to_string() }),
    }
}

/// The arguments of each method of [`Tally`].
pub(crate) fn arguments(key: u64) -> Bytes {
    Bytes::copy_from_slice(&key.to_le_bytes())
}

/// A call as in source code.
pub(crate) fn call_text(command: &Command) -> String {
    let name = super::describe::method_name::<Tally>(command.method).unwrap_or("unknown");
    match Tally::describe(command.method, &command.arguments) {
        Ok(arguments) => format!("{name}({arguments})"),
        Err(error) => format!("({error})"),
    }
}

#[derive(Clone)]
pub(crate) struct TallyHandle(Core<Tally>);

impl Handle for TallyHandle {
    type Object = Tally;

    fn new(core: Core<Tally>) -> TallyHandle {
        TallyHandle(core)
    }

    fn core(&self) -> &Core<Tally> {
        &self.0
    }
}

pub(crate) fn session(node: u64, boot: u64) -> SessionId {
    SessionId { node: NodeId(node), incarnation: Incarnation(node * 100), boot: Boot(boot) }
}

pub(crate) fn command(session: SessionId, number: u64, lowest: u64, method: MethodId, key: u64) -> Command {
    Command {
        object: ObjectId::default(),
        session,
        number: Number(number),
        lowest: Number(lowest),
        method,
        arguments: arguments(key),
    }
}

pub(crate) fn entry(term: u64, index: u64, command: &Command) -> Entry {
    let (kind, payload) = (EntryKind::Command, command.encode());
    Entry { id: EntryId { term: Term(term), index: Index(index) }, time: Time(1_000 + index), kind, payload }
}

pub(crate) fn noop(term: u64, index: u64) -> Entry {
    let (kind, payload) = (EntryKind::Noop, Bytes::new());
    Entry { id: EntryId { term: Term(term), index: Index(index) }, time: Time(1_000 + index), kind, payload }
}

/// Random numbers that are a function of a seed.
#[derive(Clone, Debug)]
pub(crate) struct TestRandom(pub(crate) u64);

impl TestRandom {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        splitmix64(&mut self.0) % bound
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
