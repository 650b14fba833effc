//! Entries as text for people.

use super::Object;
use crate::codec::command::Command;
use crate::codec::method::MethodId;
use crate::raft::types::{Entry, EntryKind};

/// The name of the method with this id.
pub(crate) fn method_name<T: Object>(id: MethodId) -> Option<&'static str> {
    T::METHODS.iter().find(|method| method.id == id).map(|method| method.name)
}

/// `set("a", "1")`, `no-op`, or in parentheses why there is no such text.
pub(crate) fn describe<T: Object>(entry: &Entry) -> String {
    let command = match entry.kind {
        EntryKind::Noop => return "no-op".to_owned(),
        EntryKind::Command => Command::decode(&entry.payload),
    };
    match command {
        Ok(command) => call_text::<T>(command.method, &command.arguments),
        Err(error) => format!("(not a command: {error})"),
    }
}

/// `set("a", "1")`, or in parentheses why there is no such text.
pub(crate) fn call_text<T: Object>(method: MethodId, arguments: &[u8]) -> String {
    match (method_name::<T>(method), T::describe(method, arguments)) {
        (Some(name), Ok(arguments)) => format!("{name}({arguments})"),
        (_, Err(error)) => format!("({error})"),
        (None, Ok(arguments)) => format!("{:08x}({arguments})", method.0),
    }
}
