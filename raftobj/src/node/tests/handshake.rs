//! Which peers are refused, and why.

use super::*;

// Breaks: anybody who can connect makes the memory and the log of the process grow with each attempt.
#[test]
fn only_a_member_can_cause_a_warning() {
    let mut node = leader_of_two();
    for id in 3..10 {
        let mut hello = Node::new(config(id, 9), PersistentState::default()).hello();
        hello.methods[0].types ^= 1;
        assert!(node.check_hello(&hello.encode(), None).is_err());
    }
    assert_eq!(node.effects().map(|effects| effects.warnings), None);
}

// Breaks: the largest commands of one node close the connections of the other, again and again.
#[test]
fn nodes_with_different_command_limits_refuse_each_other() {
    let mut node = leader_of_two();
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    assert!(node.check_hello(&hello.encode(), None).is_ok());
    hello.command_bytes_max += 1;
    let refusal = node.check_hello(&hello.encode(), None).unwrap_err();
    assert!(refusal.contains("command_bytes_max"), "{refusal}");
}

// Breaks: nobody notices that one node's log is full before the others'.
#[test]
fn another_limit_of_the_log_is_warned_of_once() {
    let mut node = leader_of_two();
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    let mut warnings = |hello: &Hello| {
        assert!(node.check_hello(&hello.encode(), None).is_ok());
        node.effects().map_or(Vec::new(), |effects| effects.warnings)
    };
    assert!(warnings(&hello).is_empty());
    hello.log_bytes_max /= 2;
    let warning = warnings(&hello).concat();
    assert!(warning.contains("log_bytes_max is 524288 at n2:1 and 1048576 here"), "{warning}");
    assert!(warnings(&hello).is_empty());
    hello.log_bytes_max *= 2;
    assert!(warnings(&hello).is_empty());
    hello.log_bytes_max *= 2;
    assert_eq!(warnings(&hello).len(), 1);
}

// Breaks: arguments are decoded for another version of the method.
#[test]
fn nodes_with_different_versions_of_a_method_refuse_each_other() {
    let mut node = leader_of_two();
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    hello.methods[0].types ^= 1;
    for _ in 0..2 {
        assert!(node.check_hello(&hello.encode(), None).is_ok());
    }
    let warnings = node.effects().unwrap().warnings;
    assert_eq!(warnings.len(), 1, "one warning, as the types may only be spelled differently: {warnings:?}");
    hello.methods[0].arity += 1;
    let refusal = node.check_hello(&hello.encode(), None).unwrap_err();
    assert!(refusal.contains("give the changed method a new name"), "{refusal}");
}

// Breaks: an operator looks for a lost disk, but the node was never a member; or the other way round.
#[test]
fn a_refusal_distinguishes_a_non_member_from_another_disk_of_a_member() {
    let mut node = leader_of_two();
    let hello = |id| Node::new(config(id, 9), PersistentState::default()).hello();
    let refusal = node.check_hello(&hello(3).encode(), None).unwrap_err();
    assert!(refusal.contains("n3:1 is not a member"), "{refusal}");
    let wiped = Hello { node: NodeId(77), ..hello(2) };
    let refusal = node.check_hello(&wiped.encode(), None).unwrap_err();
    assert!(refusal.contains("another disk at n2:1"), "{refusal}");
}

/// Breaks: a member's id comes back with an empty disk, which has forgotten its votes.
#[test]
fn another_disk_of_a_member_is_refused() {
    let persistent_state = PersistentState { formed: Some(membership(2)), ..PersistentState::default() };
    let mut node = Node::new(config(1, 2), persistent_state);
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    assert!(node.check_hello(&hello.encode(), None).is_ok());
    hello.incarnation = Incarnation(hello.incarnation.0 + 1);
    assert!(node.check_hello(&hello.encode(), None).unwrap_err().contains("another disk at n2:1"));
}

/// Breaks: the test above does not notice that incarnations are not compared.
#[test]
fn planted_incarnations_not_compared_are_found() {
    let check = || with(Bug::IncarnationIgnored, another_disk_of_a_member_is_refused);
    assert!(catch_unwind(check).is_err(), "it was not found");
}
