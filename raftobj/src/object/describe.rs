//! An entry in the words of the user's object, for people.

use super::{MethodId, Object};
use crate::codec::command::Command;
use crate::raft::types::{Entry, EntryKind};

/// The name of a method, where there is one of this id.
pub(crate) fn method_name<T: Object>(id: MethodId) -> Option<&'static str> {
    T::METHODS.iter().find(|method| method.id == id).map(|method| method.name)
}

/// `set("a", "1")`, `no-op`, or why it cannot be told.
pub(crate) fn describe<T: Object>(entry: &Entry) -> String {
    let command = match entry.kind {
        EntryKind::Noop => return "no-op".to_owned(),
        EntryKind::Command => Command::decode(&entry.payload),
    };
    match command {
        Ok(command) => {
            match (method_name::<T>(command.method), T::describe(command.method, &command.arguments)) {
                (Some(name), Ok(arguments)) => format!("{name}({arguments})"),
                (_, Err(error)) => format!("({error})"),
                (None, Ok(arguments)) => format!("{:08x}({arguments})", command.method.0),
            }
        }
        Err(error) => format!("(not a command: {error})"),
    }
}
