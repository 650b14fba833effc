//! Exactly once: calls that carry unique serials, what is left of them in the object, and the chain that their
//! replies form.

use super::record::{History, OperationId, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// A serial that is not in the object as often as its call took effect.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExactlyOnceError<S: Debug> {
    /// The run is at fault: a serial must belong to one call.
    #[error("serial {serial:?} is in two calls, {} and {}", first.0, second.0)]
    NotUnique {
        /// The serial.
        serial: S,
        /// One call.
        first: OperationId,
        /// The other.
        second: OperationId,
    },
    /// An acknowledged call left nothing.
    #[error("serial {serial:?} of the acknowledged call {} is lost", operation.0)]
    Lost {
        /// The serial.
        serial: S,
        /// Its call.
        operation: OperationId,
    },
    /// A call took effect more than once.
    #[error("serial {serial:?} of call {} is there {times} times", operation.0)]
    Repeated {
        /// The serial.
        serial: S,
        /// Its call.
        operation: OperationId,
        /// How often it is there.
        times: usize,
    },
    /// A call took effect whose client was told that it never would.
    #[error("serial {serial:?} of the failed call {} is there", operation.0)]
    FailedTookEffect {
        /// The serial.
        serial: S,
        /// Its call.
        operation: OperationId,
    },
    /// Nobody called this.
    #[error("serial {serial:?} is there and nobody sent it")]
    Phantom {
        /// The serial.
        serial: S,
    },
}

/// Every acknowledged call is in the object once, one of unknown outcome at most once, a failed one never, and nothing else.
///
/// `serial` finds a call's serial (`None` for calls that leave none); `left` are those found in the object in the end.
pub fn exactly_once<C, R, S: Ord + Clone + Debug>(
    history: &History<C, R>,
    serial: impl Fn(&C) -> Option<S>,
    left: impl IntoIterator<Item = S>,
) -> Result<(), ExactlyOnceError<S>> {
    let sent = senders(history, serial).map_err(|(serial, first, second)| ExactlyOnceError::NotUnique {
        serial,
        first,
        second,
    })?;
    let mut times: BTreeMap<S, usize> = BTreeMap::new();
    for serial in left {
        *times.entry(serial).or_default() += 1;
    }
    for (serial, times) in &times {
        let serial = serial.clone();
        let Some(operation) = sent.get(&serial).copied() else {
            return Err(ExactlyOnceError::Phantom { serial });
        };
        if matches!(history.operation(operation).outcome, Outcome::Failed) {
            return Err(ExactlyOnceError::FailedTookEffect { serial, operation });
        }
        if *times > 1 {
            return Err(ExactlyOnceError::Repeated { serial, operation, times: *times });
        }
    }
    for (serial, operation) in sent {
        let is_acknowledged = matches!(history.operation(operation).outcome, Outcome::Returned { .. });
        if is_acknowledged && !times.contains_key(&serial) {
            return Err(ExactlyOnceError::Lost { serial, operation });
        }
    }
    Ok(())
}

/// Replies that do not form one chain.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError<S: Debug> {
    /// The run is at fault: a serial must belong to one call.
    #[error("serial {serial:?} is in two calls, {} and {}", first.0, second.0)]
    NotUnique {
        /// The serial.
        serial: S,
        /// One call.
        first: OperationId,
        /// The other.
        second: OperationId,
    },
    /// Two calls replaced the same one: an update was lost, or a call took effect twice.
    #[error("calls {} and {} both replied that {before:?} was before them", first.0, second.0)]
    Fork {
        /// What was before both; `None` is the beginning.
        before: Option<S>,
        /// One call.
        first: OperationId,
        /// The other.
        second: OperationId,
    },
    /// A call replaced something that nobody sent, or that failed.
    #[error("call {} replied that {before:?} was before it, which never took effect", operation.0)]
    Phantom {
        /// What it replied.
        before: S,
        /// The call.
        operation: OperationId,
    },
    /// Following the replies backwards, one comes round to the same call.
    #[error("call {} comes before itself", operation.0)]
    Cycle {
        /// A call of the circle.
        operation: OperationId,
    },
    /// The replies lead from the end back to the empty object, past a call that was acknowledged.
    #[error("call {} is not on the chain, which leads from {end:?} back to the beginning", operation.0)]
    NotOnChain {
        /// The call.
        operation: OperationId,
        /// What the object ends with.
        end: Option<S>,
    },
    /// The object ends with something that nobody sent, that failed, or that was replaced.
    #[error("the object ends with {end:?}, which {}", match .replaced_by {
        Some(operation) => format!("call {} replaced", operation.0),
        None => "never took effect".into(),
    })]
    WrongEnd {
        /// What the object ends with; `None` if nothing is there.
        end: Option<S>,
        /// The call that replied that this was before it.
        replaced_by: Option<OperationId>,
    },
}

/// Calls that each put a unique serial in the place of the one before, and reply that one, form a single chain from the
/// empty object to its end. Calls of unknown outcome may be links of it or not.
///
/// `serial` finds a call's serial (`None` for calls that replace nothing), `before` what a reply says was there (`None`:
/// nothing), `end` is what the object holds in the end. Says nothing of real time: that is
/// [`check`](super::check())'s part.
pub fn predecessor_chain<C, R, S: Ord + Clone + Debug>(
    history: &History<C, R>,
    serial: impl Fn(&C) -> Option<S>,
    before: impl Fn(&R) -> Option<S>,
    end: Option<S>,
) -> Result<(), ChainError<S>> {
    let sent = senders(history, &serial).map_err(|(serial, first, second)| ChainError::NotUnique {
        serial,
        first,
        second,
    })?;
    let took_effect = |serial: &S| {
        let outcome = sent.get(serial).map(|operation| &history.operation(*operation).outcome);
        outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Failed))
    };
    // Each link once: what was before it, and which call came there.
    let mut replaced: BTreeMap<Option<S>, OperationId> = BTreeMap::new();
    let mut predecessor: BTreeMap<S, Option<S>> = BTreeMap::new();
    for (serial, operation) in &sent {
        let Outcome::Returned { reply, .. } = &history.operation(*operation).outcome else { continue };
        let before = before(reply);
        if let Some(before) = before.clone().filter(|before| !took_effect(before)) {
            return Err(ChainError::Phantom { before, operation: *operation });
        }
        if let Some(first) = replaced.insert(before.clone(), *operation) {
            return Err(ChainError::Fork { before, first, second: *operation });
        }
        predecessor.insert(serial.clone(), before);
    }
    if let Some(operation) = replaced.get(&end) {
        return Err(ChainError::WrongEnd { end, replaced_by: Some(*operation) });
    }
    if let Some(serial) = end.as_ref().filter(|end| !took_effect(end)) {
        return Err(ChainError::WrongEnd { end: Some(serial.clone()), replaced_by: None });
    }
    // Every serial has at most one successor, so the links make strands. Each strand begins with the empty object, with a
    // call of unknown outcome, or nowhere: a circle. Calls of unknown outcome can tie strands together, but nothing follows
    // the one that has the end; so if that one is also the first, it is the only one.
    let mut walked: BTreeSet<&S> = BTreeSet::new();
    let mut at = end.as_ref();
    let mut is_whole = end.is_none();
    while let Some(link) = at.filter(|link| walked.insert(link)) {
        let before = predecessor.get(link);
        is_whole = before == Some(&None);
        at = before.and_then(Option::as_ref);
    }
    if is_whole && let Some((serial, _)) = predecessor.iter().find(|(serial, _)| !walked.contains(serial)) {
        return Err(ChainError::NotOnChain { operation: sent[serial], end });
    }
    for start in predecessor.keys().filter(|start| !walked.contains(start)).collect::<Vec<_>>() {
        let mut at = Some(start);
        while let Some(link) = at.filter(|link| walked.insert(link)) {
            at = predecessor.get(link).and_then(Option::as_ref);
            if at == Some(start) {
                return Err(ChainError::Cycle { operation: sent[start] });
            }
        }
    }
    Ok(())
}

/// The call of each serial; two calls of one are an error.
fn senders<C, R, S: Ord + Clone>(
    history: &History<C, R>,
    serial: impl Fn(&C) -> Option<S>,
) -> Result<BTreeMap<S, OperationId>, (S, OperationId, OperationId)> {
    let mut sent = BTreeMap::new();
    for (second, operation) in history.iter() {
        let Some(serial) = serial(&operation.call) else { continue };
        if let Some(first) = sent.insert(serial.clone(), second) {
            return Err((serial, first, second));
        }
    }
    Ok(sent)
}

/// Operations whose clients were never told anything.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} calls were never answered, the first of them {}", .operations.len(), .operations[0].0)]
#[non_exhaustive]
pub struct StillPending {
    /// Which, at least one.
    pub operations: Vec<OperationId>,
}

/// No caller is left hanging: each operation ended, be it with "unknown".
pub fn none_pending<C, R>(history: &History<C, R>) -> Result<(), StillPending> {
    let is_pending = |(id, operation): (OperationId, &super::record::Operation<C, R>)| {
        matches!(operation.outcome, Outcome::Pending).then_some(id)
    };
    let operations: Vec<OperationId> = history.iter().filter_map(is_pending).collect();
    if operations.is_empty() { Ok(()) } else { Err(StillPending { operations }) }
}
