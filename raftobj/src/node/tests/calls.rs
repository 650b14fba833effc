//! Calls and the log.

use super::*;

// Breaks: the first calls of a new cluster see 1970 as their time.
#[test]
fn no_entry_is_stamped_before_the_time_is_known() {
    let mut node = Node::new(config(1, 1), PersistentState::default());
    node.tick(Time(5_000));
    node.call(CallId(1), ADD, arguments(3), Ticks(100));
    let (_, committed) = settle(&mut node);
    let times: Vec<_> = committed.iter().map(|entry| entry.time).collect();
    assert_eq!(times, [Time(5_000), Time(5_000)]);
}

// Breaks: one forged frame, or one node with newer code, stops every replica for ever.
#[test]
fn a_call_that_no_replica_could_apply_does_not_enter_the_log() {
    let mut node = leader_of_two();
    let good = |number| command(session(2, 1), number, 1, ADD, 7);
    let last = |node: &Node| node.status().last_index;
    let before = last(&node);
    for bad in [
        Command { method: MethodId(1), ..good(1) },
        Command { object: ObjectId(1), ..good(1) },
        Command { session: session(1, 1), ..good(1) },
        Command { session: SessionId { incarnation: Incarnation(9), ..session(2, 1) }, ..good(1) },
    ] {
        node.receive(NodeId(2), Message::Calls(vec![bad]));
        let refusal = Message::CallsRefused { from: Number(1), why: CallsRefusal::NotAdmitted };
        assert!(settle(&mut node).0.contains(&(NodeId(2), refusal)));
        assert_eq!(last(&node), before);
    }
    // Calls before it are proposed, calls after it wait.
    let commands = vec![good(1), Command { method: MethodId(1), ..good(2) }, good(3)];
    node.receive(NodeId(2), Message::Calls(commands));
    let refusal = Message::CallsRefused { from: Number(2), why: CallsRefusal::NotAdmitted };
    assert!(settle(&mut node).0.contains(&(NodeId(2), refusal)));
    assert_eq!(last(&node), before.next());
    assert!(Counts::take().of(Mark::CallBarred) > 0);
    // A node that is not a member cannot propose either.
    node.receive(NodeId(3), Message::Calls(vec![command(session(3, 1), 1, 1, ADD, 7)]));
    settle(&mut node);
    assert_eq!(last(&node), before.next());
}

// Breaks: a message to the leader is too large for its inbox, or each call needs a message of its own.
#[test]
fn forwarded_calls_are_sent_in_messages_of_bounded_size() {
    let persistent_state = PersistentState { formed: Some(membership(2)), ..PersistentState::default() };
    let mut node = Node::new(config(1, 2), persistent_state);
    let heartbeat = RaftMessage::Heartbeat { commit: Index(0), round: 0 };
    node.receive(NodeId(2), Message::Raft(Term(5), heartbeat));
    settle(&mut node);
    for (call, kib) in (1..).zip([512, 512, 512, 2_048, 1]) {
        node.call(CallId(call), ADD, vec![0; kib << 10].into(), Ticks(100));
    }
    let messages = settle(&mut node).0.into_iter();
    let calls: Vec<usize> = messages
        .filter_map(|(_, message)| match message {
            Message::Calls(calls) => Some(calls.len()),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [2, 1, 1, 1]);
}

// Breaks: a caller that sets a shorter deadline waits longer.
#[test]
fn a_call_ends_at_its_new_deadline() {
    let mut node = leader_of_two();
    node.call(CallId(1), ADD, arguments(3), Ticks(100));
    settle(&mut node);
    node.set_deadline(CallId(1), Ticks(2));
    let ended = |node: &mut Node| node.effects().map_or(0, |effects| effects.completions.len());
    node.tick(Time(2_000));
    assert_eq!(ended(&mut node), 0);
    node.tick(Time(2_000));
    assert_eq!(ended(&mut node), 1);
}
