//! Histories by chance: of an object that is atomic, of one that is spoilt, and of none at all.

use super::super::{ClientId, History, Model, Operation, OperationId, Outcome, QueueCall, RegisterCall};
use crate::object::fixture::TestRandom;

/// What a client is doing.
enum Doing<R> {
    Nothing,
    Waiting(OperationId),
    Served(OperationId, R),
}

/// Clients of an object that really is atomic: each call takes effect at one moment between its invocation and its
/// return. Some are given up, and take effect before, later or never; some are refused.
pub(super) fn atomic<M: Model>(
    model: &M,
    random: &mut TestRandom,
    (clients, calls): (u64, usize),
    mut call: impl FnMut(&mut TestRandom) -> M::Call,
) -> History<M::Call, M::Reply> {
    let mut history = History::new();
    let mut state = model.initial();
    let mut doing: Vec<Doing<M::Reply>> = (0..clients).map(|_| Doing::Nothing).collect();
    let mut given_up = Vec::new();
    while history.operations().len() < calls || doing.iter().any(|doing| !matches!(doing, Doing::Nothing)) {
        if !given_up.is_empty() && random.one_in(8) {
            let late: OperationId = given_up.swap_remove(random.below(given_up.len() as u64) as usize);
            model.apply(&mut state, &history.operation(late).call);
        }
        let at = random.below(clients) as usize;
        doing[at] = match std::mem::replace(&mut doing[at], Doing::Nothing) {
            Doing::Nothing if history.operations().len() == calls => Doing::Nothing,
            Doing::Nothing => Doing::Waiting(history.invoke(ClientId(at as u64), call(random))),
            Doing::Waiting(id) if random.one_in(12) => {
                history.mark_unknown(id);
                given_up.push(id);
                Doing::Nothing
            }
            Doing::Waiting(id) if random.one_in(12) => {
                history.fail(id);
                Doing::Nothing
            }
            Doing::Waiting(id) => Doing::Served(id, model.apply(&mut state, &history.operation(id).call)),
            Doing::Served(id, _) if random.one_in(12) => {
                history.mark_unknown(id);
                Doing::Nothing
            }
            Doing::Served(id, reply) => {
                history.complete(id, reply);
                Doing::Nothing
            }
        };
    }
    history
}

/// The same history with the reply of one call put to another, or one outcome forgotten, or a failure that was one of the
/// unknown. Still valid, perhaps: that is for a checker to say.
pub(super) fn spoilt<C: Clone, R: Clone>(history: &History<C, R>, random: &mut TestRandom) -> History<C, R> {
    let mut operations: Vec<Operation<C, R>> = history.operations().to_vec();
    for _ in 0..=random.below(2) {
        let at = random.below(operations.len() as u64) as usize;
        let from = random.below(operations.len() as u64) as usize;
        let reply = match &operations[from].outcome {
            Outcome::Returned { reply, .. } => Some(reply.clone()),
            _ => None,
        };
        match (&mut operations[at].outcome, reply) {
            (Outcome::Returned { reply, .. }, Some(other)) => *reply = other,
            (outcome @ Outcome::Returned { .. }, None) => *outcome = Outcome::Unknown,
            (outcome, _) => *outcome = Outcome::Failed,
        }
    }
    copy(operations)
}

pub(super) fn copy<C, R>(operations: impl IntoIterator<Item = Operation<C, R>>) -> History<C, R> {
    let mut history = History::new();
    for operation in operations {
        history.push(operation);
    }
    history
}

/// Few values, so that histories are often ambiguous.
pub(super) fn register_call(random: &mut TestRandom) -> RegisterCall<u64> {
    let value = random.below(3);
    match random.below(6) {
        0 | 1 => RegisterCall::Read,
        2 | 3 => RegisterCall::Write(value),
        4 => RegisterCall::Swap(value),
        _ => {
            let expected = random.below(4).checked_sub(1);
            RegisterCall::CompareAndSet { expected, new: value }
        }
    }
}

/// Every value is written once, and compared with what may have been there lately.
pub(super) fn serial_call(random: &mut TestRandom, serial: u64) -> RegisterCall<u64> {
    match random.below(6) {
        0 | 1 => RegisterCall::Read,
        2 | 3 => RegisterCall::Write(serial),
        4 => RegisterCall::Swap(serial),
        _ => {
            let expected = serial.checked_sub(1 + random.below(6));
            RegisterCall::CompareAndSet { expected, new: serial }
        }
    }
}

pub(super) fn queue_call(random: &mut TestRandom) -> QueueCall<u64> {
    if random.one_in(2) { QueueCall::Push(random.below(3)) } else { QueueCall::Pop }
}
