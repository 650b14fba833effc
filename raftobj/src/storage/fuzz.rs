//! Fuzz targets for the bytes on a disk: the identity, segments, frames, and whole directories.
//!
//! A directory with arbitrary contents is opened as by a node and inspected as by `inspect`. Checked: both agree; a
//! refused directory stays unchanged; an opened log takes more records, and the next start reads them back.

mod seeds;

use super::directory::{Directory, DirectoryError};
use super::disk::Disk;
use super::disk::sim::SimDisk;
use super::frame::{
    FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, FramePosition, begin_frame, frame_bytes, seal_frame,
};
use super::identity::Identity;
use super::inspect::{DirectoryReport, DumpedRecord, InspectError, RecordContent, inspect};
use super::record::{Cursor, Record, StoredRecord, put_opening, put_record, take_stored_record};
use super::recovery::{OpenError, Recovered};
use super::segment::{FIRST_SEQUENCE, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::wal::Wal;
use super::{NewIdentity, Owner, WalOptions};
use crate::__fuzz::{Check, Input, MemoryBound, Target};
use crate::raft::types::{
    Boot, Entry, EntryId, EntryKind, HardState, Incarnation, Index, NodeId, Term, Time,
};
use bytes::Bytes;
use seeds::{
    directory_seeds, identity_sealed_seeds, identity_seeds, log_sealed_seeds, sample_identity,
    segment_header_sealed_seeds, segment_header_seeds,
};
use std::path::{Path, PathBuf};

/// Strings and members, besides the input.
const MEMORY_IDENTITY: MemoryBound = MemoryBound { bytes_fixed: 4 << 10, bytes_per_byte: 32 };

/// A header needs one block, on the stack.
const MEMORY_HEADER: MemoryBound = MemoryBound { bytes_fixed: 16 << 10, bytes_per_byte: 4 };

/// The simulated disk keeps several copies of each file, and may fill a short file up to 8 KiB with zeros. Entries are
/// larger in memory than on the disk, by the same factor as on the wire.
const MEMORY_DIRECTORY: MemoryBound = MemoryBound { bytes_fixed: 4 << 20, bytes_per_byte: 256 };

const OPTIONS: WalOptions = WalOptions { segment_bytes: 8 << 10, reserve_bytes: 0 };

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

/// The body of an identity, behind a valid header.
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

/// The first block of a segment, filled up with zeros.
fn segment_header(bytes: &[u8]) -> Option<Check> {
    let mut block = [0; SEGMENT_HEADER_BYTES];
    let length = bytes.len().min(block.len());
    block[..length].copy_from_slice(&bytes[..length]);
    let header = SegmentHeader::decode(&block).ok()?;
    Some(Box::new(move || {
        let again: [u8; SEGMENT_HEADER_BYTES] = header.encode().try_into().expect("a header is a block");
        assert_eq!(SegmentHeader::decode(&again), Ok(header));
        // NB: except the checksum, which also covers the bytes behind the fields. Those are never read.
        assert_eq!(again[..12], block[..12], "one header, one encoding");
        assert_eq!(again[16..HEADER_BYTES_USED], block[16..HEADER_BYTES_USED], "one header, one encoding");
    }))
}

/// The first block of a segment, with a valid magic and checksum.
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

/// A log of sealed frames with arbitrary payloads.
///
/// The input has for each frame a byte of flags and a slice, the payload. Flags: bit 0, the frame begins a new segment;
/// bit 1, it confirms the previous frame as synced; bit 2, a byte of its payload is damaged; bit 3, its chain value is
/// wrong; bit 4, no opening is added although it is the first of a segment; bit 5, it is not written.
fn log_sealed(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let mut segments: Vec<Vec<u8>> = Vec::new();
    let (mut chain, mut batch, mut cursor) = (0, 0, Cursor::at(Index(1)));
    while !input.is_empty() {
        let flags = input.byte();
        let is = |bit: u8| flags & 1 << bit != 0;
        let payload = input.slice();
        let is_first = segments.is_empty() || is(0);
        if is_first {
            segments.push(vec![0; SEGMENT_HEADER_BYTES]);
        }
        let segment = segment_of(segments.len() as u64, 0).id;
        let image = segments.last_mut().expect("the first frame adds a segment");
        batch += 1;
        let start = begin_frame(image);
        if is_first && !is(4) {
            put_opening(image, cursor.next);
            put_record(image, &Record::HardState(cursor.hard_state));
        }
        image.extend_from_slice(payload);
        advance_past(&mut cursor, payload);
        let previous = if is(3) { chain ^ 1 } else { chain };
        let synced = if is(1) { batch - 1 } else { 0 };
        let position = FramePosition { segment, offset: start as u64, previous, batch, synced };
        chain = seal_frame(image, start, position);
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
        // Room for what the check appends.
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

/// Advances past the readable records of a payload. A following segment opens there.
fn advance_past(cursor: &mut Cursor, payload: &[u8]) {
    let mut payload = Bytes::copy_from_slice(payload);
    while let Ok(StoredRecord::Record(record)) = take_stored_record(&mut payload) {
        if cursor.advance(&record).is_err() {
            break;
        }
    }
}

/// A directory of files with arbitrary contents. Their names are among those that have a meaning.
///
/// The input has for each file a byte that selects its name, a byte of flags, a byte for its minimal length in units of
/// 512 bytes, and a slice, its content. A segment's content is the 56 bytes of its header, followed by its frames.
/// Flags: bit 0, the identity or header is sealed; bit 1, each frame is sealed; bit 2, each frame is also linked.
fn directory(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let disk = empty_disk();
    let mut expected = (0, 1);
    for _ in 0..8 {
        if input.is_empty() {
            break;
        }
        let name = NAMES[usize::from(input.byte()) % NAMES.len()];
        let flags = input.byte();
        let bytes_min = usize::from(input.byte() % 33) * 512;
        let mut content = input.slice().to_vec();
        let is_segment = name.starts_with("wal-") && !content.is_empty();
        if is_segment {
            content = expand(&content);
        }
        content.resize(content.len().max(bytes_min), 0);
        if flags & 1 != 0 && is_segment {
            content.resize(content.len().next_multiple_of(512), 0);
            let length = content.len() as u64;
            content[48..56].copy_from_slice(&length.to_le_bytes());
            let header = seal_header(&content[..SEGMENT_HEADER_BYTES]);
            content[..SEGMENT_HEADER_BYTES].copy_from_slice(&header);
        }
        if flags & 1 != 0 && name == "identity" {
            content = seal_identity(&content[content.len().min(IDENTITY_HEADER_BYTES)..]);
        }
        if flags & 2 != 0 && is_segment {
            seal_frames(&mut content, flags & 4 != 0, &mut expected);
        }
        disk.set_bytes(&dir().join(name), &content);
    }
    check_directory(&disk)
}

const NAMES: [&str; 12] = [
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
    "reserve",
    "identity.reserve",
];

/// Length of the fields of a segment's header. Zeros follow them.
const HEADER_BYTES_USED: usize = 56;

/// A segment's file: `content` with the zeros of the header block inserted.
fn expand(content: &[u8]) -> Vec<u8> {
    let (header, frames) = content.split_at(content.len().min(HEADER_BYTES_USED));
    let mut file = header.to_vec();
    file.resize(SEGMENT_HEADER_BYTES, 0);
    file.extend_from_slice(frames);
    file
}

/// Corrects the checksums of everything that looks like a frame. With `are_linked` also its batch number and chain
/// value, continuing those of the previous frame, in this file or an earlier one.
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
            let position = FramePosition { segment, offset: place, previous, batch: *batch, synced };
            *chain = seal_frame(&mut frame, 0, position);
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
    disk.create_dir(dir()).expect("a simulated disk without faults");
    disk
}

/// A started node's storage.
struct StartedStorage {
    wal: Wal<SimDisk>,
    recovered: Recovered,
    _directory: Directory<SimDisk>,
}

enum Refusal {
    Directory(DirectoryError),
    Log(OpenError),
}

fn start(disk: &SimDisk) -> Result<StartedStorage, Refusal> {
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
    Ok(StartedStorage { wal, recovered, _directory: directory })
}

/// The files of the log, as a reader sees them.
fn log_files(disk: &SimDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let is_log = |path: &Path| path.to_string_lossy().contains("/wal-");
    disk.snapshot().into_iter().filter(|(path, _)| is_log(path)).collect()
}

/// Inspects the directory, starts a node's storage in it, and compares the two. The returned check writes.
fn check_directory(disk: &SimDisk) -> Option<Check> {
    let before = disk.snapshot();
    let mut dumped = Vec::new();
    let inspected = inspect(disk, dir(), &mut |record| dumped.push(record));
    assert!(disk.snapshot() == before, "an inspection changed something");
    dumped.iter().for_each(|record| assert!(!record.to_string().is_empty()));
    let started = start(disk);
    let report = match inspected {
        Ok(report) => report,
        Err(InspectError::NoNode { .. }) => {
            // A new directory, or one refused because of foreign files.
            assert!(!matches!(started, Err(Refusal::Log(_))), "a directory without a node has no log");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(report.to_string().lines().count() >= 2 + report.problems.len());
    match started {
        Ok(started) => {
            // Without an identity the start made a new directory, so there is nothing to compare.
            if report.identity.is_none() {
                assert!(started.recovered.entries.is_empty(), "entries without an identity");
                return None;
            }
            compare(&report, &dumped, &started.recovered);
            let disk = disk.clone();
            Some(Box::new(move || check_writes_are_durable(&disk, started)))
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

/// Adds the lock file, which may be created before a directory is refused.
fn with_lock(
    mut before: std::collections::BTreeMap<PathBuf, Option<Vec<u8>>>,
    disk: &SimDisk,
) -> std::collections::BTreeMap<PathBuf, Option<Vec<u8>>> {
    let lock = dir().join("LOCK");
    if let Some(created) = disk.snapshot().remove(&lock) {
        before.entry(lock).or_insert(created);
    }
    before
}

/// A start and an inspection read the same.
fn compare(report: &DirectoryReport, dumped: &[DumpedRecord], recovered: &Recovered) {
    assert!(report.problems.is_empty(), "opened in spite of {:?}", report.problems);
    assert_eq!((recovered.hard_state.term, recovered.hard_state.voted_for), (report.term, report.voted_for));
    assert_eq!(recovered.torn_tail, report.torn_tail);
    let ends = |entries: &[Entry]| Some((entries.first()?.id.index, entries.last()?.id.index));
    assert_eq!(ends(&recovered.entries), report.entries);
    for (entry, index) in recovered.entries.iter().zip(1..) {
        assert_eq!(entry.id.index, Index(index), "entries without gaps");
        let is_entry = |content: &RecordContent| {
            matches!(content, RecordContent::Entry { index, term, time, payload, .. }
                if (*index, *term, *time) == (entry.id.index, entry.id.term, entry.time)
                    && *payload == entry.payload)
        };
        assert!(dumped.iter().any(|record| is_entry(&record.content)), "{} was not dumped", entry.id);
    }
}

/// An opened log takes an entry and a vote, and the next start reads back everything.
fn check_writes_are_durable(disk: &SimDisk, started: StartedStorage) {
    let StartedStorage { mut wal, mut recovered, _directory: directory } = started;
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
