//! Entries, commands, members, hellos and messages. Each value has one encoding: bytes that decode are encoded again
//! to the same bytes.

use super::{Check, MemoryBound, Target};
use crate::codec::command::{Command, Number, ObjectId, SessionId};
use crate::codec::entry::{put_entry, put_hard_state, take_entry, take_hard_state};
use crate::codec::hello::{Hello, MethodSignature, PROTOCOL};
use crate::codec::membership::{put_membership, take_membership};
use crate::codec::message::{Announcement, CallsRefusal, Message};
use crate::codec::method::MethodId;
use crate::codec::{DecodeError, Put, Take};
use crate::raft::membership::{Member, Membership};
use crate::raft::message::{Message as RaftMessage, ReadId};
use crate::raft::types::{
    Boot, Entry, EntryId, EntryKind, HardState, Incarnation, Index, NodeId, Term, Time,
};
use bytes::Bytes;

/// Decoded values share the input and are at most `bytes_per_byte` times larger than their shortest encoding: an
/// entry without a payload has 5 bytes on the wire and 64 in memory, in a vector that grows by doubling.
const MEMORY: MemoryBound = MemoryBound { bytes_fixed: 1024, bytes_per_byte: 48 };

pub(super) fn targets() -> Vec<Target> {
    let target = |name, decode, seeds| Target { name, decode, seeds, memory: MEMORY };
    vec![
        target("message", message, message_seeds),
        target("hello", hello, hello_seeds),
        target("command", command, command_seeds),
        target("entry", entry, entry_seeds),
        target("hard_state", hard_state, hard_state_seeds),
        target("membership", membership, membership_seeds),
    ]
}

/// Decodes a value that takes all bytes, and checks that it is encoded to the same bytes.
fn one_encoding<T: 'static>(
    bytes: &[u8],
    take: impl FnOnce(&mut Bytes) -> Result<T, DecodeError>,
    put: impl FnOnce(&mut Vec<u8>, &T) + 'static,
) -> Option<Check> {
    let original = Bytes::copy_from_slice(bytes);
    let mut input = original.clone();
    let value = take(&mut input).and_then(|value| input.finish().map(|()| value)).ok()?;
    Some(Box::new(move || {
        let mut encoded = Vec::new();
        put(&mut encoded, &value);
        assert_eq!(encoded, original, "one value, one encoding");
    }))
}

fn message(bytes: &[u8]) -> Option<Check> {
    let take = |input: &mut Bytes| Message::decode(std::mem::take(input));
    one_encoding(bytes, take, |buffer, message| message.encode(buffer))
}

fn command(bytes: &[u8]) -> Option<Check> {
    let take = |input: &mut Bytes| Command::decode(&std::mem::take(input));
    one_encoding(bytes, take, |buffer, command: &Command| buffer.extend_from_slice(&command.encode()))
}

fn entry(bytes: &[u8]) -> Option<Check> {
    one_encoding(bytes, take_entry, put_entry)
}

fn hard_state(bytes: &[u8]) -> Option<Check> {
    one_encoding(bytes, take_hard_state, |buffer, state| put_hard_state(buffer, *state))
}

fn membership(bytes: &[u8]) -> Option<Check> {
    one_encoding(bytes, take_membership, put_membership)
}

fn hello(bytes: &[u8]) -> Option<Check> {
    let original = bytes.to_vec();
    match Hello::decode(Bytes::copy_from_slice(bytes)) {
        Ok(hello) => Some(Box::new(move || {
            let encoded = hello.encode();
            // NB: another sender may support more versions than this one. All other fields have one encoding.
            let own = [*PROTOCOL.start() as u8, *PROTOCOL.end() as u8];
            if original[8..10] == own {
                assert_eq!(encoded, original, "one hello, one encoding");
            }
            assert_eq!(Hello::decode(encoded.into()), Ok(hello));
        })),
        // Both ends log the refusal.
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{error:?} has no message");
            None
        }
    }
}

pub(super) fn sample_command(number: u64, arguments: &[u8]) -> Command {
    let session = SessionId { node: NodeId(7), incarnation: Incarnation(8), boot: Boot(1) };
    Command {
        object: ObjectId(0),
        session,
        number: Number(number),
        lowest: Number(number.saturating_sub(3).max(1)),
        method: MethodId::of("set"),
        arguments: Bytes::copy_from_slice(arguments),
    }
}

/// A command, and a leader's first entry.
pub(crate) fn sample_entries() -> [Entry; 2] {
    let time = Time(1_790_000_000_000);
    let id = |term, index| EntryId { term: Term(term), index: Index(index) };
    let payload = sample_command(3, b"\x01a\x011").encode();
    [
        Entry { id: id(7, 3), time, kind: EntryKind::Command, payload },
        Entry { id: id(9, 4), time, kind: EntryKind::Noop, payload: Bytes::new() },
    ]
}

/// Three nodes.
pub(crate) fn sample_membership() -> Membership {
    let member =
        |n| (NodeId(n), Member { incarnation: Incarnation(n << 40), address: format!("host{n}:4321") });
    Membership { members: [member(1), member(2), member(u64::MAX)].into() }
}

/// The hello of a founder of that membership.
pub(crate) fn sample_hello() -> Hello {
    let methods = [MethodSignature { id: MethodId::of("set"), arity: 2, types: 5 }; 2].to_vec();
    Hello {
        node: NodeId(1),
        incarnation: Incarnation(1 << 40),
        cluster: Some(77),
        address: "host1:4321".into(),
        founders: vec!["host1:4321".into(), "host2:4321".into()],
        command_bytes_max: 32 << 20,
        log_bytes_max: 1 << 30,
        object: "KvStorage".into(),
        methods,
    }
}

fn message_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let raft = |message| Message::Raft(Term(9), message);
    let (index, last) = (Index(300), EntryId { term: Term(7), index: Index(2) });
    let id = ReadId(1 << 40);
    let messages = [
        ("pre_vote", raft(RaftMessage::PreVote { last })),
        ("pre_vote_reply", raft(RaftMessage::PreVoteReply { of: Term(3), granted: true })),
        ("vote", raft(RaftMessage::RequestVote { last })),
        ("vote_reply", raft(RaftMessage::VoteReply { granted: false })),
        (
            "append",
            raft(RaftMessage::AppendEntries { prev: last, commit: index, entries: sample_entries().into() }),
        ),
        ("append_empty", raft(RaftMessage::AppendEntries { prev: last, commit: index, entries: Vec::new() })),
        ("appended", raft(RaftMessage::Appended { match_index: index })),
        ("conflict", raft(RaftMessage::Conflict { rejected: index, hint: last })),
        ("commit", raft(RaftMessage::Commit { commit: index })),
        ("heartbeat", raft(RaftMessage::Heartbeat { commit: index, round: 6 })),
        ("heartbeat_reply", raft(RaftMessage::HeartbeatReply { round: u64::MAX })),
        ("read_index", raft(RaftMessage::ReadIndex { id })),
        ("read_index_reply", raft(RaftMessage::ReadIndexReply { id, index: Some(index) })),
        ("read_index_refused", raft(RaftMessage::ReadIndexReply { id, index: None })),
        ("calls", Message::Calls(vec![sample_command(3, b"\x01a\x011"), sample_command(4, b"")])),
        ("calls_refused", Message::CallsRefused { from: Number(8), why: CallsRefusal::NotAdmitted }),
        ("founding_waiting", Message::Founding(Announcement::Waiting)),
        ("founding_proposed", Message::Founding(Announcement::Proposed(sample_membership()))),
        ("founding_formed", Message::Founding(Announcement::Formed(sample_membership()))),
        ("digest", Message::Digest { index, digest: u64::MAX }),
        ("digests_wanted", Message::DigestsWanted { upto: index }),
        ("digests", Message::Digests { first: index, digests: vec![1, 2] }),
    ];
    let encoded = |message: Message| {
        let mut buffer = Vec::new();
        message.encode(&mut buffer);
        buffer
    };
    messages.into_iter().map(|(name, message)| (name, encoded(message))).collect()
}

fn hello_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let founding = Hello { cluster: None, methods: Vec::new(), ..sample_hello() };
    vec![("formed", sample_hello().encode()), ("founding", founding.encode())]
}

fn command_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let command = |number, arguments| sample_command(number, arguments).encode().to_vec();
    vec![("first", command(1, b"")), ("late", command(70_000, b"\x01a\x011"))]
}

fn entry_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let encoded = |entry: &Entry| {
        let mut buffer = Vec::new();
        put_entry(&mut buffer, entry);
        buffer
    };
    let [command, noop] = &sample_entries();
    vec![("command", encoded(command)), ("noop", encoded(noop))]
}

fn hard_state_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let encoded = |voted_for| {
        let mut buffer = Vec::new();
        put_hard_state(&mut buffer, HardState { term: Term(300), voted_for });
        buffer
    };
    vec![("no_vote", encoded(None)), ("vote", encoded(Some(NodeId(9))))]
}

fn membership_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut three = Vec::new();
    put_membership(&mut three, &sample_membership());
    let mut none = Vec::new();
    none.put_varint(0);
    vec![("three", three), ("none", none)]
}
