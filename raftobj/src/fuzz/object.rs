//! A user's object: the commands that are applied to it, and the replies to its callers.

use super::codec::sample_command;
use super::{Check, Input, put_slice};
use crate::calls::outcome::Committed;
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::describe::describe;
use crate::object::lock::StateLock;
use crate::object::machine::{Applied, Between, Machine, MachineConfig, OnPanic};
use crate::raft::types::{Entry, EntryId, EntryKind, Index, Term, Time};
use crate::replica::call::decode_reply;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::sync::Arc;

/// Applies entries to an object, as a node applies committed ones, and describes them.
///
/// The input is entries, each a byte of kind and a slice. Kind 0: a no-op. Kind 1: the slice is an entry's payload.
/// Kind 2: the slice is a method's id and its arguments, in the next command of one session.
///
/// # Panics
/// If two replicas differ, or an entry that took effect cannot be described.
pub fn machine<T: Object + Default>(bytes: &[u8]) -> Option<Check> {
    let mut entries = Vec::new();
    let mut number = 0;
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let kind = input.byte() % 3;
        let slice = input.slice();
        let payload = match kind {
            2 => {
                number += 1;
                let (method, arguments) = slice.split_first_chunk().unwrap_or((&[0; 4], &[]));
                let mut command = sample_command(number, arguments);
                command.method.0 = u32::from_le_bytes(*method);
                command.encode()
            }
            _ => Bytes::copy_from_slice(slice),
        };
        let kind = if kind == 0 { EntryKind::Noop } else { EntryKind::Command };
        let id = EntryId { term: Term(1), index: Index(entries.len() as u64 + 1) };
        entries.push(Entry { id, time: Time(1_790_000_000_000), kind, payload });
    }
    let applied = apply::<T>(&entries, false);
    let is_refused = applied.stop.is_some();
    let check = move || {
        assert_eq!(applied, apply::<T>(&entries, true), "two replicas differ");
        let descriptions = entries.iter().map(|entry| (entry.id, describe::<T>(entry)));
        for (checkpoint, (id, text)) in applied.checkpoints.iter().zip(descriptions) {
            let is_described = !text.starts_with('(');
            assert!(
                is_described || checkpoint.method.is_none(),
                "{id} took effect, but is described as {text}"
            );
        }
    };
    if is_refused {
        check();
        return None;
    }
    Some(Box::new(check))
}

fn apply<T: Object + Default>(entries: &[Entry], pauses: bool) -> Applied {
    let own = sample_command(1, b"").session;
    let config = MachineConfig { own, reply_bytes_max: 1 << 10, on_panic: OnPanic::Continue };
    let between = if pauses { Between::Pause } else { Between::Continue };
    Machine::new(Arc::new(StateLock::new(T::default())), config).apply(entries, &mut || between)
}

/// An input of [`machine`] with these calls: each a method's name and its encoded arguments.
pub fn machine_seed(calls: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut input = vec![0, 0, 0];
    for (method, arguments) in calls {
        input.push(2);
        put_slice(&mut input, &[&MethodId::of(method).0.to_le_bytes(), &arguments[..]].concat());
    }
    if let Some((method, arguments)) = calls.first() {
        let mut command = sample_command(calls.len() as u64 + 1, arguments);
        command.method = MethodId::of(method);
        input.push(1);
        put_slice(&mut input, &command.encode());
    }
    input
}

/// Decodes a reply of this type, as a call does for its caller.
///
/// # Panics
/// If a decoded reply changes when it is encoded and decoded again.
pub fn reply<R>(bytes: &[u8]) -> Option<Check>
where
    R: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    let decode = |bytes: &[u8]| {
        let value = Bytes::copy_from_slice(bytes);
        decode_reply::<R>(Committed { value, index: Index(1), term: Term(1) })
    };
    match decode(bytes) {
        Ok(Committed { value, .. }) => Some(Box::new(move || {
            let encoded = postcard::to_stdvec(&value).expect("a decoded value can be encoded");
            assert_eq!(decode(&encoded).map(|reply| reply.value), Ok(value));
        })),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{error:?} has no message");
            None
        }
    }
}
