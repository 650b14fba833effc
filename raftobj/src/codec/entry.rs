//! An entry of the log, and the hard state.
//!
//! | field | bytes | why |
//! |---|---|---|
//! | term | varint | small in most clusters |
//! | index | varint | |
//! | time | varint | the leader's clock, in milliseconds since 1970: six bytes |
//! | kind | 1 | 0 no-op, 1 command |
//! | payload | varint length, then the bytes | empty, or a [command](super::command) |
//!
//! | field of the hard state | bytes | why |
//! |---|---|---|
//! | currentTerm | varint | |
//! | votedFor | 1, then 0 or 8 | 0 none; 1 and the node id |
//!
//! They have no checksum: on disk and on the wire they are in frames, and frames have one.

use super::{DecodeError, Put, Sink, Take};
use crate::raft::types::{Entry, EntryId, EntryKind, HardState, Index, NodeId, Term, Time};
use bytes::Bytes;

/// An upper bound of the encoded bytes without the payload.
pub(crate) const ENTRY_OVERHEAD_MAX: usize = 10 + 10 + 10 + 1 + 10;

/// Appends an entry.
pub(crate) fn put_entry(sink: &mut impl Sink, entry: &Entry) {
    let buffer = sink.buffer();
    put_entry_id(buffer, entry.id);
    buffer.put_varint(entry.time.0);
    buffer.put_u8(match entry.kind {
        EntryKind::Noop => 0,
        EntryKind::Command => 1,
    });
    buffer.put_varint(entry.payload.len() as u64);
    sink.share(&entry.payload);
}

/// Takes an entry; its payload shares the input's buffer.
pub(crate) fn take_entry(input: &mut Bytes) -> Result<Entry, DecodeError> {
    let id = take_entry_id(input)?;
    let time = Time(input.take_varint("entry time")?);
    let kind = match input.take_u8("entry kind")? {
        0 => EntryKind::Noop,
        1 => EntryKind::Command,
        other => {
            return Err(DecodeError::Invalid { field: "entry kind", value: u64::from(other) });
        }
    };
    let payload = input.take_slice("entry payload")?;
    Ok(Entry { id, time, kind, payload })
}

/// Appends term and index.
pub(crate) fn put_entry_id(buffer: &mut Vec<u8>, id: EntryId) {
    buffer.put_varint(id.term.0);
    buffer.put_varint(id.index.0);
}

/// Takes term and index.
pub(crate) fn take_entry_id(input: &mut Bytes) -> Result<EntryId, DecodeError> {
    let term = Term(input.take_varint("entry term")?);
    let index = Index(input.take_varint("entry index")?);
    Ok(EntryId { term, index })
}

/// Appends the hard state: currentTerm and votedFor.
pub(crate) fn put_hard_state(buffer: &mut Vec<u8>, state: HardState) {
    buffer.put_varint(state.term.0);
    match state.voted_for {
        None => buffer.put_u8(0),
        Some(node) => {
            buffer.put_u8(1);
            buffer.put_u64(node.0);
        }
    }
}

/// Takes the hard state.
pub(crate) fn take_hard_state(input: &mut Bytes) -> Result<HardState, DecodeError> {
    let term = Term(input.take_varint("term")?);
    let voted_for = match input.take_u8("vote")? {
        0 => None,
        1 => Some(NodeId(input.take_u64("vote")?)),
        other => return Err(DecodeError::Invalid { field: "vote", value: u64::from(other) }),
    };
    Ok(HardState { term, voted_for })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_hard_states_round_trip_and_every_prefix_is_refused() {
        let entry = Entry {
            id: EntryId { term: Term(3), index: Index(700) },
            time: Time(1_790_000_000_000),
            kind: EntryKind::Command,
            payload: Bytes::from_static(b"payload"),
        };
        let state = HardState { term: Term(9), voted_for: Some(NodeId(u64::MAX)) };
        let mut buffer = Vec::new();
        put_entry(&mut buffer, &entry);
        put_hard_state(&mut buffer, state);
        for cut in 0..buffer.len() {
            let mut input = Bytes::copy_from_slice(&buffer[..cut]);
            assert!(take_entry(&mut input).and_then(|_| take_hard_state(&mut input)).is_err());
        }
        let mut input = Bytes::from(buffer);
        assert_eq!(take_entry(&mut input), Ok(entry));
        assert_eq!(take_hard_state(&mut input), Ok(state));
        assert_eq!(input.finish(), Ok(()));
    }
}
