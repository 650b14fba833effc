//! Compares the checker with the one of `todc-utils`, where both apply.
//!
//! The other has no unknown outcomes: such operations return after all others, with any reply.

use super::super::{History, Model, Operation, Outcome, RegisterCall, RegisterReply, check};
use super::random::{altered, linearizable, register_call};
use super::register;
use crate::object::fixture::TestRandom;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as Actions};
use todc_utils::specifications::Specification;

type CallAction = Action<CallAndReply>;

#[derive(Clone, Debug)]
struct CallAndReply {
    call: RegisterCall<u64>,
    /// `None`: any reply is accepted.
    reply: Option<RegisterReply<u64>>,
}

struct Registers;

impl Specification for Registers {
    type State = Option<u64>;
    type Operation = CallAndReply;

    fn init() -> Self::State {
        register().initial()
    }

    fn apply(operation: &CallAndReply, state: &Self::State) -> (bool, Self::State) {
        let mut after = *state;
        let reply = register().apply(&mut after, &operation.call);
        (operation.reply.as_ref().is_none_or(|observed| *observed == reply), after)
    }
}

fn is_linearizable_by_todc(history: &History<RegisterCall<u64>, RegisterReply<u64>>) -> bool {
    let mut events = Vec::new();
    // Each operation gets a process of its own: `todc-utils` pairs calls and responses by process and order.
    for (process, Operation { call, invoked_at, outcome, .. }) in history.operations().iter().enumerate() {
        let (reply, end) = match outcome {
            Outcome::Failed => continue,
            Outcome::Returned { reply, at } => (Some(reply.clone()), at.0),
            Outcome::Pending | Outcome::Unknown => (None, u64::MAX),
        };
        let operation = CallAndReply { call: call.clone(), reply };
        events.push((invoked_at.0, process, CallAction::Call(operation.clone())));
        events.push((end, process, CallAction::Response(operation)));
    }
    events.sort_by_key(|(at, process, _)| (*at, *process));
    let actions: Vec<(usize, CallAction)> =
        events.into_iter().map(|(_, process, action)| (process, action)).collect();
    actions.is_empty() || WGLChecker::<Registers>::is_linearizable(Actions::from_actions(actions))
}

/// An independent implementation must agree on histories that are too long for the twin.
#[test]
fn verdicts_equal_those_of_another_checker() {
    let mut invalid = 0;
    for seed in 0..1_500 {
        let mut random = TestRandom(seed);
        let size = (2 + random.below(4), 10 + random.below(50) as usize);
        let history = linearizable(&register(), &mut random, size, register_call);
        for history in [altered(&history, &mut random), history] {
            let right = is_linearizable_by_todc(&history);
            assert_eq!(check(&register(), &history).is_linearizable(), right, "seed {seed}: {history:#?}");
            invalid += usize::from(!right);
        }
    }
    assert!(invalid > 300, "only {invalid} histories were invalid");
}
