//! The inputs that fuzzing begins with.

use super::{
    HEADER_BYTES_USED, IDENTITY_HEADER_BYTES, NAMES, OWNER, StartedStorage, dir, empty_disk, segment_of,
    start,
};
use crate::__fuzz::{codec, put_slice};
use crate::raft::types::{Entry, EntryId, HardState, Index, NodeId, Term};
use crate::storage::disk::sim::SimDisk;
use crate::storage::identity::{FormedCluster, Identity};
use crate::storage::record::{Record, put_record};
use crate::storage::segment::SEGMENT_HEADER_BYTES;
use std::path::Path;

pub(super) fn sample_identity() -> Identity {
    let membership = codec::sample_membership();
    Identity {
        node: OWNER.node,
        incarnation: OWNER.incarnation,
        boot: OWNER.boot,
        object: "KvStorage".into(),
        address: "host1:4321".into(),
        founding: vec!["host1:4321".into(), "host2:4321".into()],
        proposal: Some(membership.clone()),
        formed: Some(FormedCluster { cluster: 77, membership }),
    }
}

pub(super) fn identity_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let young = Identity { proposal: None, formed: None, founding: vec![], ..sample_identity() };
    vec![("formed", sample_identity().encode()), ("young", young.encode())]
}

pub(super) fn identity_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let body = |(name, bytes): (_, Vec<u8>)| (name, bytes[IDENTITY_HEADER_BYTES..].to_vec());
    identity_seeds().into_iter().map(body).collect()
}

pub(super) fn segment_header_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let header = segment_of(4, 8 << 20).encode();
    vec![("fourth", header[..HEADER_BYTES_USED].to_vec())]
}

pub(super) fn segment_header_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    segment_header_seeds()
}

/// Entries, a vote, and an entry that overwrites another.
fn sample_records() -> Vec<Record> {
    let [command, noop] = codec::sample_entries();
    let at = |entry: &Entry, term, index| {
        let id = EntryId { term: Term(term), index: Index(index) };
        Record::Entry(Entry { id, ..entry.clone() })
    };
    let vote = |term| Record::HardState(HardState { term: Term(term), voted_for: Some(NodeId(2)) });
    vec![vote(1), at(&noop, 1, 1), at(&command, 1, 2), vote(2), at(&noop, 2, 2), at(&command, 2, 3)]
}

pub(super) fn log_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let log = |flags: &[u8]| {
        let mut input = Vec::new();
        for (flags, record) in flags.iter().zip(sample_records()) {
            let mut payload = Vec::new();
            put_record(&mut payload, &record);
            input.push(*flags);
            put_slice(&mut input, &payload);
        }
        input
    };
    vec![
        ("one_segment", log(&[0, 0, 2, 2, 0, 2])),
        ("three_segments", log(&[0, 2, 3, 0, 2, 3])),
        ("torn_tail", log(&[0, 0, 2, 2, 0, 4])),
    ]
}

/// Directories that a node left: their files, as [`super::directory`] reads them.
pub(super) fn directory_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let disk = empty_disk();
    let new = files(&disk_after(&disk, &[]));
    let written = files(&disk_after(&disk, &sample_records()));
    let large = vec![1; 5_000];
    let [command, _] = codec::sample_entries();
    let id = EntryId { term: Term(2), index: Index(4) };
    let large = Record::Entry(Entry { id, payload: large.into(), ..command });
    let two_segments = files(&disk_after(&disk, &[large]));
    let sealed: Vec<u8> = {
        // The same, with every checksum corrected: mutations behind checksums are reached.
        let mut input = Vec::new();
        for (name, content) in named_files(&disk) {
            put_file(&mut input, name, 7, &content);
        }
        input
    };
    vec![("new", new), ("written", written), ("two_segments", two_segments), ("two_segments_sealed", sealed)]
}

/// The disk after a node started in this directory and wrote these records.
fn disk_after(disk: &SimDisk, records: &[Record]) -> SimDisk {
    let Ok(StartedStorage { mut wal, .. }) = start(disk) else { panic!("our own directory is refused") };
    for record in records {
        let written = wal.append(std::slice::from_ref(record)).and_then(|()| wal.sync());
        written.expect("a disk without faults");
    }
    wal.mark_idle().expect("a disk without faults");
    drop(wal);
    disk.restart();
    disk.clone()
}

/// The files, each with the index of its name in [`NAMES`].
fn named_files(disk: &SimDisk) -> Vec<(u8, Vec<u8>)> {
    let index = |path: &Path| NAMES.iter().position(|name| dir().join(name) == path);
    let files = disk.snapshot().into_iter().filter_map(|(path, content)| Some((path, content?)));
    files.map(|(path, content)| (index(&path).expect("a name of ours") as u8, content)).collect()
}

fn files(disk: &SimDisk) -> Vec<u8> {
    let mut input = Vec::new();
    for (name, content) in named_files(disk) {
        put_file(&mut input, name, 0, &content);
    }
    input
}

fn put_file(input: &mut Vec<u8>, name: u8, flags: u8, content: &[u8]) {
    let is_segment = NAMES[usize::from(name)].starts_with("wal-");
    let units = if is_segment { content.len() / 512 } else { 0 };
    input.extend_from_slice(&[name, flags, units as u8]);
    put_slice(input, &if is_segment { compact(content) } else { content.to_vec() });
}

/// The counterpart of [`super::expand`]: a segment's file without the zeros of the header block and of its end.
fn compact(file: &[u8]) -> Vec<u8> {
    let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let frames = file.get(SEGMENT_HEADER_BYTES..end).unwrap_or_default();
    [&file[..HEADER_BYTES_USED], frames].concat()
}
