//! Tests of storage as a whole, on the simulated disk.

use super::damage::Problem;
use super::directory::DirectoryError;
use super::disk::Disk;
use super::disk::sim::{DiskFault, SimDisk};
use super::frame::{frame_bytes, header_at};
use super::recovery::{OpenError, Recovered};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::wal::WalError;
use super::*;
use crate::hash::splitmix64;
use crate::raft::membership::{Member, Membership};
use crate::raft::types::{Entry, EntryId, EntryKind, HardState, Index, Term, Time};
use bytes::Bytes;
use std::path::{Path, PathBuf};

mod appending;
mod arbitrary_bytes;
mod chain;
mod damaged_files;
mod directories;
mod disk_conformance;
mod disk_faults;
mod full_disk;
mod inspection;
mod power_cuts;
mod script;

const DIR: &str = "/data";
const SMALL: WalOptions = WalOptions { segment_bytes: 8 << 10, reserve_bytes: 0 };

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn new_identity() -> NewIdentity {
    NewIdentity {
        node: NodeId(0x1111),
        incarnation: Incarnation(0x2222),
        object: "Object".into(),
        address: "a:1".into(),
        founding: vec!["a:1".into(), "b:2".into()],
    }
}

/// A started node's storage. The directory is locked while it lives.
#[derive(Debug)]
struct StartedStorage {
    directory: Directory<SimDisk>,
    wal: Wal<SimDisk>,
    recovered: Recovered,
}

#[derive(Debug, thiserror::Error)]
enum RefusedStart {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

fn start(disk: &SimDisk) -> Result<StartedStorage, RefusedStart> {
    let mut directory = Directory::open(disk.clone(), dir(), SMALL, new_identity())?;
    let owner = directory.begin_boot()?;
    let (wal, recovered) = Wal::open(disk.clone(), dir(), owner, SMALL)?;
    Ok(StartedStorage { directory, wal, recovered })
}

fn entry(index: u64, term: u64, payload_bytes: usize) -> Record {
    let payload = Bytes::from(vec![(index ^ term) as u8 | 1; payload_bytes]);
    let id = EntryId { term: Term(term), index: Index(index) };
    Record::Entry(Entry { id, time: Time(1_790_000_000_000 + index), kind: EntryKind::Command, payload })
}

fn vote(term: u64, node: Option<u64>) -> Record {
    Record::HardState(HardState { term: Term(term), voted_for: node.map(NodeId) })
}

/// A log in memory, implemented in the simplest way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NaiveLog {
    hard_state: HardState,
    entries: Vec<Entry>,
}

impl NaiveLog {
    fn take(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::HardState(state) => self.hard_state = *state,
                Record::Entry(entry) => {
                    self.entries.retain(|old| old.id.index < entry.id.index);
                    self.entries.push(entry.clone());
                }
            }
        }
    }

    fn of(recovered: &Recovered) -> NaiveLog {
        NaiveLog { hard_state: recovered.hard_state, entries: recovered.entries.clone() }
    }
}

/// SplitMix64. A test that fails prints its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A synced log of three segments, with or without an idle marker at its end.
fn three_segments(is_marked_idle: bool) -> (SimDisk, NaiveLog) {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    let mut log = NaiveLog::default();
    for batch in [
        vec![vote(1, Some(1)), entry(1, 1, 300), entry(2, 1, 5)],
        vec![entry(3, 1, 2500)],
        vec![entry(4, 1, 2500)],
        vec![vote(2, None), entry(3, 2, 7), entry(4, 2, 2000)],
        vec![entry(5, 2, 3)],
        vec![entry(6, 2, 700)],
    ] {
        started.wal.append(&batch).unwrap();
        started.wal.sync().unwrap();
        log.take(&batch);
    }
    if is_marked_idle {
        started.wal.mark_idle().unwrap();
    }
    drop(started);
    assert_eq!(segments(&disk).len(), 3);
    (disk, log)
}

/// The paths of the segments.
fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(dir()).unwrap().unwrap();
    names.iter().filter(|name| name.starts_with("wal-")).map(|name| dir().join(name)).collect()
}

/// Where the last frame with a payload begins, and where the frames end.
fn tail(image: &[u8]) -> (usize, usize) {
    let header = segment_header(image);
    let (mut at, mut last) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
    while let Some(frame) = header_at(image, at, header.id) {
        if frame.payload_bytes > 0 {
            last = at;
        }
        at += frame_bytes(frame.payload_bytes as usize);
    }
    (last, at)
}

fn segment_header(image: &[u8]) -> SegmentHeader {
    SegmentHeader::decode(image.first_chunk().unwrap()).unwrap()
}

/// The problem for which a start is refused.
fn problem(disk: &SimDisk) -> Problem {
    match start(disk) {
        Err(RefusedStart::Open(OpenError::Refused { problem })) => problem,
        Err(RefusedStart::Directory(DirectoryError::Refused { problem })) => problem,
        other => panic!("not refused: {other:?}"),
    }
}
