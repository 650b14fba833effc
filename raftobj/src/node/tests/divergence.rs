//! Replicas that differ.

use super::*;

/// Node 1 of three, leading, with the no-op of its term applied. The others report these digests of it.
fn leader_with_digests_of_others(others: [u64; 2]) -> Node {
    let mut node = leader_of(3);
    let mut committed = Vec::new();
    for match_index in [Index(0), Index(1)] {
        node.receive(NodeId(2), Message::Raft(node.term(), RaftMessage::Appended { match_index }));
        committed.extend(settle(&mut node).1);
    }
    let noop = committed.last().expect("a majority has the no-op").clone();
    let checkpoint = Checkpoint { index: noop.id.index, digest: 1, method: None };
    node.applied(Applied {
        upto: noop.id,
        time: noop.time,
        checkpoints: vec![checkpoint],
        decisions: Vec::new(),
        panics: 0,
        stop: None,
    });
    node.receive(NodeId(2), Message::Digest { index: noop.id.index, digest: others[0] });
    for (peer, digest) in (2..).zip(others) {
        node.receive(NodeId(peer), Message::Digests { first: noop.id.index, digests: vec![digest] });
    }
    node
}

// Breaks: a replica with a wrong state serves its callers.
#[test]
fn a_node_that_the_majority_disagrees_with_stops() {
    Counts::take();
    let node = leader_with_digests_of_others([2, 2]);
    let reason = node.stopped().expect("it stops");
    assert!(reason.contains("differ from index 1 on"), "{reason}");
    let counts = Counts::take();
    assert_eq!(counts.of(Mark::DivergenceAsked), 1);
    assert_eq!(counts.of(Mark::DivergenceOutvoted), 1);
}

// Breaks: where no two states are equal all nodes stop, and no node is left to report why.
#[test]
fn the_leader_goes_on_where_no_majority_agrees_on_a_state() {
    Counts::take();
    let mut node = leader_with_digests_of_others([2, 3]);
    assert_eq!(node.stopped(), None);
    let warnings = node.effects().expect("a warning").warnings;
    assert!(warnings[0].contains("no majority agrees"), "{warnings:?}");
    assert_eq!(Counts::take().of(Mark::DivergenceUndecided), 1);
}

/// Breaks: the test above does not notice that replicas which differ go on. A simulation would end there.
#[test]
fn planted_divergence_that_goes_on_is_found() {
    let goes_on = with(Bug::DivergenceGoesOn, || leader_with_digests_of_others([2, 2]).stopped().is_none());
    assert!(goes_on, "the bug changes nothing");
}
