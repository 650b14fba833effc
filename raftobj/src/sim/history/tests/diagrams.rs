//! Histories drawn as text: a row for each client, columns are timestamps.
//!
//! `|w1---|` is an operation that returned, `|w1~` one of unknown outcome, `|w1x` one that failed. Calls of a register:
//! `w1` write, `r1` read of 1, `r_` read of no value, `s2=1` swap that replied 1, `c1,2+` and `c1,2!` a compare-and-set
//! that did and did not set. Of a queue: `e1` push, `d1` pop of 1, `d_` pop of the empty queue.

use super::super::{
    ClientId, History, Operation, Outcome, QueueCall, RegisterCall, RegisterReply, Timestamp,
};
use super::{QueueHistory, RegisterHistory};

pub(super) fn register_history(rows: &[&str]) -> RegisterHistory {
    parse(rows, |text| {
        let (kind, rest) = text.split_at(1);
        match kind {
            "w" => (RegisterCall::Write(number(rest)), RegisterReply::Done),
            "r" => (RegisterCall::Read, RegisterReply::Value(optional(rest))),
            "s" => {
                let (new, before) = rest.split_once('=').unwrap_or((rest, "_"));
                (RegisterCall::Swap(number(new)), RegisterReply::Value(optional(before)))
            }
            "c" => {
                let is_set = rest.ends_with('+');
                let (expected, new) = rest.trim_end_matches(['+', '!']).split_once(',').unwrap();
                let call = RegisterCall::CompareAndSet { expected: optional(expected), new: number(new) };
                (call, RegisterReply::Set(is_set))
            }
            _ => panic!("{text} is no call of a register"),
        }
    })
}

pub(super) fn queue_history(rows: &[&str]) -> QueueHistory {
    parse(rows, |text| {
        let (kind, rest) = text.split_at(1);
        match kind {
            "e" => (QueueCall::Push(number(rest)), None),
            "d" => (QueueCall::Pop, optional(rest)),
            _ => panic!("{text} is no call of a queue"),
        }
    })
}

fn parse<C, R>(rows: &[&str], read: impl Fn(&str) -> (C, R)) -> History<C, R> {
    let mut history = History::new();
    for (row, text) in rows.iter().enumerate() {
        let mut from = 0;
        while let Some(begin) = text[from..].find('|').map(|at| from + at) {
            let length = text[begin + 1..].find(['|', '~', 'x']).expect("a bar has an end");
            let end = begin + 1 + length;
            let (call, reply) = read(text[begin + 1..end].trim_matches('-'));
            let outcome = match &text[end..=end] {
                "|" => Outcome::Returned { reply, at: Timestamp(end as u64) },
                "~" => Outcome::Unknown,
                _ => Outcome::Failed,
            };
            let client = ClientId(row as u64);
            history.push(Operation { client, call, invoked_at: Timestamp(begin as u64), outcome });
            from = end + 1;
        }
    }
    history
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn optional(text: &str) -> Option<u64> {
    (text != "_").then(|| number(text))
}
