//! A file of the log: a header block that identifies it, then frames.
//!
//! | at | bytes | field | why |
//! |---|---|---|---|
//! | 0 | 8 | magic `raftobjW` | the file name proves nothing (rule *segments identify themselves*) |
//! | 8 | 4 | format version | a newer format is refused, not guessed |
//! | 12 | 4 | CRC32C of the block without these four bytes | damage to the header is detected |
//! | 16 | 8 | segment id, never used twice in a directory | frames carry it: those that an earlier file left here are ignored |
//! | 24 | 8 | node id | a file of another node is refused |
//! | 32 | 8 | incarnation | a file of another disk of this node is refused |
//! | 40 | 8 | sequence, from 1, without gaps | a missing or renamed file is detected |
//! | 48 | 8 | length of the file | a truncated file is detected |
//! | 56 | | zeros up to 4096 | later writes never touch the header's page |
//! | 4096 | | frames ([`super::frame`]), then zeros | zeros mark the end without a length to update |
//!
//! Integers are little-endian. Magic, version and checksum keep their places in every version, so that an old
//! reader distinguishes "newer" from "damaged".
//!
//! The state of the log when a segment begins (chain, next index, hard state) is unknown while the segment is
//! prepared. The segment's first frame, the *opening*, holds it.
//!
//! A segment is synced before the next one gets its first frame. Bytes other than zeros behind a header therefore
//! prove that all earlier segments are complete.

use super::Owner;
use crate::hash::mix;
use crate::raft::types::{Incarnation, NodeId};

/// Where frames begin.
pub(super) const SEGMENT_HEADER_BYTES: usize = 4096;
/// The format this code writes, and the newest it reads.
pub(super) const WAL_FORMAT: u32 = 1;

/// The number of the first segment ever made in a directory.
pub(super) const FIRST_SEQUENCE: u64 = 1;

const MAGIC: [u8; 8] = *b"raftobjW";

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: u64,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) sequence: u64,
    /// Of the whole file.
    pub(super) bytes: u64,
}

/// Why a file's first block is not a header that this code can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    NotOurs,
    Damaged,
    Newer(u32),
}

impl SegmentHeader {
    /// A header for a new segment. `attempt` distinguishes files made for the same sequence in the same boot.
    pub(super) fn new(owner: Owner, sequence: u64, attempt: u64, bytes: u64) -> SegmentHeader {
        let words = [owner.node.0, owner.incarnation.0, owner.boot.0, sequence, attempt];
        let id = words.into_iter().fold(0, mix);
        SegmentHeader { id, node: owner.node, incarnation: owner.incarnation, sequence, bytes }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; SEGMENT_HEADER_BYTES];
        block[0..8].copy_from_slice(&MAGIC);
        block[8..12].copy_from_slice(&WAL_FORMAT.to_le_bytes());
        let words = [self.id, self.node.0, self.incarnation.0, self.sequence, self.bytes];
        for (word, place) in words.into_iter().zip(block[16..].chunks_exact_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let checksum = checksum(&block);
        block[12..16].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    pub(super) fn decode(block: &[u8; SEGMENT_HEADER_BYTES]) -> Result<SegmentHeader, HeaderError> {
        let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if block[0..8] != MAGIC {
            return Err(HeaderError::NotOurs);
        }
        if word(12) != checksum(block) {
            return Err(HeaderError::Damaged);
        }
        match word(8) {
            WAL_FORMAT => {}
            newer => return Err(HeaderError::Newer(newer)),
        }
        Ok(SegmentHeader {
            id: long(16),
            node: NodeId(long(24)),
            incarnation: Incarnation(long(32)),
            sequence: long(40),
            bytes: long(48),
        })
    }
}

fn checksum(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..])
}

/// The file name of a segment.
pub(super) fn segment_name(sequence: u64) -> String {
    format!("wal-{sequence:016x}")
}

/// The sequence in a file name; `None` if [`segment_name`] does not make such names.
pub(super) fn sequence_in(name: &str) -> Option<u64> {
    let sequence = u64::from_str_radix(name.strip_prefix("wal-")?, 16).ok()?;
    (segment_name(sequence) == name).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::Boot;

    #[test]
    fn a_header_round_trips_and_every_flipped_byte_is_detected() {
        let owner = Owner { node: NodeId(1), incarnation: Incarnation(2), boot: Boot(3) };
        let header = SegmentHeader::new(owner, 4, 0, 8 << 20);
        let block: [u8; SEGMENT_HEADER_BYTES] = header.encode().try_into().unwrap();
        assert_eq!(SegmentHeader::decode(&block), Ok(header));
        for byte in 0..block.len() {
            let mut bad = block;
            bad[byte] ^= 0x40;
            assert!(SegmentHeader::decode(&bad).is_err(), "byte {byte}");
        }
        let mut newer = block;
        newer[8] = 2;
        let checksum = checksum(&newer);
        newer[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&newer), Err(HeaderError::Newer(2)));
    }

    #[test]
    fn every_file_gets_its_own_id() {
        let owner = Owner { node: NodeId(1), incarnation: Incarnation(2), boot: Boot(3) };
        let next = Owner { boot: Boot(4), ..owner };
        let id = |owner, sequence, attempt| SegmentHeader::new(owner, sequence, attempt, 0).id;
        let ids = [id(owner, 1, 0), id(owner, 2, 0), id(owner, 1, 1), id(next, 1, 0), id(next, 2, 0)];
        let unique: std::collections::BTreeSet<u64> = ids.into_iter().collect();
        assert_eq!(unique.len(), ids.len());
    }

    #[test]
    fn only_names_made_by_segment_name_are_segments() {
        assert_eq!(sequence_in("wal-000000000000001f"), Some(31));
        for name in [
            "wal-1f",
            "wal-000000000000001F",
            "wal-+00000000000001f",
            "wal-",
            "LOCK",
            "wal-00000000000000001",
        ] {
            assert_eq!(sequence_in(name), None, "{name}");
        }
    }
}
