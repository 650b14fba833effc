//! What can be typed at the prompt.

use crate::words;

/// A line of input that asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Sets a key, on all nodes.
    Set { key: String, value: String },
    /// Removes a key, on all nodes.
    Pop { key: String },
    /// Reads a key: as this node has it, or, `linearizable`, at least all that was committed before.
    Get { key: String, linearizable: bool },
    /// This node at this moment.
    Status,
    /// The last entries of this node's log.
    Log { count: usize },
    /// What can be typed.
    Help,
    /// Leave.
    Quit,
}

/// Each command, and what it does.
pub(crate) const COMMANDS: [(&str, &str); 8] = [
    ("set K V", "sets a key on all nodes and tells the log index and the value before"),
    ("pop K", "removes a key on all nodes and tells the log index and the value before"),
    ("get K", "reads a key on this node"),
    ("get --linearizable K", "the same, after all that was committed before"),
    ("status", "tells of this node: role, leader, term, indexes, digest"),
    ("log [N]", "shows the last N entries of this node's log (10): index, term, call"),
    ("help", "this list"),
    ("quit", "leaves; so do end of input, SIGINT and SIGTERM"),
];

const LOG_COUNT_DEFAULT: usize = 10;

impl Command {
    /// Reads a line; `None` if it is empty, and a sentence if it means nothing.
    pub(crate) fn parse(line: &str) -> Result<Option<Command>, String> {
        let words = words::split(line)?;
        let Some((name, arguments)) = words.split_first() else { return Ok(None) };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let command = match (name.as_str(), arguments.as_slice()) {
            ("set", [key, value]) => Command::Set { key: (*key).into(), value: (*value).into() },
            ("set", _) => {
                return Err(r#"set takes a key and a value; quote blanks: set K "two words""#.into());
            }
            ("pop", [key]) => Command::Pop { key: (*key).into() },
            ("pop", _) => return Err("pop takes a key: pop K".into()),
            ("get", ["--linearizable", key]) => Command::Get { key: (*key).into(), linearizable: true },
            ("get", [key]) if *key != "--linearizable" => {
                Command::Get { key: (*key).into(), linearizable: false }
            }
            ("get", _) => return Err("get takes a key: get K, or get --linearizable K".into()),
            ("status", []) => Command::Status,
            ("log", []) => Command::Log { count: LOG_COUNT_DEFAULT },
            ("log", [count]) => match count.parse() {
                Ok(count) if count > 0 => Command::Log { count },
                _ => return Err(format!("{count:?} is not a number of entries: log 20")),
            },
            ("log", _) => return Err("log takes a number of entries at most: log 20".into()),
            ("help", []) => Command::Help,
            ("quit", []) => Command::Quit,
            ("status" | "help" | "quit", _) => return Err(format!("{name} takes nothing after it")),
            _ => return Err(format!("there is no command {name:?}; help lists them")),
        };
        Ok(Some(command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, a command does something else than what its user typed.
    #[test]
    fn commands_are_read_as_documented() {
        let get = |key: &str, linearizable| Command::Get { key: key.into(), linearizable };
        for (line, command) in [
            ("  ", None),
            ("set a 'b c'", Some(Command::Set { key: "a".into(), value: "b c".into() })),
            ("pop a", Some(Command::Pop { key: "a".into() })),
            ("get a", Some(get("a", false))),
            ("get --linearizable a", Some(get("a", true))),
            ("status", Some(Command::Status)),
            ("log", Some(Command::Log { count: 10 })),
            ("log 3", Some(Command::Log { count: 3 })),
            ("help", Some(Command::Help)),
            ("quit", Some(Command::Quit)),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{line}");
        }
    }

    /// If it fails, a slip of the finger is carried out, or answered with something that does not help.
    #[test]
    fn what_is_not_a_command_is_answered_with_a_sentence() {
        for (line, hint) in [
            ("foo", "help"),
            ("SET a b", "help"),
            ("set a", "a key and a value"),
            ("set a b c", "quote blanks"),
            ("pop", "pop K"),
            ("get", "get K"),
            ("get --linearizable", "get --linearizable K"),
            ("get a b", "get K"),
            ("log x", "not a number"),
            ("log 0", "not a number"),
            ("log 1 2", "log 20"),
            ("status now", "nothing after it"),
            ("set 'a", "not closed"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.contains(hint), "{line}: {error}");
        }
    }
}
