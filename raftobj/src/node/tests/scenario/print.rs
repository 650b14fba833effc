//! The output format: a node, a message or a write in one line.

use super::network::Host;
use super::server::{ScriptedProcess, ScriptedServer};
use crate::codec::command::{Command, SessionId};
use crate::codec::message::{Announcement, CallsRefusal, Message};
use crate::node::FoundingWrite;
use crate::node::status::{Leadership, Role};
use crate::object::describe::describe;
use crate::object::fixture::Tally;
use crate::persistence::Write;
use crate::raft::membership::Membership;
use crate::raft::message::{Message as RaftMessage, ReadId};
use crate::raft::types::{Entry, EntryKind, HardState, NodeId};
use crate::raft::{Persist, Raft};

/// A node's id is the server's number, plus this for each disk that the server has lost.
const LOST_DISK: u64 = 100;

/// The id of a server's first node.
pub(super) fn first_node(host: Host) -> NodeId {
    NodeId(host.0)
}

/// The id of the next node of the same server, after it has lost its disk.
pub(super) fn next_node(id: NodeId) -> NodeId {
    NodeId(id.0 + LOST_DISK)
}

/// The server of a node.
pub(super) fn host(id: NodeId) -> Host {
    Host(id.0 % LOST_DISK)
}

/// `n1`, and `n1'` for the node after a lost disk.
pub(super) fn name(id: NodeId) -> String {
    format!("{}{}", host(id), "'".repeat(usize::try_from(id.0 / LOST_DISK).expect("few")))
}

/// `n1 leader@2 vote=n1 last=5@2 durable=5 commit=5 applied=5 n2=5 n3=4?6`. A peer has its match index; while the leader
/// probes, `?` and the next index follow.
pub(super) fn status(server: &ScriptedServer) -> String {
    let disk = &server.disk;
    let named = name(disk.node);
    let Some(process) = &server.process else {
        let last = disk.entries.last().map(|entry| entry.id).unwrap_or_default();
        return format!("{named} down; its disk has {} last={last}", hard_state(disk.hard_state));
    };
    if let Some(reason) = process.node.stopped() {
        return format!("{named} stopped: {reason}");
    }
    let Some(raft) = process.node.raft() else {
        let mut waiting = process.node.status().waiting_for;
        if disk.unwritten().count() > 0 {
            waiting.push("its disk".to_owned());
        }
        return format!("{named} founding, waits for {}", waiting.join(", "));
    };
    let status = process.node.status();
    let mut line = format!("{named} {}", role(process));
    line += &match raft.hard_state().voted_for {
        Some(id) => format!(" vote={}", name(id)),
        None => " vote=none".to_owned(),
    };
    line += &format!(" last={} durable={} commit={}", raft.log().last(), raft.durable_index(), raft.commit());
    line += &format!(" applied={}", status.applied_index);
    for (peer, member) in &raft.membership().members {
        if let Some((match_index, next_index)) = raft.progress_of(*peer) {
            let probing = if raft.is_probing(*peer) { format!("?{next_index}") } else { String::new() };
            line += &format!(" {}={match_index}{probing}", member.address);
        }
    }
    for (label, count) in [
        ("unwritten", disk.unwritten().count()),
        ("unapplied", process.unapplied.len()),
        ("calls", status.calls_in_flight + status.calls_queued),
        ("panics", usize::try_from(status.method_panics).expect("few")),
    ] {
        if count > 0 {
            line += &format!(" {label}={count}");
        }
    }
    line
}

/// `leader@2`, `follower@2 of n1`.
pub(super) fn role(process: &ScriptedProcess) -> String {
    let Leadership { role, term, leader } = process.node.leadership();
    match (role, leader) {
        (Role::Stopped, _) => format!("stopped: {}", process.node.stopped().unwrap_or_default()),
        (Role::Candidate, _) if process.node.raft().is_some_and(Raft::is_pre_candidate) => {
            format!("precandidate@{term}")
        }
        (Role::Follower, Some(leader)) => format!("follower@{term} of {}", name(leader)),
        _ => format!("{role}@{term}"),
    }
}

/// `term=2 vote=n1`.
pub(super) fn hard_state(hard_state: HardState) -> String {
    let vote = hard_state.voted_for.map_or("none".to_owned(), name);
    format!("term={} vote={vote}", hard_state.term)
}

/// `4@2 n1#3 add(5)`: index, term, the session and the call's number in it, the call. From the second start of a node on,
/// the session includes the boot: `n1/2#3`.
pub(super) fn entry(entry: &Entry) -> String {
    let session = match entry.kind {
        EntryKind::Noop => String::new(),
        EntryKind::Command => match Command::decode(&entry.payload) {
            Ok(command) => format!("{} ", number(&command)),
            Err(_) => String::new(),
        },
    };
    format!("{} {session}{}", entry.id, describe::<Tally>(entry))
}

fn number(command: &Command) -> String {
    format!("{}#{}", session(command.session), command.number.0)
}

fn session(session: SessionId) -> String {
    let boot = if session.boot.0 > 1 { format!("/{}", session.boot) } else { String::new() };
    format!("{}{boot}", name(session.node))
}

/// Entries in brackets.
pub(super) fn entries(entries: &[Entry]) -> String {
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!("[{}]", entries.join(", "))
}

/// A write: `term=2 vote=n1 [1@2 no-op]`.
pub(super) fn write(write: &Write) -> String {
    match write {
        Write::Persist(Persist { hard_state: changed, entries: new, .. }) => {
            let parts = [changed.map(hard_state), (!new.is_empty()).then(|| entries(new))];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Write::Founding(FoundingWrite::Proposal(membership)) => format!("proposal {}", members(membership)),
        Write::Founding(FoundingWrite::Formed { membership, .. }) => {
            format!("formed {}", members(membership))
        }
    }
}

/// `[n1 n2 n3]`.
pub(super) fn members(membership: &Membership) -> String {
    let names: Vec<String> = membership.members.keys().copied().map(name).collect();
    format!("[{}]", names.join(" "))
}

/// A message: its kind, the sender's term, and its fields.
pub(super) fn message(message: &Message) -> String {
    match message {
        Message::Raft(term, message) => {
            let (kind, rest) = raft_message(message);
            format!("{kind}@{term}{rest}")
        }
        Message::Calls(commands) => {
            let calls: Vec<String> = commands
                .iter()
                .map(|command| {
                    let arguments = crate::object::fixture::call_text(command);
                    format!("{} {arguments} lowest={}", number(command), command.lowest.0)
                })
                .collect();
            format!("calls [{}]", calls.join(", "))
        }
        Message::CallsRefused { from, why } => {
            let why = match why {
                CallsRefusal::NotLeader => "does not lead",
                CallsRefusal::Busy => "busy",
                CallsRefusal::NotAdmitted => "not admitted",
                CallsRefusal::DiskNearlyFull => "disk nearly full",
                CallsRefusal::Gap => "gap",
            };
            format!("calls-refused from #{}: {why}", from.0)
        }
        Message::Founding(Announcement::Waiting) => "founding waiting".to_owned(),
        Message::Founding(Announcement::Proposed(list)) => format!("founding proposed {}", members(list)),
        Message::Founding(Announcement::Formed(list)) => format!("founding formed {}", members(list)),
        Message::Digest { index, .. } => format!("digest of {index}"),
        Message::DigestsWanted { upto } => format!("digests-wanted up to {upto}"),
        Message::Digests { first, digests } => format!("digests {} from {first}", digests.len()),
    }
}

fn raft_message(message: &RaftMessage) -> (&'static str, String) {
    let verdict = |granted: bool| if granted { "granted" } else { "refused" };
    match message {
        RaftMessage::PreVote { last } => ("prevote", format!(" last={last}")),
        RaftMessage::PreVoteReply { of, granted } => {
            ("prevote-reply", format!(" {} of={of}", verdict(*granted)))
        }
        RaftMessage::RequestVote { last } => ("vote", format!(" last={last}")),
        RaftMessage::VoteReply { granted } => ("vote-reply", format!(" {}", verdict(*granted))),
        RaftMessage::AppendEntries { prev, commit, entries: new } => {
            ("append", format!(" prev={prev} commit={commit} {}", entries(new)))
        }
        RaftMessage::Appended { match_index } => ("appended", format!(" match_index={match_index}")),
        RaftMessage::Conflict { rejected, hint } => ("conflict", format!(" rejected={rejected} hint={hint}")),
        RaftMessage::Commit { commit } => ("commit", format!(" {commit}")),
        RaftMessage::Heartbeat { commit, round } => ("heartbeat", format!(" commit={commit} round={round}")),
        RaftMessage::HeartbeatReply { round } => ("heartbeat-reply", format!(" round={round}")),
        RaftMessage::ReadIndex { id } => ("read-index", format!(" id={}", read_id(*id))),
        RaftMessage::ReadIndexReply { id, index } => {
            let index = index.map_or("none".to_owned(), |index| index.to_string());
            ("read-index-reply", format!(" id={} index={index}", read_id(*id)))
        }
    }
}

/// The boot, and the read's number in it.
fn read_id(id: ReadId) -> String {
    format!("{}.{}", id.0 >> 40, id.0 & ((1 << 40) - 1))
}
