//! The commands of the prompt.

use crate::words;

/// A parsed line of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Sets a key, on all nodes.
    Set { key: String, value: String },
    /// Removes a key, on all nodes.
    Pop { key: String },
    /// Reads a key of this node's copy. `linearizable`: after all that was committed before the command.
    Get { key: String, linearizable: bool },
    /// The state of this node.
    Status,
    /// The last entries of this node's log.
    Log { count: usize },
    /// The list of commands.
    Help,
    /// Ends the program.
    Quit,
}

/// Each command, and its effect.
pub(crate) const COMMANDS: [(&str, &str); 8] = [
    ("set K V", "sets a key on all nodes; prints the log index and the previous value"),
    ("pop K", "removes a key on all nodes; prints the log index and the previous value"),
    ("get K", "reads a key on this node"),
    ("get --linearizable K", "the same, once everything committed before is applied here"),
    ("status", "prints the state of this node: role, leader, term, indexes, digest"),
    ("log [N]", "prints the last N (10) entries of this node's log: index, term, call"),
    ("help", "prints this list"),
    ("quit", "ends the program, as end of input, SIGINT and SIGTERM do"),
];

const LOG_COUNT_DEFAULT: usize = 10;

impl Command {
    /// Parses a line; `None` if it is blank, an error sentence if it is not a command.
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

    /// If it fails, the program carries out another command than the user typed.
    #[test]
    fn commands_are_parsed_as_documented() {
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

    /// If it fails, a typing error is carried out, or its error message does not help.
    #[test]
    fn a_wrong_command_gets_an_error_that_helps() {
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
