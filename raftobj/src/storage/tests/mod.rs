//! The room as a whole, on the simulated disk.

use super::directory::DirectoryError;
use super::disk::Disk;
use super::disk::sim::{DiskFault, SimDisk};
use super::recovery::Problem;
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::wal::{OpenError, PrepareJob, Recovered, WalError};
use super::*;
use crate::hash::splitmix64;
use crate::raft::membership::{Member, Membership};
use crate::raft::types::{Entry, EntryId, EntryKind, HardState, Index, Term, Time};
use bytes::Bytes;
use std::path::{Path, PathBuf};

mod appending;
mod damage;
mod directories;
mod disk_conformance;
mod disk_faults;
mod inspection;
mod power_cuts;
mod script;

const DIR: &str = "/data";
const SMALL: WalOptions = WalOptions { segment_bytes: 8 << 10 };

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
struct Started {
    directory: Directory<SimDisk>,
    wal: Wal<SimDisk>,
    recovered: Recovered,
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

fn start(disk: &SimDisk) -> Result<Started, StartError> {
    let mut directory = Directory::open(disk.clone(), dir(), SMALL, new_identity())?;
    let owner = directory.begin_boot()?;
    let (wal, recovered) = Wal::open(disk.clone(), dir(), owner, SMALL)?;
    Ok(Started { directory, wal, recovered })
}

fn entry(index: u64, term: u64, payload_bytes: usize) -> Record {
    let payload = Bytes::from(vec![(index ^ term) as u8 | 1; payload_bytes]);
    let id = EntryId { term: Term(term), index: Index(index) };
    Record::Entry(Entry { id, time: Time(1_790_000_000_000 + index), kind: EntryKind::Command, payload })
}

fn vote(term: u64, node: Option<u64>) -> Record {
    Record::HardState(HardState { term: Term(term), voted_for: node.map(NodeId) })
}

/// What records amount to, the naive way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    hard_state: HardState,
    entries: Vec<Entry>,
}

impl Model {
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

    fn of(recovered: &Recovered) -> Model {
        Model { hard_state: recovered.hard_state, entries: recovered.entries.clone() }
    }
}

/// A test that fails prints its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
