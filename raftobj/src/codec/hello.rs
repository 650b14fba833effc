//! The hello: the first frame on a connection, in both directions.
//!
//! | field | bytes | why |
//! |---|---|---|
//! | magic | 8, `raftobj\0` | identifies the protocol |
//! | protocol min, max | 2 varints | the versions that the sender supports; the rest is read only if they overlap ours |
//! | node, incarnation | 8 + 8 | the sender, and its disk |
//! | cluster | 8 | the cluster id; zero: not formed yet |
//! | address | varint length, then UTF-8 | the sender's address, as in its own list |
//! | founders | varint count, then each as the address | the founding list of the sender |
//! | largest command | varint | bytes; a node that accepts less would close the connection at a larger one |
//! | largest log | varint | bytes; the node with the smallest limit fills first, and holds up or leaves the others |
//! | object | varint length, then UTF-8 | the struct's name |
//! | methods | varint count, then 4 + 1 + 4 bytes each | id, number of arguments, hash of their types as text |
//!
//! It has at most [`HELLO_BYTES_MAX`] bytes; a longer one is not sent.

use super::membership::{ADDRESS_BYTES_MAX, MEMBERS_MAX};
use super::method::{Method, MethodId};
use super::{DecodeError, Put, Take};
use crate::hash::fnv1a_32;
use crate::raft::types::{Incarnation, NodeId};
use bytes::Bytes;

/// The protocol versions that this code supports.
pub(crate) const PROTOCOL: std::ops::RangeInclusive<u64> = 2..=2;

/// The longest hello.
pub(crate) const HELLO_BYTES_MAX: usize = 4096;

const MAGIC: u64 = u64::from_le_bytes(*b"raftobj\0");

/// The content of a hello; see the table above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    /// `None` until the cluster is formed.
    pub(crate) cluster: Option<u64>,
    /// The sender's address, as its peers have it.
    pub(crate) address: String,
    /// The founding list, sorted.
    pub(crate) founders: Vec<String>,
    /// Bytes of the largest command that the sender accepts.
    pub(crate) command_bytes_max: u64,
    /// Bytes of the log that the sender holds at most.
    pub(crate) log_bytes_max: u64,
    pub(crate) object: String,
    pub(crate) methods: Vec<MethodSignature>,
}

/// A method in a hello, to be compared with the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MethodSignature {
    pub(crate) id: MethodId,
    pub(crate) arity: u8,
    /// FNV-1a of the types as text.
    pub(crate) types: u32,
}

impl MethodSignature {
    pub(crate) fn of(method: &Method) -> MethodSignature {
        MethodSignature { id: method.id, arity: method.arity, types: fnv1a_32(method.types) }
    }
}

/// Why a hello is refused before its content is compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("it does not speak the raftobj protocol")]
    Foreign,
    #[error("it speaks protocol {min} to {max}, this node {} to {}; upgrade the older one", PROTOCOL.start(), PROTOCOL.end())]
    Version { min: u64, max: u64 },
    #[error("its hello is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

impl Hello {
    /// The hello as a frame's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        buffer.put_u64(MAGIC);
        buffer.put_varint(*PROTOCOL.start());
        buffer.put_varint(*PROTOCOL.end());
        buffer.put_u64(self.node.0);
        buffer.put_u64(self.incarnation.0);
        buffer.put_u64(self.cluster.unwrap_or(0));
        buffer.put_slice(self.address.as_bytes());
        buffer.put_varint(self.founders.len() as u64);
        for founder in &self.founders {
            buffer.put_slice(founder.as_bytes());
        }
        buffer.put_varint(self.command_bytes_max);
        buffer.put_varint(self.log_bytes_max);
        buffer.put_slice(self.object.as_bytes());
        buffer.put_varint(self.methods.len() as u64);
        for method in &self.methods {
            buffer.put_u32(method.id.0);
            buffer.put_u8(method.arity);
            buffer.put_u32(method.types);
        }
        buffer
    }

    /// Decodes a frame's payload.
    pub(crate) fn decode(mut input: Bytes) -> Result<Hello, HelloError> {
        if input.take_u64("magic") != Ok(MAGIC) {
            return Err(HelloError::Foreign);
        }
        let min = input.take_varint("protocol min")?;
        let max = input.take_varint("protocol max")?;
        if max < *PROTOCOL.start() || min > *PROTOCOL.end() {
            return Err(HelloError::Version { min, max });
        }
        let hello = take_after_version(&mut input)?;
        input.finish()?;
        Ok(hello)
    }
}

fn take_after_version(input: &mut Bytes) -> Result<Hello, DecodeError> {
    let node = NodeId(input.take_u64("node")?);
    let incarnation = Incarnation(input.take_u64("incarnation")?);
    let cluster = Some(input.take_u64("cluster")?).filter(|&cluster| cluster != 0);
    let address = take_address(input)?;
    let founders = take_count(input, "count of founders", MEMBERS_MAX)?;
    let founders = (0..founders).map(|_| take_address(input)).collect::<Result<_, _>>()?;
    let command_bytes_max = input.take_varint("largest command")?;
    let log_bytes_max = input.take_varint("largest log")?;
    let object = input.take_string("object")?;
    let methods = take_count(input, "count of methods", HELLO_BYTES_MAX / 9)?;
    let method = |_| {
        let id = MethodId(input.take_u32("method id")?);
        let arity = input.take_u8("method arity")?;
        Ok(MethodSignature { id, arity, types: input.take_u32("method types")? })
    };
    let methods = (0..methods).map(method).collect::<Result<_, DecodeError>>()?;
    Ok(Hello {
        node,
        incarnation,
        cluster,
        address,
        founders,
        command_bytes_max,
        log_bytes_max,
        object,
        methods,
    })
}

fn take_address(input: &mut Bytes) -> Result<String, DecodeError> {
    let address = input.take_string("address")?;
    match address.len() {
        length if length > ADDRESS_BYTES_MAX => {
            Err(DecodeError::Invalid { field: "address length", value: length as u64 })
        }
        _ => Ok(address),
    }
}

fn take_count(input: &mut Bytes, field: &'static str, max: usize) -> Result<u64, DecodeError> {
    match input.take_varint(field)? {
        count if count > max as u64 => Err(DecodeError::Invalid { field, value: count }),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            node: NodeId(7),
            incarnation: Incarnation(8),
            cluster: None,
            address: "a:1".into(),
            founders: vec!["a:1".into(), "b:2".into()],
            command_bytes_max: 1 << 25,
            log_bytes_max: 1 << 30,
            object: "KvStorage".into(),
            methods: vec![MethodSignature { id: MethodId::of("set"), arity: 2, types: 5 }],
        }
    }

    #[test]
    fn a_hello_round_trips_and_every_prefix_is_refused() {
        let bytes = Bytes::from(hello().encode());
        assert_eq!(Hello::decode(bytes.clone()), Ok(hello()));
        for cut in 0..bytes.len() {
            assert!(Hello::decode(bytes.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn another_protocol_and_garbage_are_different_errors() {
        let mut bytes = hello().encode();
        for (min, max) in [(1, 1), (3, 9)] {
            (bytes[8], bytes[9]) = (min, max);
            let refused = HelloError::Version { min: min.into(), max: max.into() };
            assert_eq!(Hello::decode(bytes.clone().into()), Err(refused));
        }
        assert_eq!(Hello::decode(Bytes::from_static(b"GET / HTTP/1.1\r\n")), Err(HelloError::Foreign));
    }

    // Breaks: a hello takes as much memory as its counts claim; or a list that users may start with is refused.
    #[test]
    fn lists_and_addresses_are_bounded() {
        let address = |bytes| "a".repeat(bytes);
        let founded_by = |count, bytes| Hello { founders: vec![address(bytes); count], ..hello() };
        let at = |bytes| Hello { address: address(bytes), ..hello() };
        let method = hello().methods[0];
        let with_methods = |count| Hello { methods: vec![method; count], ..hello() };
        let is_accepted = |hello: Hello| Hello::decode(hello.encode().into()) == Ok(hello);
        assert!(is_accepted(founded_by(MEMBERS_MAX, ADDRESS_BYTES_MAX)));
        assert!(!is_accepted(founded_by(MEMBERS_MAX + 1, 1)));
        assert!(is_accepted(at(ADDRESS_BYTES_MAX)));
        assert!(!is_accepted(at(ADDRESS_BYTES_MAX + 1)));
        assert!(is_accepted(with_methods(HELLO_BYTES_MAX / 9)));
        assert!(!is_accepted(with_methods(HELLO_BYTES_MAX / 9 + 1)));
    }

    // Breaks: a node that supports only older versions is taken for a compatible one.
    #[test]
    fn an_earlier_protocol_is_refused() {
        let mut bytes = hello().encode();
        bytes[8] = 0;
        bytes[9] = 0;
        assert_eq!(Hello::decode(bytes.into()), Err(HelloError::Version { min: 0, max: 0 }));
    }
}
