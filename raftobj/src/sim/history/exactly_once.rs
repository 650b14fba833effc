//! Exactly-once execution, by calls that carry unique serial numbers: the serials that the object ends with, and the chain
//! that the replies form.

use super::record::{History, OperationId, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// A serial that is not in the object as often as it should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExactlyOnceError<S: Debug> {
    /// The test is wrong: each serial must belong to one call.
    #[error("serial {serial:?} is in two calls, {} and {}", first.0, second.0)]
    NotUnique {
        /// The serial.
        serial: S,
        /// The first call with it.
        first: OperationId,
        /// The second.
        second: OperationId,
    },
    /// The serial of an acknowledged call is missing.
    #[error("serial {serial:?} of the acknowledged call {} is lost", operation.0)]
    Lost {
        /// The serial.
        serial: S,
        /// The call with it.
        operation: OperationId,
    },
    /// A call took effect more than once.
    #[error("serial {serial:?} of call {} occurs {count} times", operation.0)]
    Repeated {
        /// The serial.
        serial: S,
        /// The call with it.
        operation: OperationId,
        /// How often it occurs.
        count: usize,
    },
    /// A call took effect although it had failed ([`Outcome::Failed`]).
    #[error("serial {serial:?} of the failed call {} is in the object", operation.0)]
    FailedTookEffect {
        /// The serial.
        serial: S,
        /// The call with it.
        operation: OperationId,
    },
    /// No call had this serial.
    #[error("serial {serial:?} is in the object and in no call")]
    Phantom {
        /// The serial.
        serial: S,
    },
}

/// The object has every acknowledged call once, one of unknown outcome at most once, a failed one never, and nothing else.
///
/// `serial` returns a call's serial (`None` for calls that leave none); `found` are the serials in the object at the end.
pub fn exactly_once<C, R, S: Ord + Clone + Debug>(
    history: &History<C, R>,
    serial: impl Fn(&C) -> Option<S>,
    found: impl IntoIterator<Item = S>,
) -> Result<(), ExactlyOnceError<S>> {
    let calls = calls_by_serial(history, serial)
        .map_err(|(serial, first, second)| ExactlyOnceError::NotUnique { serial, first, second })?;
    let mut counts: BTreeMap<S, usize> = BTreeMap::new();
    for serial in found {
        *counts.entry(serial).or_default() += 1;
    }
    for (serial, count) in &counts {
        let serial = serial.clone();
        let Some(operation) = calls.get(&serial).copied() else {
            return Err(ExactlyOnceError::Phantom { serial });
        };
        if matches!(history.operation(operation).outcome, Outcome::Failed) {
            return Err(ExactlyOnceError::FailedTookEffect { serial, operation });
        }
        if *count > 1 {
            return Err(ExactlyOnceError::Repeated { serial, operation, count: *count });
        }
    }
    for (serial, operation) in calls {
        let is_acknowledged = matches!(history.operation(operation).outcome, Outcome::Returned { .. });
        if is_acknowledged && !counts.contains_key(&serial) {
            return Err(ExactlyOnceError::Lost { serial, operation });
        }
    }
    Ok(())
}

/// Replies that do not form one chain.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError<S: Debug> {
    /// The test is wrong: each serial must belong to one call.
    #[error("serial {serial:?} is in two calls, {} and {}", first.0, second.0)]
    NotUnique {
        /// The serial.
        serial: S,
        /// The first call with it.
        first: OperationId,
        /// The second.
        second: OperationId,
    },
    /// Two calls replaced the same serial: an update was lost, or a call took effect twice.
    #[error("calls {} and {} both replaced {predecessor:?}", first.0, second.0)]
    Fork {
        /// The serial that both replaced; `None` is the empty object.
        predecessor: Option<S>,
        /// One call.
        first: OperationId,
        /// The other.
        second: OperationId,
    },
    /// A call replaced a serial that no call had, or whose call failed.
    #[error("call {} replaced {predecessor:?}, which never took effect", operation.0)]
    Phantom {
        /// The serial in its reply.
        predecessor: S,
        /// The call.
        operation: OperationId,
    },
    /// The predecessors of a call lead back to the same call.
    #[error("call {} comes before itself", operation.0)]
    Cycle {
        /// A call of the cycle.
        operation: OperationId,
    },
    /// The chain from the object's final serial back to the empty object lacks an acknowledged call.
    #[error("call {} is not on the chain, which leads from {end:?} back to the beginning", operation.0)]
    NotOnChain {
        /// The call.
        operation: OperationId,
        /// The object's final serial.
        end: Option<S>,
    },
    /// The object's final serial is in no call, or its call failed, or another call replaced it.
    #[error("the object ends with {end:?}, which {}", match .replaced_by {
        Some(operation) => format!("call {} replaced", operation.0),
        None => "never took effect".into(),
    })]
    WrongEnd {
        /// The object's final serial; `None` if it is empty.
        end: Option<S>,
        /// The call that replaced it, if one did.
        replaced_by: Option<OperationId>,
    },
}

/// Each call replaces the object's serial with its own unique one and replies with the one that it replaced. These calls
/// form a single chain from the empty object to the final serial. Calls of unknown outcome may be part of it or not.
///
/// `serial` returns a call's serial (`None` for calls that replace nothing), `predecessor` the serial in a reply (`None`:
/// the object was empty), and `end` is the object's final serial. Real-time order is not checked here but by
/// [`check`](super::check()).
pub fn predecessor_chain<C, R, S: Ord + Clone + Debug>(
    history: &History<C, R>,
    serial: impl Fn(&C) -> Option<S>,
    predecessor: impl Fn(&R) -> Option<S>,
    end: Option<S>,
) -> Result<(), ChainError<S>> {
    let calls = calls_by_serial(history, &serial)
        .map_err(|(serial, first, second)| ChainError::NotUnique { serial, first, second })?;
    let took_effect = |serial: &S| {
        let outcome = calls.get(serial).map(|operation| &history.operation(*operation).outcome);
        outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Failed))
    };
    // Each link in both directions: the call that replaced a serial, and the serial that a call replaced.
    let mut replaced_by: BTreeMap<Option<S>, OperationId> = BTreeMap::new();
    let mut predecessors: BTreeMap<S, Option<S>> = BTreeMap::new();
    for (serial, operation) in &calls {
        let Outcome::Returned { reply, .. } = &history.operation(*operation).outcome else { continue };
        let predecessor = predecessor(reply);
        if let Some(predecessor) = predecessor.clone().filter(|predecessor| !took_effect(predecessor)) {
            return Err(ChainError::Phantom { predecessor, operation: *operation });
        }
        if let Some(first) = replaced_by.insert(predecessor.clone(), *operation) {
            return Err(ChainError::Fork { predecessor, first, second: *operation });
        }
        predecessors.insert(serial.clone(), predecessor);
    }
    if let Some(operation) = replaced_by.get(&end) {
        return Err(ChainError::WrongEnd { end, replaced_by: Some(*operation) });
    }
    if let Some(serial) = end.as_ref().filter(|end| !took_effect(end)) {
        return Err(ChainError::WrongEnd { end: Some(serial.clone()), replaced_by: None });
    }
    // Every serial has at most one successor, so the links form segments. A segment starts with the empty object, with a
    // call of unknown outcome, or it is a cycle. Calls of unknown outcome can join segments, but nothing follows the one
    // with the final serial: if that one also starts with the empty object, it is the whole chain.
    let mut walked: BTreeSet<&S> = BTreeSet::new();
    let mut next = end.as_ref();
    let mut is_whole = end.is_none();
    while let Some(serial) = next.filter(|serial| walked.insert(serial)) {
        let predecessor = predecessors.get(serial);
        is_whole = predecessor == Some(&None);
        next = predecessor.and_then(Option::as_ref);
    }
    if is_whole && let Some((serial, _)) = predecessors.iter().find(|(serial, _)| !walked.contains(serial)) {
        return Err(ChainError::NotOnChain { operation: calls[serial], end });
    }
    for start in predecessors.keys().filter(|start| !walked.contains(start)).collect::<Vec<_>>() {
        let mut next = Some(start);
        while let Some(serial) = next.filter(|serial| walked.insert(serial)) {
            next = predecessors.get(serial).and_then(Option::as_ref);
            if next == Some(start) {
                return Err(ChainError::Cycle { operation: calls[start] });
            }
        }
    }
    Ok(())
}

/// The call with each serial. Two calls with one serial are an error.
fn calls_by_serial<C, R, S: Ord + Clone>(
    history: &History<C, R>,
    serial: impl Fn(&C) -> Option<S>,
) -> Result<BTreeMap<S, OperationId>, (S, OperationId, OperationId)> {
    let mut calls = BTreeMap::new();
    for (second, operation) in history.iter() {
        let Some(serial) = serial(&operation.call) else { continue };
        if let Some(first) = calls.insert(serial.clone(), second) {
            return Err((serial, first, second));
        }
    }
    Ok(calls)
}
