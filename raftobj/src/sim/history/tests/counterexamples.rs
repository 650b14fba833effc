//! Counterexamples are real, minimal and readable.

use super::super::{Counterexample, History, Model, OperationId, Outcome, Verdict, check};
use super::diagrams::{queue_history, register_history};
use super::random::{altered, history_of, linearizable, queue_call, register_call};
use super::twin::naive;
use super::{queue, register};
use crate::object::fixture::TestRandom;

/// The history with only these operations: required, or optional.
fn part_of<C: Clone, R: Clone>(
    history: &History<C, R>,
    required: &[OperationId],
    optional: &[OperationId],
) -> History<C, R> {
    let required = required.iter().map(|id| history.operation(*id).clone());
    let optional = optional.iter().map(|id| {
        let mut operation = history.operation(*id).clone();
        operation.outcome = Outcome::Unknown;
        operation
    });
    history_of(required.chain(optional))
}

fn without(ids: &[OperationId], at: usize) -> Vec<OperationId> {
    let mut rest = ids.to_vec();
    rest.remove(at);
    rest
}

/// Asserts by the naive twin what `counterexample` guarantees.
fn assert_is_real_and_minimal<M: Model>(
    model: &M,
    history: &History<M::Call, M::Reply>,
    found: &Counterexample,
) where
    M::Call: Clone,
    M::Reply: Clone,
{
    let Counterexample { required, optional, .. } = found;
    let others: Vec<OperationId> = history
        .iter()
        .filter(|(id, operation)| !required.contains(id) && !matches!(operation.outcome, Outcome::Failed))
        .map(|(id, _)| id)
        .collect();
    let text = || format!("{found}\n{history:#?}");
    assert!(found.is_minimal, "{}", text());
    assert!(!naive(model, &part_of(history, required, &others)), "the others explain it: {}", text());
    assert!(
        !naive(model, &part_of(history, required, optional)),
        "the operations shown do not contradict each other: {}",
        text()
    );
    let each_is_needed = |optional: &[OperationId]| {
        (0..required.len()).all(|at| {
            let made_optional: Vec<OperationId> = optional.iter().copied().chain([required[at]]).collect();
            naive(model, &part_of(history, &without(required, at), &made_optional))
        })
    };
    assert!(each_is_needed(optional), "a required operation is not needed: {}", text());
    for at in 0..optional.len() {
        assert!(!each_is_needed(&without(optional, at)), "an optional operation is not needed: {}", text());
    }
}

fn check_all_counterexamples<M: Model>(
    model: &M,
    seeds: u64,
    call: impl Fn(&mut TestRandom) -> M::Call,
) -> u64
where
    M::Call: Clone,
    M::Reply: Clone,
{
    let mut found = 0;
    for seed in 0..seeds {
        let mut random = TestRandom(seed);
        let size = (2 + random.below(3), 4 + random.below(4) as usize);
        let history = linearizable(model, &mut random, size, &call);
        let history = altered(&history, &mut random);
        if let Verdict::NotLinearizable(counterexample) = check(model, &history) {
            assert_is_real_and_minimal(model, &history, &counterexample);
            found += 1;
        }
    }
    found
}

/// If minimizing removed too much, the twin would find an order with the removed operations added again; if it kept too
/// much, the twin would still find none with one more operation made optional.
#[test]
fn counterexamples_are_real_and_minimal() {
    assert!(check_all_counterexamples(&register(), 1_000, register_call) > 100);
    assert!(check_all_counterexamples(&queue(), 600, queue_call) > 100);
}

#[track_caller]
fn drawn<M: Model>(model: &M, history: &History<M::Call, M::Reply>) -> String {
    match check(model, history) {
        Verdict::NotLinearizable(found) => found.to_string(),
        verdict => panic!("{verdict:?}"),
    }
}

/// Three of eleven calls show a stale read. The write of 1 stays although the rest is a contradiction without it: a read
/// of a value that was never written, which is not what happened.
#[test]
fn a_stale_read_is_shown_with_its_two_writes() {
    let history = register_history(&[
        "|w7-| |w1-| |w2-|                |w9-| |r9-|",
        "         |r1--|           |r1-|",
        "   |r7-|        |r2-| |r2-|       |s3=9--|",
    ]);
    assert_eq!(
        drawn(&register(), &history),
        "\
not linearizable: 3 of 11 calls; the others do not explain these, whenever they took effect
client 0  |--write 1--| |--write 2--|
client 1                              |--read -> 1--|
longest order: write 1; write 2
then the state is Some(2), where
  client 1: read -> 1 should have been read -> 2
"
    );
}

/// The value of a write of unknown outcome is read, and then no more: without the write, the first read would look wrong.
#[test]
fn an_optional_operation_is_shown() {
    let history = register_history(&["|w1-| |w5-| |w2~", "                |r2-| |r5-|"]);
    assert_eq!(
        drawn(&register(), &history),
        "\
not linearizable: 4 of 5 calls; the others do not explain these, whenever they took effect
client 0  |--write 5--| |~~write 2~~~~~~~~~~~~~~~~~~~~~~
client 1                 |--read -> 2--| |--read -> 5--|
  ~ may have taken effect at any later time, or never
longest order: write 5; write 2; read -> 2
then the state is Some(2), where
  client 1: read -> 5 should have been read -> 2
"
    );
}

/// Two swaps replied with the same value, among others that did not.
#[test]
fn a_lost_update_is_two_swaps() {
    let history = register_history(&["|s1=_---| |s2=1---|    |s4=3---| |r4-|", "            |s3=1---|"]);
    assert_eq!(
        drawn(&register(), &history),
        "\
not linearizable: 3 of 5 calls; the others do not explain these, whenever they took effect
client 0  |~~swap 1~~~~~~~~~~~
client 0   |--swap 2 -> 1--|
client 1    |--swap 3 -> 1---|
  ~ may have taken effect at any later time, or never
longest order: swap 1; swap 2 -> 1
then the state is Some(2), where
  client 1: swap 3 -> 1 should have been swap 3 -> 2
"
    );
}

/// A drawing that is too wide uses letters as labels.
#[test]
fn wide_drawings_use_letters() {
    let rows =
        ["|w100000000000000001-| |w100000000000000002-| |r100000000000000002-| |r100000000000000001-|"];
    assert_eq!(
        drawn(&register(), &register_history(&rows)),
        "\
not linearizable: 3 of 4 calls; the others do not explain these, whenever they took effect
client 0  |--a--| |--b--| |--c--|
  a = write 100000000000000001
  b = write 100000000000000002
  c = read -> 100000000000000001
longest order: write 100000000000000001; write 100000000000000002
then the state is Some(100000000000000002), where
  client 0: read -> 100000000000000001 should have been read -> 100000000000000002
"
    );
}

/// The pop made optional may have removed 1, so that the pop of 3 is wrong only because of 2.
#[test]
fn a_queue_out_of_order() {
    let rows = ["|e1-| |e2-| |e3-| |e4-| |e5-| |e6-|", "           |d1-|               |d3-|"];
    assert_eq!(
        drawn(&queue(), &queue_history(&rows)),
        "\
not linearizable: 5 of 8 calls; the others do not explain these, whenever they took effect
client 0  |--Push(1) -> None--| |--Push(2) -> None--|  |~~Push(3)~~~~~~~~~~~
client 1                                              |~~Pop~~~~~~~~~~~~~~~~
client 1                                                |--Pop -> Some(3)--|
  ~ may have taken effect at any later time, or never
longest order: Push(1) -> None; Push(2) -> None; Pop; Push(3)
then the state is [2, 3], where
  client 1: Pop -> Some(3) should have been Pop -> Some(2)
"
    );
}
