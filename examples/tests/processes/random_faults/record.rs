//! What a client sent and received, and when: parsed from the lines of its pipes.

use crate::harness::{Changed, status_fields};
use raftobj::sim::history::{ClientId, Timestamp};
use std::fmt;

/// A command, its answer, and the two times between which it took place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Each start of a process has its own client.
    pub(crate) client: ClientId,
    pub(crate) command: Command,
    /// Before the command was written.
    pub(crate) begin: Timestamp,
    /// After the answer was read.
    pub(crate) end: Timestamp,
    pub(crate) answer: Answer,
}

/// A command. No two commands set the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Set { key: u64, value: u64 },
    Pop { key: u64 },
    Get { key: u64, linearizable: bool },
    Status,
}

/// A parsed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `set` and `pop`: took effect at this index, and replaced this value.
    Changed { index: u64, previous: Option<u64> },
    /// `get`.
    Value(Option<u64>),
    /// `status`: the applied index, and the term in which the node leads, if it does.
    Status { applied: u64, leads_in: Option<u64> },
    /// The command did not and will not take effect.
    NoEffect,
    /// The command may have taken effect, or may do so later. Also if the process was killed before it answered.
    Unknown,
}

impl Answer {
    /// Parses an answer; `None` if it is not one that is documented for this command.
    pub(crate) fn parse(command: Command, line: &str) -> Option<Answer> {
        let is_error = |kind: &str| line.starts_with(&format!("error: {kind}: "));
        match command {
            Command::Set { .. } | Command::Pop { .. } => {
                if is_error("not applied") {
                    return Some(Answer::NoEffect);
                }
                if is_error("outcome unknown") {
                    return Some(Answer::Unknown);
                }
                let Changed { index, previous } = Changed::parse(line)?;
                let previous = previous.map(|value| value.parse()).transpose().ok()?;
                Some(Answer::Changed { index, previous })
            }
            Command::Get { .. } if is_error("not read") => Some(Answer::NoEffect),
            Command::Get { .. } if line == "none" => Some(Answer::Value(None)),
            Command::Get { .. } => {
                let value = line.strip_prefix("value=\"")?.strip_suffix('"')?;
                Some(Answer::Value(Some(value.parse().ok()?)))
            }
            Command::Status => {
                let fields = status_fields(line)?;
                let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
                let leads = fields.get("role")? == "leader";
                Some(Answer::Status {
                    applied: number("applied")?,
                    leads_in: number("term").filter(|_| leads),
                })
            }
        }
    }

    /// Whether this answer needed a majority.
    pub(crate) fn was_served(self, command: Command) -> bool {
        match self {
            Answer::Changed { .. } => true,
            Answer::Value(_) => matches!(command, Command::Get { linearizable: true, .. }),
            Answer::Status { .. } | Answer::NoEffect | Answer::Unknown => false,
        }
    }
}

/// As it is sent.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Set { key, value } => write!(f, "set {key} {value}"),
            Command::Pop { key } => write!(f, "pop {key}"),
            Command::Get { key, linearizable: true } => write!(f, "get --linearizable {key}"),
            Command::Get { key, linearizable: false } => write!(f, "get {key}"),
            Command::Status => write!(f, "status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, the records differ from what the processes answered.
    #[test]
    fn answers_are_parsed_as_documented() {
        let (set, pop) = (Command::Set { key: 1, value: 2 }, Command::Pop { key: 1 });
        let get = Command::Get { key: 1, linearizable: true };
        for (command, line, answer) in [
            (set, r#"ok index=7 term=2 previous="1""#, Some(Answer::Changed { index: 7, previous: Some(1) })),
            (pop, "ok index=8 term=2 previous=none", Some(Answer::Changed { index: 8, previous: None })),
            (set, "error: not applied: no leader within the deadline", Some(Answer::NoEffect)),
            (pop, "error: outcome unknown: the call was sent", Some(Answer::Unknown)),
            (get, r#"value="2""#, Some(Answer::Value(Some(2)))),
            (get, "none", Some(Answer::Value(None))),
            (get, "error: not read: no leader within the deadline", Some(Answer::NoEffect)),
            (
                Command::Status,
                "node=a:1 role=leader leader=a:1 term=3 commit=9 applied=8 last=9 digest=00ff",
                Some(Answer::Status { applied: 8, leads_in: Some(3) }),
            ),
            (
                Command::Status,
                "node=a:1 role=follower leader=none term=3 commit=9 applied=8 last=9 digest=00ff",
                Some(Answer::Status { applied: 8, leads_in: None }),
            ),
            // Truncated by SIGKILL, or no answer to this command.
            (set, r#"ok index=7 term=2 previous="1"#, None),
            (set, "ok index=7 term=2 previous=non", None),
            (get, r#"value="2"#, None),
            (get, r#"value="two""#, None),
            (set, r#"value="2""#, None),
            (get, "error: not applied: no", None),
            (set, "error: applied at index 7, but the method panicked", None),
        ] {
            assert_eq!(Answer::parse(command, line), answer, "`{command}` answered by `{line}`");
        }
    }
}
