//! Single nodes, driven step by step.

mod appended;
mod calls;
mod divergence;
mod founding;
mod handshake;
mod scenario;
mod status;

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
use crate::raft::types::{Boot, EntryKind, Incarnation};
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
            disk_stall_ticks_max: Ticks(200),
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

/// Makes all writes durable until the node has no effects any more. Returns its messages, and the entries to apply.
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

/// Node 1 of `size` nodes, leading.
fn leader_of(size: u64) -> Node {
    let persistent_state = PersistentState { formed: Some(membership(size)), ..PersistentState::default() };
    let mut node = Node::new(config(1, size), persistent_state);
    for now in 0..100 {
        node.tick(Time(1_000 + now));
        for (to, message) in settle(&mut node).0 {
            let Message::Raft(term, message) = message else { continue };
            let answer = match message {
                RaftMessage::PreVote { .. } => RaftMessage::PreVoteReply { of: term, granted: true },
                RaftMessage::RequestVote { .. } => RaftMessage::VoteReply { granted: true },
                _ => continue,
            };
            node.receive(to, Message::Raft(term, answer));
        }
        if node.leadership().role == Role::Leader {
            settle(&mut node);
            return node;
        }
    }
    panic!("node 1 is not elected");
}
