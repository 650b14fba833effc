//! What a client asked, what it was told, and when: read from the lines that go through its pipes.

use crate::harness::{Changed, status_fields};
use raftobj::sim::history::{ClientId, Timestamp};
use std::fmt;

/// A command, the line that answered it, and the points between which it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// One life of one process.
    pub(crate) client: ClientId,
    pub(crate) asked: Asked,
    /// Before the command was written.
    pub(crate) begin: Timestamp,
    /// After the answer was read.
    pub(crate) end: Timestamp,
    pub(crate) told: Told,
}

/// A command. Every value is set by one command only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Set { key: u64, value: u64 },
    Pop { key: u64 },
    Get { key: u64, linearizable: bool },
    Status,
}

/// What the answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// `set` and `pop`: it took effect here, and this was there before.
    Changed { index: u64, previous: Option<u64> },
    /// `get`.
    Value(Option<u64>),
    /// `status`: how far this node is, and in which term it leads, if it does.
    Status { applied: u64, leads_in: Option<u64> },
    /// It took no effect and never will.
    Not,
    /// It may have taken effect, or may do so yet. So it is too if the process was killed before it answered.
    Unknown,
}

impl Told {
    /// Reads an answer; `None` if it is not one that is documented for this command.
    pub(crate) fn parse(asked: Asked, line: &str) -> Option<Told> {
        let is_not = |why: &str| line.starts_with(&format!("error: {why}: "));
        match asked {
            Asked::Set { .. } | Asked::Pop { .. } => {
                if is_not("not applied") {
                    return Some(Told::Not);
                }
                if is_not("outcome unknown") {
                    return Some(Told::Unknown);
                }
                let Changed { index, previous } = Changed::parse(line)?;
                let previous = previous.map(|value| value.parse()).transpose().ok()?;
                Some(Told::Changed { index, previous })
            }
            Asked::Get { .. } if is_not("not read") => Some(Told::Not),
            Asked::Get { .. } if line == "none" => Some(Told::Value(None)),
            Asked::Get { .. } => {
                let value = line.strip_prefix("value=\"")?.strip_suffix('"')?;
                Some(Told::Value(Some(value.parse().ok()?)))
            }
            Asked::Status => {
                let fields = status_fields(line)?;
                let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
                let leads = fields.get("role")? == "leader";
                Some(Told::Status { applied: number("applied")?, leads_in: number("term").filter(|_| leads) })
            }
        }
    }

    /// Whether a majority had to take part in it.
    pub(crate) fn was_served(self, asked: Asked) -> bool {
        match self {
            Told::Changed { .. } => true,
            Told::Value(_) => matches!(asked, Asked::Get { linearizable: true, .. }),
            Told::Status { .. } | Told::Not | Told::Unknown => false,
        }
    }
}

/// As it is typed.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Set { key, value } => write!(f, "set {key} {value}"),
            Asked::Pop { key } => write!(f, "pop {key}"),
            Asked::Get { key, linearizable: true } => write!(f, "get --linearizable {key}"),
            Asked::Get { key, linearizable: false } => write!(f, "get {key}"),
            Asked::Status => write!(f, "status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, a history holds something else than what the processes said.
    #[test]
    fn answers_are_read_as_documented() {
        let (set, pop) = (Asked::Set { key: 1, value: 2 }, Asked::Pop { key: 1 });
        let get = Asked::Get { key: 1, linearizable: true };
        for (asked, line, told) in [
            (set, r#"ok index=7 term=2 previous="1""#, Some(Told::Changed { index: 7, previous: Some(1) })),
            (pop, "ok index=8 term=2 previous=none", Some(Told::Changed { index: 8, previous: None })),
            (set, "error: not applied: no leader within the deadline", Some(Told::Not)),
            (pop, "error: outcome unknown: the call was sent", Some(Told::Unknown)),
            (get, r#"value="2""#, Some(Told::Value(Some(2)))),
            (get, "none", Some(Told::Value(None))),
            (get, "error: not read: no leader within the deadline", Some(Told::Not)),
            (
                Asked::Status,
                "node=a:1 role=leader leader=a:1 term=3 commit=9 applied=8 last=9 digest=00ff",
                Some(Told::Status { applied: 8, leads_in: Some(3) }),
            ),
            (
                Asked::Status,
                "node=a:1 role=follower leader=none term=3 commit=9 applied=8 last=9 digest=00ff",
                Some(Told::Status { applied: 8, leads_in: None }),
            ),
            // Cut off by SIGKILL, or nobody's answer to this.
            (set, r#"ok index=7 term=2 previous="1"#, None),
            (set, "ok index=7 term=2 previous=non", None),
            (get, r#"value="2"#, None),
            (get, r#"value="two""#, None),
            (set, r#"value="2""#, None),
            (get, "error: not applied: no", None),
            (set, "error: applied at index 7, but the method panicked", None),
        ] {
            assert_eq!(Told::parse(asked, line), told, "`{asked}` answered by `{line}`");
        }
    }
}
