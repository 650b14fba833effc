//! Checks of single guarantees: each accepts a history that keeps the guarantee, and names the operation that breaks it.

use super::super::{
    Access, ChainError, ClientId, ExactlyOnceError, History, LocalRead, Observation, OperationId,
    consistent_prefix_reads, exactly_once, monotonic_reads, none_pending, predecessor_chain,
    read_your_writes,
};

fn observations(list: &[(u64, Access, u64)]) -> Vec<Observation<u64>> {
    list.iter()
        .map(|(client, access, position)| Observation {
            client: ClientId(*client),
            access: *access,
            position: *position,
        })
        .collect()
}

/// A client need not read the writes of others; a read older than the one before breaks another guarantee.
#[test]
fn clients_read_their_writes() {
    use Access::{Read, Write};
    let fine =
        observations(&[(1, Write, 5), (2, Read, 0), (1, Read, 7), (1, Read, 5), (2, Write, 8), (2, Read, 8)]);
    assert_eq!(read_your_writes(&fine), Ok(()));
    let error = monotonic_reads(&fine).unwrap_err();
    assert_eq!(error.to_string(), "observation 3: client 1 read at 5, after it read at 7");
    let stale = observations(&[(1, Write, 5), (1, Write, 4), (1, Read, 4)]);
    assert_eq!(monotonic_reads(&stale), Ok(()));
    let error = read_your_writes(&stale).unwrap_err();
    assert_eq!(error.to_string(), "observation 2: client 1 read at 4, after it wrote at 5");
}

/// Local reads may be stale; they may not go back, and two reads of one position may not differ.
#[test]
fn local_reads_return_prefixes_of_one_order() {
    let reads = |list: &[(u64, u64, &'static str)]| -> Vec<LocalRead<u64, &'static str>> {
        list.iter()
            .map(|(client, position, value)| LocalRead {
                client: ClientId(*client),
                position: *position,
                value: *value,
            })
            .collect()
    };
    let fine = reads(&[(1, 2, "ab"), (2, 1, "a"), (2, 1, "a"), (2, 3, "abc"), (1, 3, "abc")]);
    assert_eq!(consistent_prefix_reads(&fine), Ok(()));
    let back = consistent_prefix_reads(&reads(&[(1, 2, "ab"), (1, 1, "a")])).unwrap_err();
    assert_eq!(back.to_string(), "read 1: client 1 read at 1 after 2");
    let different = consistent_prefix_reads(&reads(&[(1, 2, "ab"), (3, 1, "a"), (2, 2, "ac")])).unwrap_err();
    assert_eq!(different.to_string(), "position 2 is \"ac\" in read 2, and \"ab\" in read 0");
}

/// Four calls: 1 and 2 acknowledged, 3 of unknown outcome, 4 failed.
fn four_calls() -> History<u64, ()> {
    let mut history = History::new();
    let ids: Vec<OperationId> = (1..=4).map(|serial| history.invoke(ClientId(serial), serial)).collect();
    history.complete(ids[0], ());
    history.complete(ids[1], ());
    history.mark_unknown(ids[2]);
    history.fail(ids[3]);
    history
}

/// Each way in which a serial can be missing or superfluous has its own error.
#[test]
fn each_serial_occurs_exactly_once() {
    let check = |found: &[u64]| exactly_once(&four_calls(), |call| Some(*call), found.iter().copied());
    assert_eq!(check(&[2, 1]), Ok(()));
    assert_eq!(check(&[1, 3, 2]), Ok(()));
    let operation = OperationId(0);
    assert_eq!(check(&[2]), Err(ExactlyOnceError::Lost { serial: 1, operation }));
    assert_eq!(check(&[1, 2, 1]), Err(ExactlyOnceError::Repeated { serial: 1, operation, count: 2 }));
    let operation = OperationId(2);
    assert_eq!(check(&[1, 2, 3, 3]), Err(ExactlyOnceError::Repeated { serial: 3, operation, count: 2 }));
    let operation = OperationId(3);
    assert_eq!(check(&[1, 2, 4]), Err(ExactlyOnceError::FailedTookEffect { serial: 4, operation }));
    assert_eq!(check(&[1, 2, 5]), Err(ExactlyOnceError::Phantom { serial: 5 }));
    let reused = exactly_once(&four_calls(), |_| Some(1), [1]).unwrap_err();
    assert_eq!(reused.to_string(), "serial 1 is in two calls, 0 and 1");
}

/// How a call ended: with a reply that has its predecessor, with an unknown outcome, or failed.
enum CallEnd {
    After(Option<u64>),
    Unknown,
    Failed,
}
use CallEnd::{After, Failed, Unknown};

/// Calls with the serials 1, 2, …
fn chain(ends: impl IntoIterator<Item = CallEnd>, end: Option<u64>) -> Result<(), ChainError<u64>> {
    let mut history = History::new();
    for (serial, end) in (1..).zip(ends) {
        let id = history.invoke(ClientId(0), serial);
        match end {
            After(predecessor) => history.complete(id, predecessor),
            Unknown => history.mark_unknown(id),
            Failed => history.fail(id),
        }
    }
    predecessor_chain(&history, |call| Some(*call), |predecessor| *predecessor, end)
}

/// Replies form one chain, which may contain calls of unknown outcome.
#[test]
fn replies_form_one_chain() {
    assert_eq!(chain([], None), Ok(()));
    assert_eq!(chain([After(None), After(Some(1)), After(Some(2))], Some(3)), Ok(()));
    assert_eq!(chain([After(Some(2)), After(None)], Some(1)), Ok(()));
    assert_eq!(chain([After(None), Unknown, After(Some(1))], Some(3)), Ok(()));
    assert_eq!(chain([After(None), Unknown, After(Some(2))], Some(3)), Ok(()));
    assert_eq!(chain([After(None), Unknown, After(Some(1))], Some(2)), Ok(()));
    assert_eq!(chain([Unknown, Unknown, After(Some(1)), After(Some(2))], Some(4)), Ok(()));
}

/// Each way of breaking the chain has its own error.
#[test]
fn broken_chains_are_named() {
    let (first, second) = (OperationId(0), OperationId(1));
    assert_eq!(
        chain([After(None), After(None)], Some(2)),
        Err(ChainError::Fork { predecessor: None, first, second })
    );
    assert_eq!(
        chain([After(None), After(Some(7))], Some(2)),
        Err(ChainError::Phantom { predecessor: 7, operation: second })
    );
    assert_eq!(
        chain([Failed, After(Some(1))], Some(2)),
        Err(ChainError::Phantom { predecessor: 1, operation: second })
    );
    let replaced_by = Some(second);
    assert_eq!(
        chain([After(None), After(Some(1))], Some(1)),
        Err(ChainError::WrongEnd { end: Some(1), replaced_by })
    );
    assert_eq!(chain([After(None)], None), Err(ChainError::WrongEnd { end: None, replaced_by: Some(first) }));
    assert_eq!(chain([After(None)], Some(9)), Err(ChainError::WrongEnd { end: Some(9), replaced_by: None }));
    // The walk from the final serial alone would miss this cycle, because a call of unknown outcome ends the walk.
    assert_eq!(
        chain([After(Some(2)), After(Some(1)), Unknown], Some(3)),
        Err(ChainError::Cycle { operation: first })
    );
    assert_eq!(
        chain([After(Some(2)), After(Some(1)), After(None)], Some(3)),
        Err(ChainError::NotOnChain { operation: first, end: Some(3) })
    );
    // 3 followed the unknown 2; but nothing follows 1, the final serial, and nothing comes before it.
    assert_eq!(
        chain([After(None), Unknown, After(Some(2))], Some(1)),
        Err(ChainError::NotOnChain { operation: OperationId(2), end: Some(1) })
    );
}

/// Calls that never ended are found; an unknown outcome is an end.
#[test]
fn pending_calls_are_named() {
    let mut history = four_calls();
    assert_eq!(none_pending(&history), Ok(()));
    history.invoke(ClientId(1), 5);
    history.invoke(ClientId(1), 6);
    let error = none_pending(&history).unwrap_err();
    assert_eq!(error.operations, [OperationId(4), OperationId(5)]);
    assert_eq!(error.to_string(), "2 operations never ended, the first of them 4");
}
