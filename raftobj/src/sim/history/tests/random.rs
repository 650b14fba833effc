//! Random histories: linearizable ones, and the same with random changes.

use super::super::{ClientId, History, Model, Operation, OperationId, Outcome, QueueCall, RegisterCall};
use crate::object::fixture::TestRandom;

/// The state of a client.
enum ClientState<R> {
    Idle,
    Invoked(OperationId),
    /// Its operation took effect, and has not returned.
    Applied(OperationId, R),
}

/// A linearizable history: each call takes effect at one point between its invocation and its return. Some calls get an
/// unknown outcome, and took effect before, take effect later or never; some fail.
pub(super) fn linearizable<M: Model>(
    model: &M,
    random: &mut TestRandom,
    (clients_total, calls_total): (u64, usize),
    mut call: impl FnMut(&mut TestRandom) -> M::Call,
) -> History<M::Call, M::Reply> {
    let mut history = History::new();
    let mut state = model.initial();
    let mut clients: Vec<ClientState<M::Reply>> = (0..clients_total).map(|_| ClientState::Idle).collect();
    let mut unknown = Vec::new();
    while history.operations().len() < calls_total
        || clients.iter().any(|client| !matches!(client, ClientState::Idle))
    {
        if !unknown.is_empty() && random.one_in(8) {
            let late: OperationId = unknown.swap_remove(random.below(unknown.len() as u64) as usize);
            model.apply(&mut state, &history.operation(late).call);
        }
        let at = random.below(clients_total) as usize;
        clients[at] = match std::mem::replace(&mut clients[at], ClientState::Idle) {
            ClientState::Idle if history.operations().len() == calls_total => ClientState::Idle,
            ClientState::Idle => ClientState::Invoked(history.invoke(ClientId(at as u64), call(random))),
            ClientState::Invoked(id) if random.one_in(12) => {
                history.mark_unknown(id);
                unknown.push(id);
                ClientState::Idle
            }
            ClientState::Invoked(id) if random.one_in(12) => {
                history.fail(id);
                ClientState::Idle
            }
            ClientState::Invoked(id) => {
                ClientState::Applied(id, model.apply(&mut state, &history.operation(id).call))
            }
            ClientState::Applied(id, _) if random.one_in(12) => {
                history.mark_unknown(id);
                ClientState::Idle
            }
            ClientState::Applied(id, reply) => {
                history.complete(id, reply);
                ClientState::Idle
            }
        };
    }
    history
}

/// The same history with one or two changes: a call gets the reply of another, or an unknown outcome, or fails. The result
/// may or may not be linearizable.
pub(super) fn altered<C: Clone, R: Clone>(history: &History<C, R>, random: &mut TestRandom) -> History<C, R> {
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
    history_of(operations)
}

pub(super) fn history_of<C, R>(operations: impl IntoIterator<Item = Operation<C, R>>) -> History<C, R> {
    let mut history = History::new();
    for operation in operations {
        history.push(operation);
    }
    history
}

/// Uses few values, so that histories are often ambiguous.
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

/// Writes every value once, and compares with values that were written recently.
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
