//! Whether what the clients saw could have happened.
//!
//! [`judge`] takes the records of a whole round. Changes and linearizable reads must have an order in real time: that is
//! the checker's part, key by key. What is beside its view, the printed indexes and the local reads, [`order`] judges.

use super::order;
use super::record::{Asked, Record, Told};
use raftobj::sim::history::{ByKey, Checker, History, Model, Operation, Outcome, Verdict};

/// What is wrong with these records, drawn; or how many local reads were judged.
pub(crate) fn judge(records: &[Record]) -> Result<usize, String> {
    let model = ByKey::<u64, Entry>::new(Entry);
    match Checker::new(&model).steps_max(STEPS_MAX).check(&history(records)) {
        Verdict::Linearizable => order::judge(records),
        Verdict::NotLinearizable(counter_example) => Err(counter_example.to_string()),
        Verdict::Undecided { key, steps } => Err(format!("key {key} is undecided after {steps} steps")),
    }
}

/// For one key; the records of a key that is hard are still judged within a second or ten.
const STEPS_MAX: u64 = 10_000_000;

/// The calls of which linearizability is promised.
fn history(records: &[Record]) -> History<(u64, Call), Option<u64>> {
    let mut history = History::new();
    for Record { client, asked, begin, end, told } in records {
        let call = match *asked {
            Asked::Set { key, value } => (key, Call::Set(value)),
            Asked::Pop { key } => (key, Call::Pop),
            Asked::Get { key, linearizable: true } => (key, Call::Get),
            Asked::Get { linearizable: false, .. } | Asked::Status => continue,
        };
        let outcome = match *told {
            Told::Changed { previous: reply, .. } | Told::Value(reply) => {
                Outcome::Returned { reply, at: *end }
            }
            Told::Not => Outcome::Failed,
            Told::Unknown | Told::Status { .. } => Outcome::Unknown,
        };
        history.push(Operation { client: *client, call, invoked_at: *begin, outcome });
    }
    history
}

/// One entry of the dictionary, as it should be. Every command replies the value that it found.
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

    /// A session of a few clients, one after the other: who, the command as typed, the answer as printed.
    fn records(lines: &[(u64, Asked, &str)]) -> Vec<Record> {
        let record = |(number, (client, asked, line)): (usize, &(u64, Asked, &str))| {
            let begin = Timestamp(2 * number as u64);
            let told = Told::parse(*asked, line).expect("the line is an answer");
            Record { client: ClientId(*client), asked: *asked, begin, end: Timestamp(begin.0 + 1), told }
        };
        lines.iter().enumerate().map(record).collect()
    }

    const fn set(value: u64) -> Asked {
        Asked::Set { key: 1, value }
    }
    const GET: Asked = Asked::Get { key: 1, linearizable: true };
    const LOCAL: Asked = Asked::Get { key: 1, linearizable: false };
    const POP: Asked = Asked::Pop { key: 1 };

    fn true_session() -> Vec<(u64, Asked, &'static str)> {
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

    /// If it fails, the judge finds fault with what is right.
    #[test]
    fn a_session_that_could_have_happened_passes() {
        assert_eq!(judge(&records(&true_session())), Ok(4));
    }

    /// If it fails, nothing that the processes could answer would fail the test.
    #[test]
    fn one_doctored_answer_is_reported() {
        for (what, at, doctored, sentence) in [
            ("a stale read", 6, r#"value="10""#, "get -> 10"),
            ("a lost write", 6, "none", "get -> none"),
            ("a value from nowhere", 4, r#"value="99""#, "get -> 99"),
            ("a failed write that took effect", 6, r#"value="13""#, "get -> 13"),
            ("a write that replaced nothing", 2, "ok index=3 term=1 previous=none", "set 11 -> none"),
            ("a pop of what was gone", 8, r#"ok index=5 term=2 previous="11""#, "pop -> 11"),
            ("an index that goes back", 8, r#"ok index=2 term=2 previous="12""#, "at index 2"),
            ("a local read that goes back", 9, r#"value="10""#, "index 3"),
            ("a local read that misses an own change", 10, r#"value="11""#, "index 5"),
            ("a local read from nowhere", 7, r#"value="99""#, "nobody"),
        ] {
            let mut lines = true_session();
            lines[at].2 = doctored;
            let report = judge(&records(&lines)).expect_err(what);
            assert!(report.contains(sentence), "{what}: {report}");
        }
        let lost = [(1, set(10), "ok index=2 term=1 previous=none"), (1, LOCAL, "none")];
        let report = judge(&records(&lost)).expect_err("nothing took it away");
        assert!(report.contains("10 was set at index 2"), "{report}");
    }

    /// If it fails, two changes can claim one place in the log.
    #[test]
    fn an_index_belongs_to_one_change() {
        let [mut first, mut second] = [(1, set(10)), (2, Asked::Set { key: 2, value: 11 })]
            .map(|(client, asked)| records(&[(client, asked, "ok index=2 term=1 previous=none")]).remove(0));
        (first.end, second.end) = (Timestamp(9), Timestamp(9));
        let report = judge(&[first, second]).expect_err("both are at index 2");
        assert!(report.contains("at index 2"), "{report}");
    }

    /// If it fails, whoever has to understand a violation has to do without a picture of it.
    #[test]
    fn a_stale_read_is_drawn() {
        let mut lines = true_session();
        lines[6].2 = r#"value="10""#;
        let report = judge(&records(&lines)).expect_err("it is stale");
        assert!(report.starts_with("not linearizable at key 1"), "{report}");
        assert!(report.contains("client 2") && report.contains("|--set 11"), "{report}");
    }
}
