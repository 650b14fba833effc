//! Single stories of one node, or of two.

use super::*;
use crate::calls::CallsConfig;
use crate::codec::command::{Command, Number, ObjectId};
use crate::codec::hello::{Hello, MethodSignature};
use crate::codec::message::CallsRefusal;
use crate::marks::{Counts, Mark};
use crate::object::Object;
use crate::object::digest::Checkpoint;
use crate::object::fixture::{ADD, Tally, arguments, command, session};
use crate::planted::{Bug, with};
use crate::raft::config::Config as RaftConfig;
use crate::raft::membership::Member;
use crate::raft::message::Message as RaftMessage;
use crate::raft::types::{Boot, Incarnation};
use std::panic::catch_unwind;

fn config(id: u64, size: u64) -> NodeConfig {
    NodeConfig {
        node: NodeId(id),
        incarnation: session(id, 1).incarnation,
        boot: Boot(1),
        address: format!("n{id}:1"),
        founders: (1..=size).map(|id| format!("n{id}:1")).collect(),
        object: Tally::NAME.to_owned(),
        methods: Tally::METHODS.iter().map(MethodSignature::of).collect(),
        method_names: Tally::METHODS.iter().map(|method| (method.id, method.name)).collect(),
        raft: RaftConfig {
            id: NodeId(id),
            seed: 1,
            heartbeat_ticks: Ticks(2),
            election_ticks_min: Ticks(8),
            election_ticks_max: Ticks(16),
            append_bytes_max: 1_000,
            window_messages_max: 4,
            window_bytes_max: 1_000,
            log_bytes_max: 1 << 20,
            apply_entries_max: 100,
            tick_ms: 10,
            clock_jump_ms_max: 1_000_000,
        },
        calls: CallsConfig::default(),
        gossip_ticks: Ticks(4),
    }
}

fn membership(size: u64) -> Membership {
    let member = |id| Member { incarnation: session(id, 1).incarnation, address: format!("n{id}:1") };
    Membership { members: (1..=size).map(|id| (NodeId(id), member(id))).collect() }
}

/// Makes everything durable until nothing follows any more. What was to be sent, and what was to be applied.
fn settle(node: &mut Node) -> (Vec<(NodeId, Message)>, Vec<Entry>) {
    let (mut messages, mut committed) = (Vec::new(), Vec::new());
    while let Some(effects) = node.effects() {
        messages.extend(effects.messages);
        committed.extend(effects.committed);
        effects.persists.last().into_iter().for_each(|persist| node.persisted(persist.id));
        effects.founding.iter().for_each(|write| node.founding_written(write));
    }
    (messages, committed)
}

/// Node 1 of two, leading.
fn leader_of_two() -> Node {
    leader_of(2)
}

/// Node 1 of so many, leading.
fn leader_of(size: u64) -> Node {
    let persistent_state = PersistentState { formed: Some(membership(size)), ..PersistentState::default() };
    let mut node = Node::new(config(1, size), persistent_state);
    for now in 0..100 {
        node.tick(Time(1_000 + now));
        for (to, message) in settle(&mut node).0 {
            let Message::Raft(term, message) = message else { continue };
            let answer = match message {
                RaftMessage::PreVote { .. } => RaftMessage::PreVoteReply { of: term, granted: true },
                RaftMessage::Vote { .. } => RaftMessage::VoteReply { granted: true },
                _ => continue,
            };
            node.receive(to, Message::Raft(term, answer));
        }
        if node.headline().0 == Role::Leader {
            settle(&mut node);
            return node;
        }
    }
    panic!("it never leads");
}

// Breaks: the first calls of a new cluster see the year 1970 as their time.
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
fn calls_that_no_replica_could_apply_do_not_enter_the_log() {
    let mut node = leader_of_two();
    let good = |number| command(session(2, 1), number, 1, ADD, 7);
    let last = |node: &Node| node.status().last;
    let before = last(&node);
    for bad in [
        Command { method: MethodId(1), ..good(1) },
        Command { object: ObjectId(1), ..good(1) },
        Command { session: session(1, 1), ..good(1) },
        Command { session: SessionId { incarnation: Incarnation(9), ..session(2, 1) }, ..good(1) },
    ] {
        node.receive(NodeId(2), Message::Calls(vec![bad]));
        let refusal = Message::CallsRefused { from: Number(1), why: CallsRefusal::Barred };
        assert!(settle(&mut node).0.contains(&(NodeId(2), refusal)));
        assert_eq!(last(&node), before);
    }
    // What comes before it is taken, what comes after it waits.
    let commands = vec![good(1), Command { method: MethodId(1), ..good(2) }, good(3)];
    node.receive(NodeId(2), Message::Calls(commands));
    let refusal = Message::CallsRefused { from: Number(2), why: CallsRefusal::Barred };
    assert!(settle(&mut node).0.contains(&(NodeId(2), refusal)));
    assert_eq!(last(&node), before.next());
    assert!(Counts::take().of(Mark::CallBarred) > 0);
    // Nor does what a node says that is not in the membership.
    node.receive(NodeId(3), Message::Calls(vec![command(session(3, 1), 1, 1, ADD, 7)]));
    settle(&mut node);
    assert_eq!(last(&node), before.next());
}

// Breaks: whoever can connect makes the node's memory and log grow, a little with each attempt.
#[test]
fn only_a_member_is_worth_a_warning() {
    let mut node = leader_of_two();
    for stranger in 3..10 {
        let mut hello = Node::new(config(stranger, 9), PersistentState::default()).hello();
        hello.methods[0].types ^= 1;
        assert!(node.judge(&hello.encode(), None).is_err());
    }
    assert_eq!(node.effects().map(|effects| effects.warnings), None);
}

// Breaks: the largest commands of one node close the other's connections, again and again.
#[test]
fn nodes_that_take_commands_of_other_sizes_refuse_each_other() {
    let mut node = leader_of_two();
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    assert!(node.judge(&hello.encode(), None).is_ok());
    hello.command_bytes_max += 1;
    let refusal = node.judge(&hello.encode(), None).unwrap_err();
    assert!(refusal.contains("command_bytes_max"), "{refusal}");
}

// Breaks: arguments are read as those of the method as it was, or will be.
#[test]
fn nodes_of_which_one_has_changed_a_method_refuse_each_other() {
    let mut node = leader_of_two();
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    hello.methods[0].types ^= 1;
    for _ in 0..2 {
        assert!(node.judge(&hello.encode(), None).is_ok());
    }
    let warnings = node.effects().unwrap().warnings;
    assert_eq!(warnings.len(), 1, "of what may be a spelling, once: {warnings:?}");
    hello.methods[0].arity += 1;
    let refusal = node.judge(&hello.encode(), None).unwrap_err();
    assert!(refusal.contains("give the changed method a new name"), "{refusal}");
}

// Breaks: a person looks for a lost disk where there is a node too many, or the other way round.
#[test]
fn a_stranger_is_told_apart_from_a_members_other_disk() {
    let mut node = leader_of_two();
    let hello = |id| Node::new(config(id, 9), PersistentState::default()).hello();
    let refusal = node.judge(&hello(3).encode(), None).unwrap_err();
    assert!(refusal.contains("n3:1 is not a member"), "{refusal}");
    let wiped = Hello { node: NodeId(77), ..hello(2) };
    let refusal = node.judge(&wiped.encode(), None).unwrap_err();
    assert!(refusal.contains("another disk at n2:1"), "{refusal}");
}

// Breaks: one message to the leader is larger than its inbox takes, or each call costs a message of its own.
#[test]
fn calls_go_to_the_leader_in_messages_of_a_bounded_size() {
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

// Breaks: an operator sees connections and logs that are not there.
#[test]
fn a_status_tells_what_a_node_knows_of_the_others() {
    let mut founding = Node::new(config(1, 2), PersistentState::default());
    let peer = |node: &Node| {
        let [peer] = &node.status().peers[..] else { panic!("one other") };
        (peer.address.clone(), peer.node, peer.connected, peer.match_index)
    };
    let address = || "n2:1".to_owned();
    assert_eq!(peer(&founding), (address(), None, false, None));
    let hello = Node::new(config(2, 2), PersistentState::default()).hello();
    founding.judge(&hello.encode(), Some("n2:1")).unwrap();
    assert_eq!(peer(&founding), (address(), Some(NodeId(2)), false, None));

    let mut node = leader_of_two();
    assert_eq!(peer(&node), (address(), Some(NodeId(2)), false, Some(Index(0))));
    node.connected(NodeId(2));
    node.connected(NodeId(2));
    node.disconnected(NodeId(2));
    assert!(peer(&node).2, "one of two connections is left");
    node.disconnected(NodeId(2));
    assert!(!peer(&node).2);
    let expected =
        "node=n1:1 role=leader leader=n1:1 term=1 commit=0 applied=0 last=1 digest=0000000000000000";
    assert_eq!(node.status().to_string(), expected);
}

// Breaks: messages pile up for a node that nothing leads to.
#[test]
fn only_those_with_a_connection_are_told_that_the_cluster_is_formed() {
    for (lost, told) in [(false, 1), (true, 0)] {
        let mut node = Node::new(config(1, 2), PersistentState::default());
        let hello = Node::new(config(2, 2), PersistentState::default()).hello();
        node.judge(&hello.encode(), Some("n2:1")).unwrap();
        node.connected(NodeId(2));
        settle(&mut node);
        if lost {
            node.disconnected(NodeId(2));
        }
        node.receive(NodeId(2), Message::Founding(Announcement::Proposed(membership(2))));
        let formed = Message::Founding(Announcement::Formed(membership(2)));
        let messages = settle(&mut node).0;
        assert!(node.cluster().is_some());
        assert_eq!(messages.iter().filter(|(_, message)| *message == formed).count(), told);
    }
}

#[test]
fn the_last_entries_of_the_log_are_told() {
    let mut node = leader_of_two();
    node.call(CallId(1), ADD, arguments(3), Ticks(100));
    node.call(CallId(2), ADD, arguments(3), Ticks(100));
    settle(&mut node);
    let told = |count| node.log(count).iter().map(|entry| entry.id.index.0).collect::<Vec<_>>();
    assert_eq!((told(0), told(2), told(9)), (vec![], vec![2, 3], vec![1, 2, 3]));
}

// Breaks: a caller that loses patience waits on.
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

/// Node 1 of three, leading, with the no-op of its term applied; the others say that they have these digests of it.
fn told_of_other_states(others: [u64; 2]) -> Node {
    let mut node = leader_of(3);
    let mut committed = Vec::new();
    for matched in [Index(0), Index(1)] {
        node.receive(NodeId(2), Message::Raft(node.term(), RaftMessage::Appended { matched }));
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

// Breaks: a replica that is wrong goes on to answer.
#[test]
fn a_node_alone_with_its_state_stops() {
    Counts::take();
    let node = told_of_other_states([2, 2]);
    let reason = node.stopped().expect("it stops");
    assert!(reason.contains("differ from index 1 on"), "{reason}");
    let counts = Counts::take();
    assert_eq!(counts.of(Mark::DivergenceAsked), 1);
    assert_eq!(counts.of(Mark::DivergenceOutvoted), 1);
}

// Breaks: where no two states are alike all nodes stop, and nobody is left to say why.
#[test]
fn a_leader_stays_where_no_majority_agrees_on_a_state() {
    Counts::take();
    let mut node = told_of_other_states([2, 3]);
    assert_eq!(node.stopped(), None);
    let warnings = node.effects().expect("a warning").warnings;
    assert!(warnings[0].contains("no majority agrees"), "{warnings:?}");
    assert_eq!(Counts::take().of(Mark::DivergenceUndecided), 1);
}

/// Breaks: the check above would not see that replicas which differ go on. A simulation ends where they first do.
#[test]
fn planted_divergence_that_goes_on_is_found() {
    let goes_on = with(Bug::DivergenceGoesOn, || told_of_other_states([2, 2]).stopped().is_none());
    assert!(goes_on, "the bug changes nothing");
}

/// Breaks: a member's id comes back with an empty disk, which has forgotten its votes.
#[test]
fn another_disk_of_a_member_is_refused() {
    let persistent_state = PersistentState { formed: Some(membership(2)), ..PersistentState::default() };
    let mut node = Node::new(config(1, 2), persistent_state);
    let mut hello = Node::new(config(2, 2), PersistentState::default()).hello();
    assert!(node.judge(&hello.encode(), None).is_ok());
    hello.incarnation = Incarnation(hello.incarnation.0 + 1);
    assert!(node.judge(&hello.encode(), None).unwrap_err().contains("another disk at n2:1"));
}

/// Breaks: the check above would not see that incarnations are not compared.
#[test]
fn planted_incarnations_not_compared_are_found() {
    let check = || with(Bug::IncarnationIgnored, another_disk_of_a_member_is_refused);
    assert!(catch_unwind(check).is_err(), "it was not found");
}
