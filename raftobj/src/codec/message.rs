//! Messages between nodes after the handshake: one message in each frame.
//!
//! The first byte is the tag; the fields follow in this order. A field without a size is a varint.
//!
//! | tag | message | in the paper | fields |
//! |---|---|---|---|
//! | 1 | `PreVote` | PreVote, thesis §9.6 | term, lastLogTerm, lastLogIndex |
//! | 2 | `PreVoteReply` | its result | term, term of the request, voteGranted: 1 byte |
//! | 3 | `Vote` | RequestVote | term, lastLogTerm, lastLogIndex |
//! | 4 | `VoteReply` | its result | term, voteGranted: 1 byte |
//! | 5 | `Append` | AppendEntries | term, prevLogTerm, prevLogIndex, leaderCommit, count, then each entry as in [`codec::entry`](super::entry) |
//! | 6 | `Appended` | its result, success | term, matchIndex |
//! | 7 | `Conflict` | its result, failure | term, rejected prevLogIndex, term and index of the hint for nextIndex |
//! | 8 | `Commit` | leaderCommit alone | term, leaderCommit |
//! | 9 | `Heartbeat` | AppendEntries without entries | term, leaderCommit, round |
//! | 10 | `HeartbeatReply` | its result | term, round |
//! | 11 | `ReadIndex` | request for a readIndex, thesis §6.4 | term, id: 8 bytes |
//! | 12 | `ReadIndexReply` | its result | term, id: 8 bytes, then 0, or 1 and readIndex |
//! | 20 | `Calls` | client requests, forwarded | count, then each as length and [command](super::command) |
//! | 21 | `CallsRefused` | | first refused number, reason: 1 byte, 0 not leader, 1 busy, 2 not admitted, 3 disk nearly full, 4 gap |
//! | 30 | `Founding` | | 1 byte: 0 waiting, 1 proposed, 2 formed; after 1 and 2 the [membership](super::membership) |
//! | 40 | `Digest` | | index, digest: 8 bytes |
//! | 41 | `DigestsWanted` | | last index |
//! | 42 | `Digests` | | first index, count, then 8 bytes each |
//!
//! Sender and receiver are not in the message: the handshake of the connection has identified them.

use super::command::{Command, Number};
use super::entry::{put_entry, put_entry_id, take_entry, take_entry_id};
use super::membership::{put_membership, take_membership};
use super::{DecodeError, Put, Sink, Take};
use crate::raft::membership::Membership;
use crate::raft::message::{Message as RaftMessage, ReadId};
use crate::raft::types::{Index, Term};
use bytes::Bytes;

/// A message between two nodes; its bytes are in the table above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A message of the protocol, with the sender's term.
    Raft(Term, RaftMessage),
    /// Calls for the leader to propose, in the order of their numbers.
    Calls(Vec<Command>),
    /// The receiver's calls from number `from` on were not proposed.
    CallsRefused { from: Number, why: CallsRefusal },
    /// The sender's state in the founding of the cluster.
    Founding(Announcement),
    /// The sender's running digest after applying `index`.
    Digest { index: Index, digest: u64 },
    /// A request for the receiver's digests up to this index.
    DigestsWanted { upto: Index },
    /// The sender's running digests after `first` and after each index that follows it.
    Digests { first: Index, digests: Vec<u64> },
}

/// Why the receiver of forwarded calls does not propose them. Applied: no; the origin sends them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallsRefusal {
    /// It is not the leader.
    NotLeader,
    /// Its log is full.
    Busy,
    /// The first of them failed the check of `object::admission`: its object or method is unknown there, or its session
    /// is not the sender's.
    NotAdmitted,
    /// The leader's disk is nearly full.
    DiskNearlyFull,
    /// It lacks an earlier call of the session: send from the first unanswered call on.
    Gap,
}

/// A node's state in the founding of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Announcement {
    /// It has not met all listed nodes.
    Waiting,
    /// It has met all, and this list is durable here.
    Proposed(Membership),
    /// All have announced this list.
    Formed(Membership),
}

/// Most digests in a message.
pub(crate) const DIGESTS_MAX: usize = 4096;

/// No cluster reaches this term. A higher one is damage, and to count on from it might overflow.
const TERM_MAX: Term = Term(1 << 62);

/// The same for indexes.
const INDEX_MAX: Index = Index(1 << 62);

impl Message {
    /// Appends the message, as a frame's payload.
    pub(crate) fn encode(&self, sink: &mut impl Sink) {
        let buffer = sink.buffer();
        match self {
            Message::Raft(term, message) => put_raft(sink, *term, message),
            Message::Calls(commands) => {
                buffer.put_u8(20);
                buffer.put_varint(commands.len() as u64);
                for command in commands {
                    let command = command.encode();
                    sink.buffer().put_varint(command.len() as u64);
                    sink.share(&command);
                }
            }
            Message::CallsRefused { from, why } => {
                buffer.put_u8(21);
                buffer.put_varint(from.0);
                buffer.put_u8(match why {
                    CallsRefusal::NotLeader => 0,
                    CallsRefusal::Busy => 1,
                    CallsRefusal::NotAdmitted => 2,
                    CallsRefusal::DiskNearlyFull => 3,
                    CallsRefusal::Gap => 4,
                });
            }
            Message::Founding(announcement) => {
                buffer.put_u8(30);
                match announcement {
                    Announcement::Waiting => buffer.put_u8(0),
                    Announcement::Proposed(membership) => {
                        buffer.put_u8(1);
                        put_membership(buffer, membership);
                    }
                    Announcement::Formed(membership) => {
                        buffer.put_u8(2);
                        put_membership(buffer, membership);
                    }
                }
            }
            Message::Digest { index, digest } => {
                buffer.put_u8(40);
                buffer.put_varint(index.0);
                buffer.put_u64(*digest);
            }
            Message::DigestsWanted { upto } => {
                buffer.put_u8(41);
                buffer.put_varint(upto.0);
            }
            Message::Digests { first, digests } => {
                buffer.put_u8(42);
                buffer.put_varint(first.0);
                buffer.put_varint(digests.len() as u64);
                digests.iter().for_each(|digest| buffer.put_u64(*digest));
            }
        }
    }

    /// Decodes a frame's payload; entries and arguments share its buffer.
    ///
    /// It also checks what the protocol assumes: the entries of an append follow its `prev` without a gap, and their
    /// terms neither decrease nor exceed the sender's.
    pub(crate) fn decode(mut input: Bytes) -> Result<Message, DecodeError> {
        let tag = input.take_u8("message tag")?;
        let message = match tag {
            1..=12 => take_raft(tag, &mut input)?,
            20 => {
                let count = input.take_varint("count of calls")?;
                let mut commands = Vec::new();
                for _ in 0..count {
                    commands.push(Command::decode(&input.take_slice("call")?)?);
                }
                Message::Calls(commands)
            }
            21 => {
                let from = Number(input.take_varint("refused number")?);
                let why = match input.take_u8("refusal")? {
                    0 => CallsRefusal::NotLeader,
                    1 => CallsRefusal::Busy,
                    2 => CallsRefusal::NotAdmitted,
                    3 => CallsRefusal::DiskNearlyFull,
                    4 => CallsRefusal::Gap,
                    other => return Err(invalid("refusal", other)),
                };
                Message::CallsRefused { from, why }
            }
            30 => Message::Founding(match input.take_u8("announcement")? {
                0 => Announcement::Waiting,
                1 => Announcement::Proposed(take_membership(&mut input)?),
                2 => Announcement::Formed(take_membership(&mut input)?),
                other => return Err(invalid("announcement", other)),
            }),
            40 => {
                let index = take_index(&mut input, "index")?;
                Message::Digest { index, digest: input.take_u64("digest")? }
            }
            41 => Message::DigestsWanted { upto: take_index(&mut input, "index")? },
            42 => {
                let first = take_index(&mut input, "index")?;
                let count = input.take_varint("count of digests")?;
                if count > DIGESTS_MAX as u64 {
                    return Err(DecodeError::Invalid { field: "count of digests", value: count });
                }
                let digests = (0..count).map(|_| input.take_u64("digest")).collect::<Result<_, _>>()?;
                Message::Digests { first, digests }
            }
            other => return Err(invalid("message tag", other)),
        };
        input.finish()?;
        Ok(message)
    }
}

fn invalid(field: &'static str, value: u8) -> DecodeError {
    DecodeError::Invalid { field, value: u64::from(value) }
}

fn put_raft(sink: &mut impl Sink, term: Term, message: &RaftMessage) {
    let buffer = sink.buffer();
    let tag = match message {
        RaftMessage::PreVote { .. } => 1,
        RaftMessage::PreVoteReply { .. } => 2,
        RaftMessage::RequestVote { .. } => 3,
        RaftMessage::VoteReply { .. } => 4,
        RaftMessage::AppendEntries { .. } => 5,
        RaftMessage::Appended { .. } => 6,
        RaftMessage::Conflict { .. } => 7,
        RaftMessage::Commit { .. } => 8,
        RaftMessage::Heartbeat { .. } => 9,
        RaftMessage::HeartbeatReply { .. } => 10,
        RaftMessage::ReadIndex { .. } => 11,
        RaftMessage::ReadIndexReply { .. } => 12,
    };
    buffer.put_u8(tag);
    buffer.put_varint(term.0);
    match message {
        RaftMessage::PreVote { last } | RaftMessage::RequestVote { last } => put_entry_id(buffer, *last),
        RaftMessage::PreVoteReply { of, granted } => {
            buffer.put_varint(of.0);
            buffer.put_u8(u8::from(*granted));
        }
        RaftMessage::VoteReply { granted } => buffer.put_u8(u8::from(*granted)),
        RaftMessage::AppendEntries { prev, commit, entries } => {
            put_entry_id(buffer, *prev);
            buffer.put_varint(commit.0);
            buffer.put_varint(entries.len() as u64);
            entries.iter().for_each(|entry| put_entry(sink, entry));
        }
        RaftMessage::Appended { match_index } => buffer.put_varint(match_index.0),
        RaftMessage::Conflict { rejected, hint } => {
            buffer.put_varint(rejected.0);
            put_entry_id(buffer, *hint);
        }
        RaftMessage::Commit { commit } => buffer.put_varint(commit.0),
        RaftMessage::Heartbeat { commit, round } => {
            buffer.put_varint(commit.0);
            buffer.put_varint(*round);
        }
        RaftMessage::HeartbeatReply { round } => buffer.put_varint(*round),
        RaftMessage::ReadIndex { id } => buffer.put_u64(id.0),
        RaftMessage::ReadIndexReply { id, index } => {
            buffer.put_u64(id.0);
            buffer.put_u8(u8::from(index.is_some()));
            if let Some(index) = index {
                buffer.put_varint(index.0);
            }
        }
    }
}

fn take_raft(tag: u8, input: &mut Bytes) -> Result<Message, DecodeError> {
    let term = Term(input.take_varint("term")?);
    if term > TERM_MAX {
        return Err(DecodeError::Invalid { field: "term", value: term.0 });
    }
    let message = match tag {
        1 => RaftMessage::PreVote { last: take_entry_id(input)? },
        2 => {
            let of = Term(input.take_varint("term")?);
            RaftMessage::PreVoteReply { of, granted: take_flag(input, "granted")? }
        }
        3 => RaftMessage::RequestVote { last: take_entry_id(input)? },
        4 => RaftMessage::VoteReply { granted: take_flag(input, "granted")? },
        5 => {
            let prev = take_entry_id(input)?;
            let commit = take_index(input, "commit")?;
            let count = input.take_varint("count of entries")?;
            let mut entries = Vec::new();
            let mut before = prev;
            for _ in 0..count {
                let entry = take_entry(input)?;
                if before.index.0.checked_add(1) != Some(entry.id.index.0) {
                    return Err(DecodeError::Invalid { field: "entry index", value: entry.id.index.0 });
                }
                if entry.id.term < before.term || entry.id.term > term {
                    return Err(DecodeError::Invalid { field: "entry term", value: entry.id.term.0 });
                }
                before = entry.id;
                entries.push(entry);
            }
            RaftMessage::AppendEntries { prev, commit, entries }
        }
        6 => RaftMessage::Appended { match_index: take_index(input, "match_index")? },
        7 => {
            let rejected = take_index(input, "rejected")?;
            RaftMessage::Conflict { rejected, hint: take_entry_id(input)? }
        }
        8 => RaftMessage::Commit { commit: take_index(input, "commit")? },
        9 => {
            let commit = take_index(input, "commit")?;
            RaftMessage::Heartbeat { commit, round: input.take_varint("round")? }
        }
        10 => RaftMessage::HeartbeatReply { round: input.take_varint("round")? },
        11 => RaftMessage::ReadIndex { id: ReadId(input.take_u64("read id")?) },
        12 => {
            let id = ReadId(input.take_u64("read id")?);
            let index = match take_flag(input, "read index present")? {
                true => Some(take_index(input, "read index")?),
                false => None,
            };
            RaftMessage::ReadIndexReply { id, index }
        }
        other => return Err(invalid("message tag", other)),
    };
    Ok(Message::Raft(term, message))
}

fn take_flag(input: &mut Bytes, field: &'static str) -> Result<bool, DecodeError> {
    match input.take_u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(invalid(field, other)),
    }
}

fn take_index(input: &mut Bytes, field: &'static str) -> Result<Index, DecodeError> {
    match Index(input.take_varint(field)?) {
        index if index > INDEX_MAX => Err(DecodeError::Invalid { field, value: index.0 }),
        index => Ok(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::fixture::{ADD, TestRandom, command, entry, noop, session};
    use crate::raft::membership::Member;
    use crate::raft::types::{EntryId, Incarnation, NodeId};

    fn one_of_each() -> Vec<Message> {
        let raft = |message| Message::Raft(Term(9), message);
        let (index, last) = (Index(300), EntryId { term: Term(7), index: Index(2) });
        let call = command(session(1, 2), 3, 2, ADD, 4);
        let entries = vec![entry(7, 3, &call), noop(9, 4)];
        let member = Member { incarnation: Incarnation(5), address: "a:1".to_owned() };
        let membership = Membership { members: [(NodeId(4), member)].into() };
        vec![
            raft(RaftMessage::PreVote { last }),
            raft(RaftMessage::PreVoteReply { of: Term(3), granted: true }),
            raft(RaftMessage::RequestVote { last }),
            raft(RaftMessage::VoteReply { granted: false }),
            raft(RaftMessage::AppendEntries { prev: last, commit: index, entries }),
            raft(RaftMessage::AppendEntries { prev: last, commit: index, entries: Vec::new() }),
            raft(RaftMessage::Appended { match_index: index }),
            raft(RaftMessage::Conflict { rejected: index, hint: last }),
            raft(RaftMessage::Commit { commit: index }),
            raft(RaftMessage::Heartbeat { commit: index, round: 6 }),
            raft(RaftMessage::HeartbeatReply { round: u64::MAX }),
            raft(RaftMessage::ReadIndex { id: ReadId(1 << 40) }),
            raft(RaftMessage::ReadIndexReply { id: ReadId(1 << 40), index: Some(index) }),
            raft(RaftMessage::ReadIndexReply { id: ReadId(1), index: None }),
            Message::Calls(vec![call.clone(), command(session(1, 2), 4, 2, ADD, 5)]),
            Message::CallsRefused { from: Number(8), why: CallsRefusal::NotLeader },
            Message::CallsRefused { from: Number(8), why: CallsRefusal::Busy },
            Message::CallsRefused { from: Number(8), why: CallsRefusal::NotAdmitted },
            Message::CallsRefused { from: Number(8), why: CallsRefusal::DiskNearlyFull },
            Message::CallsRefused { from: Number(8), why: CallsRefusal::Gap },
            Message::Founding(Announcement::Waiting),
            Message::Founding(Announcement::Proposed(membership.clone())),
            Message::Founding(Announcement::Formed(membership)),
            Message::Digest { index, digest: u64::MAX },
            Message::DigestsWanted { upto: index },
            Message::Digests { first: index, digests: vec![1, 2] },
        ]
    }

    fn encoded(message: &Message) -> Vec<u8> {
        let mut buffer = Vec::new();
        message.encode(&mut buffer);
        buffer
    }

    #[test]
    fn messages_round_trip_and_every_prefix_is_refused() {
        for message in one_of_each() {
            let bytes = Bytes::from(encoded(&message));
            // A command has a length in the message: with fewer arguments it would decode as another command.
            for cut in 0..bytes.len() {
                let result = Message::decode(bytes.slice(..cut));
                assert!(result.is_err(), "{message:?} cut at {cut}");
            }
            assert_eq!(Message::decode(bytes), Ok(message));
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_are_another_message() {
        let mut random = TestRandom(1);
        for message in one_of_each() {
            let bytes = encoded(&message);
            for _ in 0..500 {
                let mut changed = bytes.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(changed.len() as u64) as usize;
                    changed[at] = random.below(256) as u8;
                }
                if let Ok(other) = Message::decode(Bytes::from(changed.clone())) {
                    assert_eq!(encoded(&other), changed, "one message, one encoding");
                }
            }
        }
    }

    // Breaks: arithmetic on a forged index overflows.
    #[test]
    fn an_index_without_a_successor_is_refused() {
        let index = Index(u64::MAX);
        let raft = |message| Message::Raft(Term(9), message);
        for message in [
            raft(RaftMessage::Appended { match_index: index }),
            raft(RaftMessage::Conflict { rejected: index, hint: EntryId::default() }),
            raft(RaftMessage::Commit { commit: index }),
            raft(RaftMessage::Heartbeat { commit: index, round: 1 }),
            Message::Digest { index, digest: 1 },
            Message::Digests { first: index, digests: vec![1, 2] },
        ] {
            let result = Message::decode(Bytes::from(encoded(&message)));
            assert!(matches!(result, Err(DecodeError::Invalid { .. })), "{result:?}");
        }
    }

    // Breaks: a log with a gap or with decreasing terms, which the core assumes not to exist.
    #[test]
    fn appends_that_no_leader_sends_are_refused() {
        let prev = EntryId { term: Term(2), index: Index(4) };
        let noops = |ids: &[(u64, u64)]| ids.iter().map(|(term, index)| noop(*term, *index)).collect();
        for ids in [&[(2, 6)][..], &[(2, 5), (2, 7)], &[(1, 5)], &[(10, 5)]] {
            let append = RaftMessage::AppendEntries { prev, commit: Index(3), entries: noops(ids) };
            assert!(Message::decode(encoded(&Message::Raft(Term(9), append)).into()).is_err(), "{ids:?}");
        }
        let beyond = Message::Raft(Term(u64::MAX), RaftMessage::VoteReply { granted: true });
        assert!(Message::decode(encoded(&beyond).into()).is_err());
    }

    // Breaks: a message within the limits is refused.
    #[test]
    fn the_largest_term_index_and_list_are_accepted() {
        let digests = |count| Message::Digests { first: INDEX_MAX, digests: vec![1; count] };
        let commit = |term, commit| Message::Raft(term, RaftMessage::Commit { commit });
        let round_trips = |message: Message| Message::decode(encoded(&message).into()) == Ok(message);
        assert!(round_trips(commit(TERM_MAX, INDEX_MAX)));
        assert!(!round_trips(commit(Term(TERM_MAX.0 + 1), Index(1))));
        assert!(!round_trips(commit(Term(1), Index(INDEX_MAX.0 + 1))));
        assert!(round_trips(digests(DIGESTS_MAX)));
        assert!(!round_trips(digests(DIGESTS_MAX + 1)));
    }
}
