//! The fuzzers' door to what lies on a disk: the identity, segments, frames, and whole directories.
//!
//! A directory that may hold anything is opened as a node does and looked into as `inspect` does. What must hold:
//! the two agree; what is refused is left as it was; what is opened takes more, and has it at the next start.

use super::directory::{Directory, DirectoryError};
use super::disk::Disk;
use super::disk::sim::SimDisk;
use super::frame::{FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, Placement, begin_frame, frame_bytes, seal_frame};
use super::identity::{FormedCluster, Identity};
use super::inspect::{InspectError, Item, Line, Report, inspect};
use super::record::{Cursor, Record, Stored, put_opening, put_record, take_stored};
use super::segment::{FIRST_SEQUENCE, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::wal::{OpenError, Recovered, Wal};
use super::{NewIdentity, Owner, WalOptions};
use crate::__fuzz::{Check, Input, MemoryBound, Target, codec, put_slice};
use crate::raft::types::{
    Boot, Entry, EntryId, EntryKind, HardState, Incarnation, Index, NodeId, Term, Time,
};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// Strings and members beside the input that they were read from.
const MEMORY_IDENTITY: MemoryBound = MemoryBound { bytes_fixed: 4 << 10, bytes_per_byte: 32 };

/// A header is a block on the stack.
const MEMORY_HEADER: MemoryBound = MemoryBound { bytes_fixed: 16 << 10, bytes_per_byte: 4 };

/// The simulated disk keeps several copies of each file, and a file of some bytes may be filled up to 8 KiB
/// with zeroes. Entries are larger in memory than on the disk, by the same factor as on the wire.
const MEMORY_DIRECTORY: MemoryBound = MemoryBound { bytes_fixed: 4 << 20, bytes_per_byte: 256 };

const OPTIONS: WalOptions = WalOptions { segment_bytes: 8 << 10 };

const OWNER: Owner = Owner { node: NodeId(1), incarnation: Incarnation(1 << 40), boot: Boot(1) };

pub(crate) fn targets() -> Vec<Target> {
    let target = |name, decode, seeds, memory| Target { name, decode, seeds, memory };
    vec![
        target("identity", identity, identity_seeds, MEMORY_IDENTITY),
        target("identity_sealed", identity_sealed, identity_sealed_seeds, MEMORY_IDENTITY),
        target("segment_header", segment_header, segment_header_seeds, MEMORY_HEADER),
        target("segment_header_sealed", segment_header_sealed, segment_header_sealed_seeds, MEMORY_HEADER),
        target("log_sealed", log_sealed, log_sealed_seeds, MEMORY_DIRECTORY),
        target("directory", directory, directory_seeds, MEMORY_DIRECTORY),
    ]
}

fn identity(bytes: &[u8]) -> Option<Check> {
    let original = Bytes::copy_from_slice(bytes);
    let identity = Identity::decode(&original).ok()?;
    Some(Box::new(move || assert_eq!(identity.encode(), original, "one identity, one encoding")))
}

/// The body of an identity, behind a header that is right.
fn identity_sealed(body: &[u8]) -> Option<Check> {
    identity(&seal_identity(body))
}

fn seal_identity(body: &[u8]) -> Vec<u8> {
    let mut bytes = sample_identity().encode()[..IDENTITY_HEADER_BYTES].to_vec();
    bytes[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), body);
    bytes[16..].copy_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

const IDENTITY_HEADER_BYTES: usize = 20;

/// The first block of a segment; zeroes follow what is too short.
fn segment_header(bytes: &[u8]) -> Option<Check> {
    let mut block = [0; SEGMENT_HEADER_BYTES];
    let length = bytes.len().min(block.len());
    block[..length].copy_from_slice(&bytes[..length]);
    let header = SegmentHeader::decode(&block).ok()?;
    Some(Box::new(move || {
        let again: [u8; SEGMENT_HEADER_BYTES] = header.encode().try_into().expect("a header is a block");
        assert_eq!(SegmentHeader::decode(&again), Ok(header));
        // NB: but for the checksum, which covers the zeroes behind as well; nobody reads those.
        assert_eq!(again[..12], block[..12], "one header, one encoding");
        assert_eq!(again[16..HEADER_BYTES_USED], block[16..HEADER_BYTES_USED], "one header, one encoding");
    }))
}

/// The first block of a segment, behind a magic and a checksum that are right.
fn segment_header_sealed(bytes: &[u8]) -> Option<Check> {
    segment_header(&seal_header(bytes))
}

fn seal_header(bytes: &[u8]) -> Vec<u8> {
    let mut block = bytes.to_vec();
    block.resize(SEGMENT_HEADER_BYTES, 0);
    block[..8].copy_from_slice(b"raftobjW");
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..]);
    block[12..16].copy_from_slice(&checksum.to_le_bytes());
    block
}

/// A log of sealed frames: what is in them may be anything.
///
/// Each frame is a byte of how it is made and a slice, its payload: bit 0, in a new segment; bit 1, it vouches
/// for the frame before; bit 2, a byte of its payload is damaged; bit 3, its link is wrong; bit 4, without the
/// opening that the first frame of a segment has of itself; bit 5, it is not written at all.
fn log_sealed(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let mut segments: Vec<Vec<u8>> = Vec::new();
    let (mut chain, mut batch, mut cursor) = (0, 0, Cursor::at(Index(1)));
    while !input.is_empty() {
        let how = input.byte();
        let is = |bit: u8| how & 1 << bit != 0;
        let payload = input.slice();
        let is_first = segments.is_empty() || is(0);
        if is_first {
            segments.push(vec![0; SEGMENT_HEADER_BYTES]);
        }
        let segment = segment_of(segments.len() as u64, 0).id;
        let image = segments.last_mut().expect("one was made at the latest now");
        batch += 1;
        let start = begin_frame(image);
        if is_first && !is(4) {
            put_opening(image, cursor.next);
            put_record(image, &Record::HardState(cursor.hard_state));
        }
        image.extend_from_slice(payload);
        follow(&mut cursor, payload);
        let previous = if is(3) { chain ^ 1 } else { chain };
        let synced = if is(1) { batch - 1 } else { 0 };
        let placement = Placement { segment, offset: start as u64, previous, batch, synced };
        chain = seal_frame(image, start, placement);
        if is(2) && !payload.is_empty() {
            image[start + FRAME_HEADER_BYTES] ^= 1;
        }
        if is(5) {
            image.truncate(start);
        }
    }
    let disk = empty_disk();
    disk.set_bytes(&dir().join("identity"), &sample_identity().encode());
    for (sequence, mut image) in (FIRST_SEQUENCE..).zip(segments) {
        // Room for what a node that opens it appends.
        image.resize((image.len() + FRAME_HEADER_BYTES).next_multiple_of(512), 0);
        let header = segment_of(sequence, image.len() as u64);
        image[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
        disk.set_bytes(&dir().join(segment_name(sequence)), &image);
    }
    check_directory(&disk)
}

fn segment_of(sequence: u64, bytes: u64) -> SegmentHeader {
    SegmentHeader { bytes, ..SegmentHeader::new(OWNER, sequence, 0, 0) }
}

/// Moves over the records of a payload, as far as they can be read: a segment that follows opens there.
fn follow(cursor: &mut Cursor, payload: &[u8]) {
    let mut payload = Bytes::copy_from_slice(payload);
    while let Ok(Stored::Record(record)) = take_stored(&mut payload) {
        if cursor.advance(&record).is_err() {
            break;
        }
    }
}

/// A directory whose files may hold anything, and have any of the names that mean something.
///
/// Each file is a byte of its name, a byte of how it is sealed, a byte of how many units of 512 bytes it is
/// long at least, and a slice, its content. A segment's content is the 56 bytes of its header, and then its
/// frames. How: bit 0, identity or header are sealed; bit 1, each frame is sealed; bit 2, and linked anew.
fn directory(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let disk = empty_disk();
    let mut expected = (0, 1);
    for _ in 0..8 {
        if input.is_empty() {
            break;
        }
        let name = NAMES[usize::from(input.byte()) % NAMES.len()];
        let how = input.byte();
        let bytes_min = usize::from(input.byte() % 33) * 512;
        let mut content = input.slice().to_vec();
        let is_segment = name.starts_with("wal-") && !content.is_empty();
        if is_segment {
            content = spread(&content);
        }
        content.resize(content.len().max(bytes_min), 0);
        if how & 1 != 0 && is_segment {
            content.resize(content.len().next_multiple_of(512), 0);
            let length = content.len() as u64;
            content[48..56].copy_from_slice(&length.to_le_bytes());
            let header = seal_header(&content[..SEGMENT_HEADER_BYTES]);
            content[..SEGMENT_HEADER_BYTES].copy_from_slice(&header);
        }
        if how & 1 != 0 && name == "identity" {
            content = seal_identity(&content[content.len().min(IDENTITY_HEADER_BYTES)..]);
        }
        if how & 2 != 0 && is_segment {
            seal_frames(&mut content, how & 4 != 0, &mut expected);
        }
        disk.set_bytes(&dir().join(name), &content);
    }
    check_directory(&disk)
}

const NAMES: [&str; 10] = [
    "LOCK",
    "identity",
    "wal-0000000000000001",
    "wal-0000000000000002",
    "wal-0000000000000003",
    "identity.tmp",
    "wal-0000000000000002.0.tmp",
    "wal-ffffffffffffffff",
    "wal-1",
    "notes",
];

/// The bytes of a header that say something; zeroes follow them in a segment.
const HEADER_BYTES_USED: usize = 56;

/// A segment's file from its content without the zeroes of its first block.
fn spread(content: &[u8]) -> Vec<u8> {
    let (header, frames) = content.split_at(content.len().min(HEADER_BYTES_USED));
    let mut file = header.to_vec();
    file.resize(SEGMENT_HEADER_BYTES, 0);
    file.extend_from_slice(frames);
    file
}

/// The counterpart of [`spread`], without the zeroes at the end either.
fn gather(file: &[u8]) -> Vec<u8> {
    let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let frames = file.get(SEGMENT_HEADER_BYTES..end).unwrap_or_default();
    [&file[..HEADER_BYTES_USED], frames].concat()
}

/// Makes the checksums of what looks like frames right, and, if asked, their numbers and links: those of the
/// frame that is expected next, in this file or an earlier one.
fn seal_frames(file: &mut [u8], are_linked: bool, (chain, batch): &mut (u32, u64)) {
    let long =
        |file: &[u8], at: usize| file[at..at + 8].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let segment = long(file, 16);
    let mut offset = SEGMENT_HEADER_BYTES;
    while offset + FRAME_HEADER_BYTES <= file.len() && file[offset..offset + 4] == *b"rfrm" {
        let payload_bytes = long(file, offset + 16) as u32 as usize;
        let end = offset.saturating_add(frame_bytes(payload_bytes.min(file.len())));
        if end > file.len() {
            break;
        }
        let mut frame = file[offset..end].to_vec();
        if are_linked {
            frame.truncate(FRAME_HEADER_BYTES + payload_bytes);
            let place = offset as u64;
            let synced = long(file, offset + 40).min(*batch - 1);
            let previous = *chain;
            let placement = Placement { segment, offset: place, previous, batch: *batch, synced };
            *chain = seal_frame(&mut frame, 0, placement);
            *batch += 1;
        } else {
            let payload = crc32c::crc32c(&frame[FRAME_HEADER_BYTES..]);
            frame[8..12].copy_from_slice(&payload.to_le_bytes());
            let header = crc32c::crc32c(&frame[8..FRAME_HEADER_BYTES]);
            frame[4..8].copy_from_slice(&header.to_le_bytes());
        }
        file[offset..end].copy_from_slice(&frame);
        offset = end.next_multiple_of(FRAME_ALIGN_BYTES);
    }
}

fn dir() -> &'static Path {
    Path::new("/data")
}

fn empty_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir(dir()).expect("a simulated disk does not fail unasked");
    disk
}

/// What a start found, and what it left open.
struct Started {
    wal: Wal<SimDisk>,
    recovered: Recovered,
    _directory: Directory<SimDisk>,
}

enum Refusal {
    Directory(DirectoryError),
    Log(OpenError),
}

fn start(disk: &SimDisk) -> Result<Started, Refusal> {
    let new_identity = NewIdentity {
        node: OWNER.node,
        incarnation: OWNER.incarnation,
        object: "KvStorage".into(),
        address: "host1:4321".into(),
        founding: vec!["host1:4321".into()],
    };
    let open = || {
        let mut directory = Directory::open(disk.clone(), dir(), OPTIONS, new_identity)?;
        let owner = directory.begin_boot()?;
        Ok((directory, owner))
    };
    let (directory, owner) = open().map_err(Refusal::Directory)?;
    let (wal, recovered) = Wal::open(disk.clone(), dir(), owner, OPTIONS).map_err(Refusal::Log)?;
    Ok(Started { wal, recovered, _directory: directory })
}

/// What a reader sees of the log.
fn log_files(disk: &SimDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let is_log = |path: &Path| path.to_string_lossy().contains("/wal-");
    disk.snapshot().into_iter().filter(|(path, _)| is_log(path)).collect()
}

/// Looks into the directory and starts on it, and compares. The checks that write come later.
fn check_directory(disk: &SimDisk) -> Option<Check> {
    let before = disk.snapshot();
    let mut lines = Vec::new();
    let looked = inspect(disk, dir(), &mut |line| lines.push(line));
    assert!(disk.snapshot() == before, "an inspection changed something");
    lines.iter().for_each(|line| assert!(!line.to_string().is_empty()));
    let started = start(disk);
    let report = match looked {
        Ok(report) => report,
        Err(InspectError::NoNode { .. }) => {
            // Made anew, or refused because of what else is in it.
            assert!(!matches!(started, Err(Refusal::Log(_))), "a directory without a node has no log");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(report.to_string().lines().count() >= 2 + report.problems.len());
    match started {
        Ok(started) => {
            // Without an identity the directory is as good as new, which is not what it looks like.
            if report.identity.is_none() {
                assert!(started.recovered.entries.is_empty(), "entries without an identity");
                return None;
            }
            compare(&report, &lines, &started.recovered);
            let disk = disk.clone();
            Some(Box::new(move || goes_on(&disk, started)))
        }
        Err(refusal) => {
            match refusal {
                Refusal::Directory(error) => {
                    assert!(!error.to_string().is_empty());
                    assert!(disk.snapshot() == with_lock(before, disk), "a refused directory was changed");
                }
                Refusal::Log(OpenError::Refused { problem }) => {
                    assert_eq!(report.problems.first(), Some(&problem), "a start and an inspection differ");
                    let logs =
                        before.into_iter().filter(|(path, _)| path.to_string_lossy().contains("/wal-"));
                    assert!(log_files(disk) == logs.collect::<Vec<_>>(), "a refused log was changed");
                }
                Refusal::Log(OpenError::Disk(error)) => panic!("a disk without faults: {error}"),
            }
            None
        }
    }
}

/// A lock file may be made before a directory is refused.
fn with_lock(
    mut before: std::collections::BTreeMap<PathBuf, Option<Vec<u8>>>,
    disk: &SimDisk,
) -> std::collections::BTreeMap<PathBuf, Option<Vec<u8>>> {
    let lock = dir().join("LOCK");
    if let Some(made) = disk.snapshot().remove(&lock) {
        before.entry(lock).or_insert(made);
    }
    before
}

/// What a start reads is what an inspection tells.
fn compare(report: &Report, lines: &[Line], recovered: &Recovered) {
    assert!(report.problems.is_empty(), "opened in spite of {:?}", report.problems);
    assert_eq!((recovered.hard_state.term, recovered.hard_state.voted_for), (report.term, report.voted_for));
    assert_eq!(recovered.torn_tail, report.torn_tail);
    let ends = |entries: &[Entry]| Some((entries.first()?.id.index, entries.last()?.id.index));
    assert_eq!(ends(&recovered.entries), report.entries);
    for (entry, index) in recovered.entries.iter().zip(1..) {
        assert_eq!(entry.id.index, Index(index), "entries without gaps");
        let same = |item: &Item| {
            matches!(item, Item::Entry { index, term, time, payload, .. }
                if (*index, *term, *time) == (entry.id.index, entry.id.term, entry.time)
                    && *payload == entry.payload)
        };
        assert!(lines.iter().any(|line| same(&line.item)), "{} is in no line", entry.id);
    }
}

/// A log that was opened takes an entry and a vote, and has them and all before at the next start.
fn goes_on(disk: &SimDisk, started: Started) {
    let Started { mut wal, mut recovered, _directory: directory } = started;
    let index = Index(recovered.entries.len() as u64 + 1);
    let id = EntryId { term: Term(1), index };
    let payload = Bytes::from_static(b"one more");
    let entry = Entry { id, time: Time(0), kind: EntryKind::Command, payload };
    let mut records = vec![Record::Entry(entry.clone())];
    if let Some(term) = recovered.hard_state.term.0.checked_add(1) {
        recovered.hard_state = HardState { term: Term(term), voted_for: Some(NodeId(5)) };
        records.push(Record::HardState(recovered.hard_state));
    }
    recovered.entries.push(entry);
    let written = wal.append(&records).and_then(|()| wal.sync()).and_then(|()| wal.mark_idle());
    written.expect("a disk without faults");
    drop((wal, directory));
    disk.cut_power(&mut |_| false);
    let Ok(again) = start(disk) else { panic!("a log that was opened and synced is refused") };
    assert_eq!(again.recovered.hard_state, recovered.hard_state);
    assert_eq!(again.recovered.entries, recovered.entries);
}

fn sample_identity() -> Identity {
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

fn identity_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let young = Identity { proposal: None, formed: None, founding: vec![], ..sample_identity() };
    vec![("formed", sample_identity().encode()), ("young", young.encode())]
}

fn identity_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let body = |(name, bytes): (_, Vec<u8>)| (name, bytes[IDENTITY_HEADER_BYTES..].to_vec());
    identity_seeds().into_iter().map(body).collect()
}

fn segment_header_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let header = segment_of(4, 8 << 20).encode();
    vec![("fourth", header[..HEADER_BYTES_USED].to_vec())]
}

fn segment_header_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
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

fn log_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let log = |hows: &[u8]| {
        let mut input = Vec::new();
        for (how, record) in hows.iter().zip(sample_records()) {
            let mut payload = Vec::new();
            put_record(&mut payload, &record);
            input.push(*how);
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

/// Directories as a node leaves them: its files as [`directory`] reads them.
fn directory_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let disk = empty_disk();
    let new = files(&disk_after(&disk, &[]));
    let written = files(&disk_after(&disk, &sample_records()));
    let large = vec![1; 5_000];
    let [command, _] = codec::sample_entries();
    let id = EntryId { term: Term(2), index: Index(4) };
    let large = Record::Entry(Entry { id, payload: large.into(), ..command });
    let two_segments = files(&disk_after(&disk, &[large]));
    let sealed: Vec<u8> = {
        // The same with everything sealed anew, so that what is changed in it is reached.
        let mut input = Vec::new();
        for (name, content) in named(&disk) {
            put_file(&mut input, name, 7, &content);
        }
        input
    };
    vec![("new", new), ("written", written), ("two_segments", two_segments), ("two_segments_sealed", sealed)]
}

/// One more life of a node in this directory.
fn disk_after(disk: &SimDisk, records: &[Record]) -> SimDisk {
    let Ok(Started { mut wal, .. }) = start(disk) else { panic!("a directory of our own making is refused") };
    for record in records {
        let written = wal.append(std::slice::from_ref(record)).and_then(|()| wal.sync());
        written.expect("a disk without faults");
    }
    wal.mark_idle().expect("a disk without faults");
    drop(wal);
    disk.restart();
    disk.clone()
}

/// The files, by the place of their names in [`NAMES`].
fn named(disk: &SimDisk) -> Vec<(u8, Vec<u8>)> {
    let place = |path: &Path| NAMES.iter().position(|name| dir().join(name) == path);
    let files = disk.snapshot().into_iter().filter_map(|(path, content)| Some((path, content?)));
    files.map(|(path, content)| (place(&path).expect("a name of ours") as u8, content)).collect()
}

fn files(disk: &SimDisk) -> Vec<u8> {
    let mut input = Vec::new();
    for (name, content) in named(disk) {
        put_file(&mut input, name, 0, &content);
    }
    input
}

fn put_file(input: &mut Vec<u8>, name: u8, how: u8, content: &[u8]) {
    let is_segment = NAMES[usize::from(name)].starts_with("wal-");
    let units = if is_segment { content.len() / 512 } else { 0 };
    input.extend_from_slice(&[name, how, units as u8]);
    put_slice(input, &if is_segment { gather(content) } else { content.to_vec() });
}
