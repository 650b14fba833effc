//! A file of the log: one block that says what it is, then room for frames.
//!
//! | at | bytes | field | why |
//! |---|---|---|---|
//! | 0 | 8 | magic `raftobjW` | a name proves nothing (rule 8) |
//! | 8 | 4 | format version | a newer one is refused, not guessed |
//! | 12 | 4 | CRC32C of the block without these four bytes | |
//! | 16 | 8 | segment id, never used twice in a directory | frames carry it: what a file's earlier life left is not theirs |
//! | 24 | 8 | node id | a file of another node is refused |
//! | 32 | 8 | incarnation | and one of another life of its disk |
//! | 40 | 8 | sequence, from 1, without gaps | a missing or renamed file is seen |
//! | 48 | 8 | length of the file | a truncated file is seen |
//! | 56 | | zeros up to 4096 | later writes never touch the header's page |
//! | 4096 | | frames, then zeros | |
//!
//! Magic, version and checksum keep their places in every version, so that an old reader tells "newer" from
//! "damaged".
//!
//! A segment is filled with zeros and synced under a `.tmp` name before it gets its own: whoever finds
//! `wal-<sequence>` finds a whole header, and a sync of a frame has no metadata to write (rule 9: 83–106 µs
//! against 129–175 µs in a growing file). What the log was when a segment began (chain, next index, hard
//! state) is not known when it is prepared; it stands in the segment's first frame, the *opening*.
//!
//! ```text
//! make (any thread)          publish (log's thread)      first append
//! *.tmp, zeros, synced ────▶ wal-<sequence>, unused ───▶ opening frame + batch: in use
//! ```
//!
//! The segment before it is synced before anything but zeros is written behind a header. So bytes there prove
//! that all before them was complete.

use super::Owner;
use super::disk::{Disk, DiskError, DiskFile};
use crate::hash::mix;
use crate::planted::planted;
use crate::raft::types::{Incarnation, NodeId};
use std::path::{Path, PathBuf};

/// Where frames begin.
pub(super) const SEGMENT_HEADER_BYTES: usize = 4096;
/// The format this code writes, and the newest it reads.
pub(super) const WAL_FORMAT: u32 = 1;

/// The number of the first segment ever made in a directory.
pub(super) const FIRST_SEQUENCE: u64 = 1;

const MAGIC: [u8; 8] = *b"raftobjW";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: u64,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) sequence: u64,
    /// Of the whole file.
    pub(super) bytes: u64,
}

/// Why a file's first block is not a header that this code reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    NotOurs,
    Damaged,
    Newer(u32),
}

impl SegmentHeader {
    /// A header for a new segment. `attempt` tells apart files made for one sequence in one boot.
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

/// The name of a segment.
pub(super) fn segment_name(sequence: u64) -> String {
    format!("wal-{sequence:016x}")
}

/// The sequence in a name that [`segment_name`] makes.
pub(super) fn sequence_in(name: &str) -> Option<u64> {
    let sequence = u64::from_str_radix(name.strip_prefix("wal-")?, 16).ok()?;
    (segment_name(sequence) == name).then_some(sequence)
}

/// Whether this is a name under which segments are made: what a crash left of it may be removed.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with("wal-") && name.ends_with(".tmp")
}

/// Makes a file with this header and zeros behind it, and syncs it. It has no place in the log yet.
pub(super) fn make<D: Disk>(disk: &D, path: &Path, header: &SegmentHeader) -> Result<(), DiskError> {
    match disk.remove(path) {
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
    let file = disk.create(path)?;
    file.write_at(&header.encode(), 0)?;
    fill_with_zeros(&file, SEGMENT_HEADER_BYTES as u64, header.bytes)?;
    file.sync()
}

/// Writes zeros from one offset up to another.
pub(super) fn fill_with_zeros<F: DiskFile>(file: &F, from: u64, to: u64) -> Result<(), DiskError> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut offset = from;
    while offset < to {
        let zeros = &ZEROS[..ZEROS.len().min((to - offset) as usize)];
        file.write_at(zeros, offset)?;
        offset += zeros.len() as u64;
    }
    Ok(())
}

/// Gives a file that was made its name in the log, durably, and opens it by that name. Another unused
/// segment of that name is replaced.
pub(super) fn publish<D: Disk>(
    disk: &D,
    dir: &Path,
    made: &Path,
    header: &SegmentHeader,
) -> Result<(PathBuf, D::File), DiskError> {
    let path = dir.join(segment_name(header.sequence));
    disk.rename(made, &path)?;
    if !planted!(SegmentNameNotSynced) {
        disk.sync_dir(dir)?;
    }
    let file = disk.open(&path)?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::Boot;

    #[test]
    fn a_header_comes_back_and_no_flipped_byte_passes() {
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
    fn ids_are_of_one_file_only() {
        let owner = Owner { node: NodeId(1), incarnation: Incarnation(2), boot: Boot(3) };
        let next = Owner { boot: Boot(4), ..owner };
        let id = |owner, sequence, attempt| SegmentHeader::new(owner, sequence, attempt, 0).id;
        let ids = [id(owner, 1, 0), id(owner, 2, 0), id(owner, 1, 1), id(next, 1, 0), id(next, 2, 0)];
        let unique: std::collections::BTreeSet<u64> = ids.into_iter().collect();
        assert_eq!(unique.len(), ids.len());
    }

    #[test]
    fn only_names_that_we_make_are_segments() {
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
