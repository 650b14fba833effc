//! A replicated call: the payload of an entry.
//!
//! | field | bytes | meaning, and why this size |
//! |---|---|---|
//! | object | varint | always zero: a node has one object so far |
//! | node | 8 | the session: see [`SessionId`]. Random: a varint would be longer |
//! | incarnation | 8 | random too |
//! | boot | varint | a small number for most nodes |
//! | number | varint | the serial number of the call in its session: one to five bytes for most processes |
//! | number − lowest | varint | within the session's window: one or two bytes |
//! | method | 4 | [`MethodId`]: a hash |
//! | arguments | the rest | postcard; the entry has the length |
//!
//! It has no version: log and handshake have one for all their content.

use super::method::MethodId;
use super::{DecodeError, Put, Take};
use crate::raft::types::{Boot, Incarnation, NodeId};
use bytes::Bytes;

/// A client session (thesis §6.3): one process of a node, which numbers its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId {
    /// The member.
    pub(crate) node: NodeId,
    /// The incarnation of its disk.
    pub(crate) incarnation: Incarnation,
    /// The number of its start. A higher boot retires the lower ones.
    pub(crate) boot: Boot,
}

/// The number of a call in its session: the serial number of thesis §6.3. The first call is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(pub(crate) u64);

/// The object of a node that a call is for. Zero is the only one so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(pub(crate) u32);

/// A call: session, number, method, arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Command {
    /// The object.
    pub(crate) object: ObjectId,
    /// The caller's session.
    pub(crate) session: SessionId,
    /// The call's number in that session.
    pub(crate) number: Number,
    /// The first unanswered number of the session when this was sent; never above `number`.
    pub(crate) lowest: Number,
    /// The method.
    pub(crate) method: MethodId,
    /// The arguments: a tuple in postcard.
    pub(crate) arguments: Bytes,
}

/// An upper bound of the encoded bytes without the arguments.
pub(crate) const COMMAND_OVERHEAD_MAX: usize = 5 + 8 + 8 + 10 + 10 + 10 + 4;

impl Number {
    /// The number of the call after this one.
    pub(crate) fn next(self) -> Number {
        Number(self.0 + 1)
    }
}

impl Command {
    /// Encodes the payload of an entry; see the table above.
    pub(crate) fn encode(&self) -> Bytes {
        assert!(self.lowest.0 >= 1, "numbers begin with 1, lowest is {}", self.lowest.0);
        assert!(self.lowest <= self.number, "lowest {} beyond number {}", self.lowest.0, self.number.0);
        let mut buffer = Vec::with_capacity(COMMAND_OVERHEAD_MAX + self.arguments.len());
        buffer.put_varint(u64::from(self.object.0));
        buffer.put_u64(self.session.node.0);
        buffer.put_u64(self.session.incarnation.0);
        buffer.put_varint(self.session.boot.0);
        buffer.put_varint(self.number.0);
        buffer.put_varint(self.number.0 - self.lowest.0);
        buffer.put_u32(self.method.0);
        buffer.extend_from_slice(&self.arguments);
        Bytes::from(buffer)
    }

    /// Decodes a payload; the arguments share its buffer.
    pub(crate) fn decode(payload: &Bytes) -> Result<Command, DecodeError> {
        let mut input = payload.clone();
        let object = input.take_varint("object")?;
        let Ok(object) = u32::try_from(object) else {
            return Err(DecodeError::Invalid { field: "object", value: object });
        };
        let session = SessionId {
            node: NodeId(input.take_u64("session node")?),
            incarnation: Incarnation(input.take_u64("session incarnation")?),
            boot: Boot(input.take_varint("session boot")?),
        };
        let number = input.take_varint("number")?;
        let behind = input.take_varint("number - lowest")?;
        // Numbers begin with 1, so `lowest` is at least that, and so is `number`.
        if behind >= number {
            return Err(DecodeError::Invalid { field: "number - lowest", value: behind });
        }
        let method = MethodId(input.take_u32("method")?);
        Ok(Command {
            object: ObjectId(object),
            session,
            number: Number(number),
            lowest: Number(number - behind),
            method,
            arguments: input,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(object: u32, boot: u64, number: u64, lowest: u64, arguments: &'static [u8]) -> Command {
        Command {
            object: ObjectId(object),
            session: SessionId { node: NodeId(u64::MAX), incarnation: Incarnation(7), boot: Boot(boot) },
            number: Number(number),
            lowest: Number(lowest),
            method: MethodId(0x0102_0304),
            arguments: Bytes::from_static(arguments),
        }
    }

    // Breaks: a call is applied with wrong arguments, or for another session.
    #[test]
    fn commands_round_trip_and_a_truncated_head_is_refused() {
        for command in [
            command(0, 1, 1, 1, b""),
            command(0, 3, 70_000, 69_990, b"arguments"),
            command(u32::MAX, u64::MAX, u64::MAX, 1, b"x"),
        ] {
            let payload = command.encode();
            let head = payload.len() - command.arguments.len();
            assert!(head <= COMMAND_OVERHEAD_MAX, "a head of {head} bytes");
            assert_eq!(Command::decode(&payload), Ok(command));
            for cut in 0..head {
                let result = Command::decode(&payload.slice(..cut));
                assert!(matches!(result, Err(DecodeError::Truncated(_))), "cut at {cut}: {result:?}");
            }
        }
    }

    #[test]
    fn arguments_share_the_payloads_buffer() {
        let payload = command(0, 1, 1, 1, b"arguments").encode();
        let arguments = Command::decode(&payload).unwrap().arguments;
        assert_eq!(arguments.as_ptr(), payload[payload.len() - 9..].as_ptr());
    }

    #[test]
    fn number_zero_lowest_zero_and_a_wide_object_are_refused() {
        let mut number_zero = command(0, 1, 1, 1, b"").encode().to_vec();
        number_zero[18] = 0;
        let mut lowest_zero = command(0, 1, 1, 1, b"").encode().to_vec();
        lowest_zero[19] = 1;
        let mut wide_object = vec![0xff, 0xff, 0xff, 0xff, 0x7f];
        wide_object.extend_from_slice(&command(0, 1, 1, 1, b"").encode()[1..]);
        for bad in [number_zero, lowest_zero, wide_object] {
            let result = Command::decode(&Bytes::from(bad));
            assert!(matches!(result, Err(DecodeError::Invalid { .. })), "{result:?}");
        }
    }
}
