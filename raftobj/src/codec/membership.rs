//! The members of a cluster, and the cluster's id.
//!
//! | field | bytes | why |
//! |---|---|---|
//! | count | varint | at most [`MEMBERS_MAX`] |
//! | node id | 8, each | in increasing order, so each membership has one encoding |
//! | incarnation | 8, each | the disk whose votes count |
//! | address | varint length, then UTF-8, each | as the user wrote it |

use super::{DecodeError, Put, Take};
use crate::hash::hash_bytes;
use crate::raft::membership::{Member, Membership};
use crate::raft::types::{Incarnation, NodeId};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Most members of a cluster. Few clusters have more than seven; the limit keeps a handshake within its frame.
pub(crate) const MEMBERS_MAX: usize = 15;

/// Longest address, in bytes: a host name has at most 253.
pub(crate) const ADDRESS_BYTES_MAX: usize = 262;

/// Appends the members.
pub(crate) fn put_membership(buffer: &mut Vec<u8>, membership: &Membership) {
    buffer.put_varint(membership.members.len() as u64);
    for (id, member) in &membership.members {
        buffer.put_u64(id.0);
        buffer.put_u64(member.incarnation.0);
        buffer.put_slice(member.address.as_bytes());
    }
}

/// Takes the members.
pub(crate) fn take_membership(input: &mut Bytes) -> Result<Membership, DecodeError> {
    let count = input.take_varint("count of members")?;
    if count > MEMBERS_MAX as u64 {
        return Err(DecodeError::Invalid { field: "count of members", value: count });
    }
    let mut members: BTreeMap<NodeId, Member> = BTreeMap::new();
    for _ in 0..count {
        let id = NodeId(input.take_u64("member id")?);
        let incarnation = Incarnation(input.take_u64("member incarnation")?);
        let address = input.take_string("member address")?;
        let increases = members.last_key_value().is_none_or(|(last, _)| *last < id);
        if !increases || address.len() > ADDRESS_BYTES_MAX {
            return Err(DecodeError::Invalid { field: "member", value: id.0 });
        }
        members.insert(id, Member { incarnation, address });
    }
    Ok(Membership { members })
}

/// The id of a cluster: a hash of its first membership's encoding, never zero.
pub(crate) fn cluster_id(founders: &Membership) -> u64 {
    let mut buffer = Vec::new();
    put_membership(&mut buffer, founders);
    hash_bytes(0x636c_7573_7465_7221, &buffer).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(members: &[(u64, usize)]) -> Bytes {
        let mut buffer = Vec::new();
        buffer.put_varint(members.len() as u64);
        for (id, address_bytes) in members {
            buffer.put_u64(*id);
            buffer.put_u64(7);
            buffer.put_slice("a".repeat(*address_bytes).as_bytes());
        }
        buffer.into()
    }

    // Breaks: two encodings of one membership give two cluster ids; or a long list does not fit in its frame.
    #[test]
    fn ids_increase_and_count_and_addresses_are_bounded() {
        let members = |members: &[(u64, usize)]| {
            take_membership(&mut encoded(members)).ok().map(|membership| membership.members.len())
        };
        let most: Vec<(u64, usize)> = (1..=MEMBERS_MAX as u64).map(|id| (id, ADDRESS_BYTES_MAX)).collect();
        assert_eq!(members(&most), Some(MEMBERS_MAX));
        assert_eq!(members(&[&most[..], &[(99, 1)]].concat()), None, "one too many");
        assert_eq!(members(&[(1, ADDRESS_BYTES_MAX + 1)]), None);
        assert_eq!(members(&[(2, 1), (1, 1)]), None);
        assert_eq!(members(&[(1, 1), (1, 1)]), None, "the same id twice");
    }

    // Breaks: two versions of this code give the same members two cluster ids.
    #[test]
    fn the_cluster_id_is_a_function_of_the_members() {
        let of = |members: &[(u64, usize)]| cluster_id(&take_membership(&mut encoded(members)).unwrap());
        let id = of(&[(1, 3), (2, 3)]);
        assert_eq!(
            id, 18_024_027_596_820_447_179,
            "files and hellos contain it: a change is a change of the format"
        );
        assert_ne!(id, of(&[(1, 3), (3, 3)]));
    }
}
