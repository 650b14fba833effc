//! How many entries a leader appends for a call.

use super::*;

/// How many entries the log has beside the no-ops.
fn commands(node: &Node) -> usize {
    let log = node.raft().expect("the cluster is formed").log();
    log.iter_from(log.first_index()).filter(|entry| entry.kind == EntryKind::Command).count()
}

/// What a leader replies to these calls of node 2, if it refuses any.
fn forward(node: &mut Node, commands: Vec<Command>) -> Vec<Message> {
    node.receive(NodeId(2), Message::Calls(commands));
    let messages = settle(node).0.into_iter();
    messages.map(|(_, message)| message).filter(|it| matches!(it, Message::CallsRefused { .. })).collect()
}

/// Calls of node 2 with these numbers; the first is the first unanswered one.
fn window(numbers: std::ops::RangeInclusive<u64>) -> Vec<Command> {
    let lowest = *numbers.start();
    numbers.map(|number| command(session(2, 1), number, lowest, ADD, number)).collect()
}

// Breaks: while apply is slow, a read guard is held or a disk is slow, the log grows by whole windows of calls that it
// has already, and each of them makes the wait longer.
#[test]
fn calls_that_are_not_decided_for_seconds_have_one_entry_each() {
    // Its own calls: the entries are not applied, for eight seconds of its clock.
    let mut node = leader_of(1);
    for call in 1..=5_000 {
        node.call(CallId(call), ADD, arguments(call), Ticks(10_000));
    }
    for now in 0..800 {
        node.tick(Time(5_000 + now));
        settle(&mut node);
    }
    assert_eq!(commands(&node), 5_000);

    // A follower's: nothing is committed, because no acknowledgement arrives.
    let mut node = leader_of_two();
    for _ in 0..4 {
        assert_eq!(forward(&mut node, window(1..=5_000)), []);
    }
    assert_eq!(commands(&node), 5_000);
}
