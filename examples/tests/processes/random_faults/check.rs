//! Checks what the clients saw.
//!
//! [`check`] takes the records of a whole round. The linearizability checker covers changes and linearizable reads, key
//! by key. [`order`] covers what the checker does not see: printed indexes and local reads.

use super::order;
use super::record::{Answer, Command, Record};
use raftobj::sim::history::{ByKey, Checker, History, Model, Operation, Outcome, Verdict};

/// How many local reads were checked. The error is a violation, as text, with a timeline where possible.
pub(crate) fn check(records: &[Record]) -> Result<usize, String> {
    let model = ByKey::<u64, Entry>::new(Entry);
    match Checker::new(&model).steps_max(STEPS_MAX).check(&history(records)) {
        Verdict::Linearizable => order::check(records),
        Verdict::NotLinearizable(counter_example) => Err(counter_example.to_string()),
        Verdict::Undecided { key, steps } => Err(format!("key {key} is undecided after {steps} steps")),
    }
}

/// For one key. The checker needs 1 to 10 seconds for so many steps.
const STEPS_MAX: u64 = 10_000_000;

/// The calls that must be linearizable.
fn history(records: &[Record]) -> History<(u64, Call), Option<u64>> {
    let mut history = History::new();
    for Record { client, command, begin, end, answer } in records {
        let call = match *command {
            Command::Set { key, value } => (key, Call::Set(value)),
            Command::Pop { key } => (key, Call::Pop),
            Command::Get { key, linearizable: true } => (key, Call::Get),
            Command::Get { linearizable: false, .. } | Command::Status => continue,
        };
        let outcome = match *answer {
            Answer::Changed { previous: reply, .. } | Answer::Value(reply) => {
                Outcome::Returned { reply, at: *end }
            }
            Answer::NoEffect => Outcome::Failed,
            Answer::Unknown | Answer::Status { .. } => Outcome::Unknown,
        };
        history.push(Operation { client: *client, call, invoked_at: *begin, outcome });
    }
    history
}

/// The model of one entry of the dictionary. Every call returns the value before it.
#[derive(Clone, Copy, Debug, Default)]
struct Entry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Set(u64),
    Pop,
    Get,
}

impl Model for Entry {
    type Call = Call;
    type Reply = Option<u64>;
    type State = Option<u64>;
    type Key = ();

    fn key(&self, _: &Call) {}

    fn initial(&self) -> Option<u64> {
        None
    }

    fn apply(&self, state: &mut Option<u64>, call: &Call) -> Option<u64> {
        match call {
            Call::Set(value) => state.replace(*value),
            Call::Pop => state.take(),
            Call::Get => *state,
        }
    }

    fn is_read_only(&self, call: &Call, reply: &Option<u64>) -> bool {
        *call == Call::Get || (*call == Call::Pop && reply.is_none())
    }

    fn describe(&self, call: &Call, reply: Option<&Option<u64>>) -> String {
        let call = match call {
            Call::Set(value) => format!("set {value}"),
            Call::Pop => "pop".to_owned(),
            Call::Get => "get".to_owned(),
        };
        match reply {
            None => call,
            Some(None) => format!("{call} -> none"),
            Some(Some(value)) => format!("{call} -> {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftobj::sim::history::{ClientId, Timestamp};

    /// Records of commands that do not overlap: client, command, answer line.
    fn records(lines: &[(u64, Command, &str)]) -> Vec<Record> {
        let record = |(number, (client, command, line)): (usize, &(u64, Command, &str))| {
            let begin = Timestamp(2 * number as u64);
            let answer = Answer::parse(*command, line).expect("the line is an answer");
            Record {
                client: ClientId(*client),
                command: *command,
                begin,
                end: Timestamp(begin.0 + 1),
                answer,
            }
        };
        lines.iter().enumerate().map(record).collect()
    }

    const fn set(value: u64) -> Command {
        Command::Set { key: 1, value }
    }
    const GET: Command = Command::Get { key: 1, linearizable: true };
    const LOCAL: Command = Command::Get { key: 1, linearizable: false };
    const POP: Command = Command::Pop { key: 1 };

    fn correct_session() -> Vec<(u64, Command, &'static str)> {
        vec![
            (1, set(10), "ok index=2 term=1 previous=none"),
            (2, LOCAL, r#"value="10""#),
            (2, set(11), r#"ok index=3 term=1 previous="10""#),
            (1, set(12), "error: outcome unknown: the call was sent"),
            (3, GET, r#"value="11""#),
            (3, set(13), "error: not applied: no leader within the deadline"),
            (3, GET, r#"value="12""#),
            (1, LOCAL, r#"value="10""#),
            (1, POP, r#"ok index=5 term=2 previous="12""#),
            (2, LOCAL, r#"value="11""#),
            (1, LOCAL, "none"),
        ]
    }

    /// If it fails, correct answers fail the test.
    #[test]
    fn a_correct_session_passes() {
        assert_eq!(check(&records(&correct_session())), Ok(4));
    }

    /// If it fails, wrong answers pass the test.
    #[test]
    fn one_wrong_answer_is_reported() {
        for (what, at, wrong, sentence) in [
            ("a stale read", 6, r#"value="10""#, "get -> 10"),
            ("a lost write", 6, "none", "get -> none"),
            ("a value from nowhere", 4, r#"value="99""#, "get -> 99"),
            ("a failed write that took effect", 6, r#"value="13""#, "get -> 13"),
            ("a write that replaced nothing", 2, "ok index=3 term=1 previous=none", "set 11 -> none"),
            ("a pop of an overwritten value", 8, r#"ok index=5 term=2 previous="11""#, "pop -> 11"),
            ("an index that goes back", 8, r#"ok index=2 term=2 previous="12""#, "at index 2"),
            ("a local read that goes back", 9, r#"value="10""#, "index 3"),
            ("a local read that misses an own change", 10, r#"value="11""#, "index 5"),
            ("a local read from nowhere", 7, r#"value="99""#, "no command sets 99"),
        ] {
            let mut lines = correct_session();
            lines[at].2 = wrong;
            let report = check(&records(&lines)).expect_err(what);
            assert!(report.contains(sentence), "{what}: {report}");
        }
        let lost = [(1, set(10), "ok index=2 term=1 previous=none"), (1, LOCAL, "none")];
        let report = check(&records(&lost)).expect_err("it was not popped");
        assert!(report.contains("10 was set at index 2"), "{report}");
    }

    /// If it fails, two changes can have the same index.
    #[test]
    fn an_index_belongs_to_one_change() {
        let [mut first, mut second] =
            [(1, set(10)), (2, Command::Set { key: 2, value: 11 })].map(|(client, command)| {
                records(&[(client, command, "ok index=2 term=1 previous=none")]).remove(0)
            });
        (first.end, second.end) = (Timestamp(9), Timestamp(9));
        let report = check(&[first, second]).expect_err("both are at index 2");
        assert!(report.contains("at index 2"), "{report}");
    }

    /// If it fails, the report of a violation has no timeline.
    #[test]
    fn a_stale_read_is_reported_with_a_timeline() {
        let mut lines = correct_session();
        lines[6].2 = r#"value="10""#;
        let report = check(&records(&lines)).expect_err("it is stale");
        assert!(report.starts_with("not linearizable at key 1"), "{report}");
        assert!(report.contains("client 2") && report.contains("|--set 11"), "{report}");
    }
}
