//! The format of answers: for people at a terminal, and for programs on a pipe.
//!
//! On a pipe each answer is one line in a stable format (`log` prints one line an entry), with values as JSON strings.

use crate::command::COMMANDS;
use raftobj::{CallError, Committed, LogEntry, ReadError, Status};
use std::fmt::Write;

/// Who reads the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// People.
    Terminal,
    /// Programs.
    Pipe,
}

impl Style {
    /// The answer to `set` and `pop`.
    pub(crate) fn changed(self, outcome: Result<Committed<Option<String>>, CallError>) -> String {
        let Committed { value, index, term } = match outcome {
            Ok(committed) => committed,
            Err(error) => return self.error(&error.to_string()),
        };
        let previous = value.as_deref().map_or("none".to_owned(), json);
        match self {
            Style::Pipe => format!("ok index={index} term={term} previous={previous}"),
            Style::Terminal => format!("ok, at log index {index} in term {term}; previous value: {previous}"),
        }
    }

    /// The answer to `get`.
    pub(crate) fn value(self, value: Option<String>) -> String {
        match (self, value.as_deref().map(json)) {
            (_, None) => "none".into(),
            (Style::Pipe, Some(value)) => format!("value={value}"),
            (Style::Terminal, Some(value)) => value,
        }
    }

    /// The answer to a `get` that failed.
    pub(crate) fn not_read(self, error: &ReadError) -> String {
        self.error(&format!("not read: {error}"))
    }

    /// The answer to a command that failed.
    pub(crate) fn error(self, sentence: &str) -> String {
        format!("error: {sentence}")
    }

    /// The answer to `status`.
    pub(crate) fn status(self, status: &Status) -> String {
        if self == Style::Pipe {
            return status.to_string();
        }
        let leader = status.leader.as_deref().unwrap_or("unknown");
        let mut text = format!(
            "{}: {} in term {}, leader {leader}\n\
             log: committed to {}, applied to {}, last {}, durable here to {}\n\
             digest of all applied calls: {:016x}",
            status.address,
            status.role,
            status.term,
            status.commit_index,
            status.applied_index,
            status.last_index,
            status.durable_index,
            status.digest,
        );
        for peer in &status.peers {
            let reach = if peer.connected { "connected" } else { "not connected" };
            let _ = write!(text, "\npeer {}: {reach}", peer.address);
            if let Some(match_index) = peer.match_index {
                let _ = write!(text, ", its log matches to {match_index}");
            }
            if let Some(refusal) = &peer.refusal {
                let _ = write!(text, ", refused: {refusal}");
            }
        }
        if !status.waiting_for.is_empty() {
            let _ = write!(text, "\nwaiting for {} to found the cluster", status.waiting_for.join(", "));
        }
        text
    }

    /// The answer to `log`, oldest entry first: index, term, call.
    pub(crate) fn log(self, entries: &[LogEntry]) -> String {
        if entries.is_empty() {
            return "none".into();
        }
        let line = |entry: &LogEntry| match self {
            Style::Pipe => entry.to_string(),
            Style::Terminal => {
                shortened(&format!("{:>6}  term {}  {}", entry.index, entry.term, entry.description))
            }
        };
        entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The answer to `help`.
    pub(crate) fn help(self) -> String {
        match self {
            Style::Pipe => {
                format!("commands: {}", COMMANDS.map(|(usage, _)| usage).join(", "))
            }
            Style::Terminal => {
                let lines = COMMANDS.map(|(usage, effect)| format!("{usage:<22}{effect}"));
                format!("{}\nQuote what contains blanks: set K \"two words\"", lines.join("\n"))
            }
        }
    }
}

/// A line cut to [`LINE_CHARS_MAX`], for a terminal.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], line.len()),
        None => line.to_owned(),
    }
}

const LINE_CHARS_MAX: usize = 200;

/// A JSON string. Every character that could end a line or control a terminal is escaped.
fn json(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{2028}' | '\u{2029}' => drop(write!(json, "\\u{:04x}", u32::from(character))),
            control if control.is_control() => drop(write!(json, "\\u{:04x}", u32::from(control))),
            plain => json.push(plain),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;
    use raftobj::{Index, Term};

    /// If it fails, scripts that read the answers break.
    #[test]
    fn answers_on_a_pipe_have_the_documented_format() {
        let committed = |value: Option<&str>| {
            Ok(Committed { value: value.map(str::to_owned), index: Index(7), term: Term(2) })
        };
        assert_eq!(Style::Pipe.changed(committed(Some("old"))), r#"ok index=7 term=2 previous="old""#);
        assert_eq!(Style::Pipe.changed(committed(None)), "ok index=7 term=2 previous=none");
        assert_eq!(Style::Pipe.value(Some("v".into())), r#"value="v""#);
        assert_eq!(Style::Pipe.value(None), "none");
    }

    /// If it fails, a value can end its line early, or a printed value cannot be pasted back.
    #[test]
    fn a_printed_value_is_one_line_and_reads_back() {
        let value = "a\"b\\c\nd\te\r\u{1b}[31m\u{85}\u{2028} ä 😀";
        let printed = json(value);
        assert_eq!(printed.lines().count(), 1);
        assert!(!printed.contains(char::is_control));
        assert_eq!(words::split(&printed), Ok(vec![value.to_owned()]));
    }
}
