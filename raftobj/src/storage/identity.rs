//! The identity file: it binds a data directory to one node.
//!
//! | at | bytes | field | why |
//! |---|---|---|---|
//! | 0 | 8 | magic `raftobjI` | the file name proves nothing |
//! | 8 | 4 | format version | a newer format is refused, not guessed |
//! | 12 | 4 | length of the body | a truncated file is detected |
//! | 16 | 4 | CRC32C of bytes 0 to 16 and of the body | damage is detected |
//! | 20 | | body: | |
//! | | 8 | node id | random, drawn with the directory |
//! | | 8 | incarnation | random, drawn with the directory: a wiped disk comes back with another one |
//! | | 8 | boot | numbers this node's sessions |
//! | | string | object's name | a directory holds one type of object |
//! | | string | own advertised address | compared with the options at each start |
//! | | varint, strings | founding list | compared with the options at each start |
//! | | 0, or 1 and a membership | proposal | the membership that this node proposed to the others: durable before it is sent |
//! | | 0, or 1, 8 bytes and a membership | cluster id and first membership | the cluster is formed, and this node votes |
//!
//! Integers are little-endian; a membership is as in `codec::membership`; a string is a varint length and UTF-8.
//! Magic, version, length and checksum keep their places in every version, so that an old reader distinguishes
//! "newer" from "damaged".
//!
//! The file is never written in place. A new file replaces it (rule *durable names*).

use crate::codec::membership::{put_membership, take_membership};
use crate::codec::{DecodeError, Put, Take};
use crate::raft::membership::Membership;
use crate::raft::types::{Boot, Incarnation, NodeId};
use bytes::Bytes;

/// The format this code writes, and the newest it reads.
pub(super) const IDENTITY_FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"raftobjI";
const HEADER_BYTES: usize = 20;

/// A node's ids, its configuration at the founding, and how far the founding got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The node's permanent id.
    pub(crate) node: NodeId,
    /// The id of its disk.
    pub(crate) incarnation: Incarnation,
    /// The number of the last start; zero before the first.
    pub(crate) boot: Boot,
    /// The name of the object's type.
    pub(crate) object: String,
    /// The address that the peers know.
    pub(crate) address: String,
    /// The addresses of all founders, as the caller normalised them.
    pub(crate) founding: Vec<String>,
    /// The membership that this node proposed to found.
    pub(crate) proposal: Option<Membership>,
    /// The cluster that the node is a member of.
    pub(crate) formed: Option<FormedCluster>,
}

/// A formed cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormedCluster {
    /// Hash of the founding membership.
    pub(crate) cluster: u64,
    /// The membership at index 0.
    pub(crate) membership: Membership,
}

/// Why bytes are not an identity that this code can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityError {
    NotOurs,
    Damaged,
    Newer(u32),
    Invalid(DecodeError),
}

impl Identity {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u64(self.node.0);
        body.put_u64(self.incarnation.0);
        body.put_u64(self.boot.0);
        body.put_slice(self.object.as_bytes());
        body.put_slice(self.address.as_bytes());
        body.put_varint(self.founding.len() as u64);
        for address in &self.founding {
            body.put_slice(address.as_bytes());
        }
        match &self.proposal {
            None => body.put_u8(0),
            Some(membership) => {
                body.put_u8(1);
                put_membership(&mut body, membership);
            }
        }
        match &self.formed {
            None => body.put_u8(0),
            Some(FormedCluster { cluster, membership }) => {
                body.put_u8(1);
                body.put_u64(*cluster);
                put_membership(&mut body, membership);
            }
        }
        let mut bytes = MAGIC.to_vec();
        bytes.put_u32(IDENTITY_FORMAT);
        bytes.put_u32(body.len() as u32);
        bytes.put_u32(crc32c::crc32c_append(crc32c::crc32c(&bytes), &body));
        bytes.extend_from_slice(&body);
        bytes
    }

    pub(super) fn decode(bytes: &Bytes) -> Result<Identity, IdentityError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(IdentityError::NotOurs);
        }
        let mut input = bytes.slice(MAGIC.len()..);
        let mut word = || input.take_u32("identity").map_err(|_| IdentityError::Damaged);
        let (version, length, checksum) = (word()?, word()?, word()?);
        if input.len() as u64 != u64::from(length)
            || crc32c::crc32c_append(crc32c::crc32c(&bytes[..HEADER_BYTES - 4]), &input) != checksum
        {
            return Err(IdentityError::Damaged);
        }
        if version != IDENTITY_FORMAT {
            return Err(IdentityError::Newer(version));
        }
        Identity::take(&mut input).and_then(|it| input.finish().map(|()| it)).map_err(IdentityError::Invalid)
    }

    fn take(input: &mut Bytes) -> Result<Identity, DecodeError> {
        Ok(Identity {
            node: NodeId(input.take_u64("node")?),
            incarnation: Incarnation(input.take_u64("incarnation")?),
            boot: match input.take_u64("boot")? {
                // The next start has no number.
                u64::MAX => return Err(DecodeError::Invalid { field: "boot", value: u64::MAX }),
                boot => Boot(boot),
            },
            object: input.take_string("object")?,
            address: input.take_string("address")?,
            founding: {
                let count = input.take_varint("founding list")?;
                // Collected one by one: a damaged count fails at the end of the input and preallocates nothing.
                (0..count).map(|_| input.take_string("founding list")).collect::<Result<_, _>>()?
            },
            proposal: match take_flag(input, "proposal")? {
                false => None,
                true => Some(take_membership(input)?),
            },
            formed: match take_flag(input, "formed")? {
                false => None,
                true => {
                    let cluster = input.take_u64("cluster")?;
                    Some(FormedCluster { cluster, membership: take_membership(input)? })
                }
            },
        })
    }
}

fn take_flag(input: &mut Bytes, field: &'static str) -> Result<bool, DecodeError> {
    match input.take_u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::Invalid { field, value: u64::from(other) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::membership::Member;

    fn identity() -> Identity {
        let member =
            |n| (NodeId(n), Member { incarnation: Incarnation(n + 1), address: format!("host:{n}") });
        let membership = Membership { members: [member(1), member(9)].into() };
        Identity {
            node: NodeId(1),
            incarnation: Incarnation(2),
            boot: Boot(3),
            object: "KvStorage".into(),
            address: "host:1".into(),
            founding: vec!["host:1".into(), "host:9".into()],
            proposal: Some(membership.clone()),
            formed: Some(FormedCluster { cluster: 77, membership }),
        }
    }

    #[test]
    fn an_identity_round_trips_and_every_flipped_byte_and_truncation_is_detected() {
        let young = Identity { proposal: None, formed: None, founding: vec![], ..identity() };
        for identity in [identity(), young] {
            let bytes = Bytes::from(identity.encode());
            assert_eq!(Identity::decode(&bytes), Ok(identity));
            for byte in 0..bytes.len() {
                let mut bad = bytes.to_vec();
                bad[byte] ^= 0x10;
                assert!(Identity::decode(&Bytes::from(bad)).is_err(), "byte {byte}");
                assert!(Identity::decode(&bytes.slice(..byte)).is_err(), "cut at {byte}");
            }
        }
    }

    // Breaks: the next start cannot be counted, and every start panics.
    #[test]
    fn the_largest_boot_number_is_refused() {
        let last = Identity { boot: Boot(u64::MAX), ..identity() };
        let refused = DecodeError::Invalid { field: "boot", value: u64::MAX };
        assert_eq!(Identity::decode(&last.encode().into()), Err(IdentityError::Invalid(refused)));
    }

    #[test]
    fn damage_is_distinguished_from_a_newer_format() {
        let mut bytes = identity().encode();
        bytes[8] = 9;
        assert_eq!(Identity::decode(&Bytes::from(bytes.clone())), Err(IdentityError::Damaged));
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..]);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Identity::decode(&Bytes::from(bytes)), Err(IdentityError::Newer(9)));
    }
}
