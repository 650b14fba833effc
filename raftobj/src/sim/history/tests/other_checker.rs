//! The checker against the one of `todc-utils`, where both apply.
//!
//! That one knows no unknown outcomes: they are given an end after all others, with any reply.

use super::super::{History, Model, Operation, Outcome, RegisterCall, RegisterReply, check};
use super::random::{atomic, register_call, spoilt};
use super::register;
use crate::object::fixture::TestRandom;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as Actions};
use todc_utils::specifications::Specification;

type Event = Action<Asked>;

#[derive(Clone, Debug)]
struct Asked {
    call: RegisterCall<u64>,
    /// `None`: any reply will do.
    reply: Option<RegisterReply<u64>>,
}

struct Registers;

impl Specification for Registers {
    type State = Option<u64>;
    type Operation = Asked;

    fn init() -> Self::State {
        register().initial()
    }

    fn apply(asked: &Asked, state: &Self::State) -> (bool, Self::State) {
        let mut after = *state;
        let reply = register().apply(&mut after, &asked.call);
        (asked.reply.as_ref().is_none_or(|seen| *seen == reply), after)
    }
}

fn theirs(history: &History<RegisterCall<u64>, RegisterReply<u64>>) -> bool {
    let mut events = Vec::new();
    // Every operation is a process of its own: theirs pairs calls and responses by process and order.
    for (process, Operation { call, invoked_at, outcome, .. }) in history.operations().iter().enumerate() {
        let (reply, end) = match outcome {
            Outcome::Failed => continue,
            Outcome::Returned { reply, at } => (Some(reply.clone()), at.0),
            Outcome::Pending | Outcome::Unknown => (None, u64::MAX),
        };
        let asked = Asked { call: call.clone(), reply };
        events.push((invoked_at.0, process, Event::Call(asked.clone())));
        events.push((end, process, Event::Response(asked)));
    }
    events.sort_by_key(|(at, process, _)| (*at, *process));
    let actions: Vec<(usize, Event)> =
        events.into_iter().map(|(_, process, action)| (process, action)).collect();
    actions.is_empty() || WGLChecker::<Registers>::is_linearizable(Actions::from_actions(actions))
}

/// Longer histories than the twin can try: an independent implementation must agree.
#[test]
fn verdicts_are_those_of_another_library() {
    let mut invalid = 0;
    for seed in 0..1_500 {
        let mut random = TestRandom(seed);
        let size = (2 + random.below(4), 10 + random.below(50) as usize);
        let history = atomic(&register(), &mut random, size, register_call);
        for history in [spoilt(&history, &mut random), history] {
            let right = theirs(&history);
            assert_eq!(check(&register(), &history).is_linearizable(), right, "seed {seed}: {history:#?}");
            invalid += usize::from(!right);
        }
    }
    assert!(invalid > 300, "only {invalid} histories were invalid");
}
