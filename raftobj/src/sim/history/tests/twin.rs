//! Compares the checker with a naive twin that tries every order.

use super::super::{Checker, History, Model, Operation, Outcome, Verdict, check};
use super::random::{altered, linearizable, queue_call, register_call, serial_call};
use super::{queue, register};
use crate::object::fixture::TestRandom;

/// Linearizable by definition: there is a subset of the operations of unknown outcome, and an order of it and all that
/// returned, that keeps real-time order and in which the model gives the replies.
pub(super) fn naive<M: Model>(model: &M, history: &History<M::Call, M::Reply>) -> bool {
    let operations: Vec<&Operation<M::Call, M::Reply>> = history
        .operations()
        .iter()
        .filter(|operation| !matches!(operation.outcome, Outcome::Failed))
        .collect();
    let (returned, unknown): (Vec<_>, Vec<_>) =
        operations.into_iter().partition(|operation| matches!(operation.outcome, Outcome::Returned { .. }));
    (0..1 << unknown.len()).any(|subset: u32| {
        let chosen = unknown.iter().enumerate().filter(|(bit, _)| subset & (1 << bit) != 0);
        let mut order: Vec<_> =
            returned.iter().copied().chain(chosen.map(|(_, operation)| *operation)).collect();
        any_order(&mut order, 0, &mut |order| explains(model, order))
    })
}

fn any_order<T>(list: &mut [T], from: usize, holds: &mut impl FnMut(&[T]) -> bool) -> bool {
    if from == list.len() {
        return holds(list);
    }
    (from..list.len()).any(|at| {
        list.swap(from, at);
        let found = any_order(list, from + 1, holds);
        list.swap(from, at);
        found
    })
}

fn explains<M: Model>(model: &M, order: &[&Operation<M::Call, M::Reply>]) -> bool {
    let keeps_real_time = (0..order.len()).all(|later| {
        order[later..].iter().all(|operation| match operation.outcome {
            Outcome::Returned { at, .. } => at >= order[later].invoked_at,
            _ => true,
        })
    });
    let mut state = model.initial();
    keeps_real_time
        && order.iter().all(|operation| {
            let right = model.apply(&mut state, &operation.call);
            !matches!(&operation.outcome, Outcome::Returned { reply, .. } if *reply != right)
        })
}

/// Asserts that checker and twin agree. Returns how many of the altered histories were not linearizable.
fn assert_agree<M: Model>(model: &M, seeds: u64, call: impl Fn(&mut TestRandom) -> M::Call) -> u64
where
    M::Call: Clone,
    M::Reply: Clone,
{
    let mut invalid = 0;
    for seed in 0..seeds {
        let mut random = TestRandom(seed);
        let size = (2 + random.below(4), 3 + random.below(4) as usize);
        let history = linearizable(model, &mut random, size, &call);
        assert!(naive(model, &history), "seed {seed}: the twin rejects {history:#?}");
        let verdict = check(model, &history);
        assert_eq!(verdict, Verdict::Linearizable, "seed {seed}: {history:#?}");
        let history = altered(&history, &mut random);
        let (verdict, right) = (check(model, &history), naive(model, &history));
        assert_eq!(verdict.is_linearizable(), right, "seed {seed}: {verdict:#?} {history:#?}");
        invalid += u64::from(!right);
    }
    invalid
}

/// If the search missed a valid order or accepted an invalid one, the two would differ.
#[test]
fn verdicts_equal_those_of_the_twin() {
    let registers = assert_agree(&register(), 4_000, register_call);
    let queues = assert_agree(&queue(), 2_000, queue_call);
    assert!(
        (800..3_200).contains(&registers),
        "{registers} of 4,000 registers were invalid: too few or too many"
    );
    assert!((300..1_700).contains(&queues), "{queues} of 2,000 queues were invalid: too few or too many");
}

/// A key as long as the longest of a simulated run: eight clients, a fifth of the calls with an unknown outcome, values as
/// the simulator makes them. If a change made the search skip fewer configurations, it would need more steps than this.
#[test]
fn three_hundred_calls_take_few_steps() {
    for seed in 0..60 {
        let mut random = TestRandom(seed);
        let mut serial = 0;
        let history = linearizable(&register(), &mut random, (8, 300), |random| {
            serial += 1;
            serial_call(random, serial)
        });
        let model = register();
        let verdict = Checker::new(&model).steps_max(200_000).check(&history);
        assert_eq!(verdict, Verdict::Linearizable, "seed {seed}");
        if seed < 8 {
            let verdict = check(&model, &altered(&history, &mut random));
            assert!(!matches!(verdict, Verdict::Undecided { .. }), "seed {seed}");
        }
    }
}
