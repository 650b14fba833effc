//! Inspection of a data directory that no node is using: [`verify`] checks it, [`dump`] lists the records of its log.
//! Nothing in the directory is changed.

use super::directory::{IDENTITY, LOCK, read_identity};
use super::disk::{Disk, DiskFile, RealDisk};
use super::record::{Record, StoredRecord};
use super::scan::{RecordLocation, ScanMode, scan};
use crate::raft::types::{Boot, EntryKind, Incarnation, Index, NodeId, Term, Time};
use std::fmt;
use std::path::{Path, PathBuf};

pub use super::damage::{Damage, Problem, TornTail};
pub use super::disk::DiskError;

/// What [`verify`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectoryReport {
    /// The node that the directory belongs to, if its `identity` can be read.
    pub identity: Option<NodeIdentity>,
    /// How many files of the log can be read, used or not.
    pub segments: u64,
    /// How many whole batches they contain.
    pub batches: u64,
    /// How many entries they contain, overwritten ones included.
    pub entries_written: u64,
    /// The first and the last entry of the resulting log, both included; `None` if it is empty.
    pub entries: Option<(Index, Index)>,
    /// The term in force.
    pub term: Term,
    /// The vote in force.
    pub voted_for: Option<NodeId>,
    /// A torn tail, which the next start will cut off. Not damage: a crash leaves one.
    pub torn_tail: Option<TornTail>,
    /// All damage, in the order of the files. Those after the first are only indications. While there is any, the
    /// node refuses to start.
    pub problems: Vec<Problem>,
}

/// The node that a data directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeIdentity {
    /// The node's permanent id.
    pub node: NodeId,
    /// The id of its disk.
    pub incarnation: Incarnation,
    /// How often it was started.
    pub boot: Boot,
    /// The cluster that it is a member of; `None` if the cluster is not formed yet.
    pub cluster: Option<u64>,
}

/// A record of the log, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpedRecord {
    /// The file.
    pub file: PathBuf,
    /// The byte in it at which the batch begins.
    pub offset: u64,
    /// The number of the batch.
    pub batch: u64,
    /// The record itself.
    pub content: RecordContent,
}

/// The content of a record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordContent {
    /// The beginning of a segment.
    Opening {
        /// The index of the next new entry.
        next: Index,
    },
    /// Term and vote in force from here on.
    HardState {
        /// The term.
        term: Term,
        /// The vote in this term.
        voted_for: Option<NodeId>,
    },
    /// An entry. It replaces an older entry at its index and removes all after that one.
    Entry {
        /// Its index.
        index: Index,
        /// Its term.
        term: Term,
        /// The time at which the leader created it.
        time: Time,
        /// Whether it is a call. If not, it is the no-op that begins a leader's term.
        is_command: bool,
        /// The call's bytes.
        payload: Vec<u8>,
    },
}

/// The directory cannot be inspected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The disk failed, or there is no such directory.
    #[error("{0}; check the path, its permissions and the disk")]
    Disk(#[from] DiskError),
    /// It contains neither an identity nor a log.
    #[error(
        "{} is not a data directory, because it contains neither `identity` nor `wal-…`: name the directory that the \
         node was started with",
        path.display()
    )]
    NoNode {
        /// The directory.
        path: PathBuf,
    },
    /// A node is using it.
    #[error("{} is in use: stop the node first, or inspect a copy", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
}

/// Reads a whole data directory and reports its contents and all damage.
///
/// Blocks on the disk; needs memory for the largest file of the log (8 MiB, unless a batch was larger). Fails if the
/// directory cannot be listed or a node is using it. Damage is not an error: see [`DirectoryReport::problems`].
pub fn verify(dir: impl AsRef<Path>) -> Result<DirectoryReport, InspectError> {
    inspect(&RealDisk, dir.as_ref(), &mut |_| {})
}

/// Passes every readable record of a data directory's log to `visit`, in the order written. Returns the same report
/// as [`verify`].
pub fn dump(
    dir: impl AsRef<Path>,
    mut visit: impl FnMut(DumpedRecord),
) -> Result<DirectoryReport, InspectError> {
    inspect(&RealDisk, dir.as_ref(), &mut visit)
}

pub(super) fn inspect<D: Disk>(
    disk: &D,
    dir: &Path,
    visit: &mut dyn FnMut(DumpedRecord),
) -> Result<DirectoryReport, InspectError> {
    if disk.list(dir)?.is_none() {
        let missing = std::io::ErrorKind::NotFound.into();
        return Err(InspectError::Disk(DiskError::at("list", dir)(missing)));
    }
    let names = disk.list(dir)?.unwrap_or_default();
    if !names.iter().any(|name| name == IDENTITY || name.starts_with("wal-")) {
        return Err(InspectError::NoNode { path: dir.to_owned() });
    }
    // A copy may lack the lock file. Then no node can be using it.
    let _lock = match disk.open_read(&dir.join(LOCK)) {
        Err(error) if error.is_missing() => None,
        found => Some(found?),
    };
    if let Some(lock) = &_lock
        && !lock.try_lock()?
    {
        return Err(InspectError::Locked { path: dir.to_owned() });
    }
    let mut problems = Vec::new();
    let identity = read_identity(disk, dir).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if identity.is_none() && problems.is_empty() {
        problems.push(Problem { file: dir.join(IDENTITY), offset: 0, damage: Damage::NoIdentity });
    }
    let owner = identity.as_ref().map(|identity| (identity.node, identity.incarnation));
    let mut entries_written = 0;
    let found = scan(disk, dir, owner, ScanMode::Inspect, &mut |location, stored| {
        let record = dumped_record(location, stored);
        entries_written += u64::from(matches!(record.content, RecordContent::Entry { .. }));
        visit(record);
    })?;
    problems.extend(found.problems);
    let cursor = found.cursor;
    Ok(DirectoryReport {
        identity: identity.map(|identity| NodeIdentity {
            node: identity.node,
            incarnation: identity.incarnation,
            boot: identity.boot,
            cluster: identity.formed.map(|formed| formed.cluster),
        }),
        segments: found.segments.len() as u64,
        batches: found.segments.iter().map(|segment| segment.frames).sum(),
        entries_written,
        entries: (cursor.first < cursor.next).then(|| (cursor.first, cursor.next.previous())),
        term: cursor.hard_state.term,
        voted_for: cursor.hard_state.voted_for,
        torn_tail: found.torn_tail,
        problems,
    })
}

fn dumped_record(location: RecordLocation<'_>, stored: StoredRecord) -> DumpedRecord {
    let content = match stored {
        StoredRecord::Opening(next) => RecordContent::Opening { next },
        StoredRecord::Record(Record::HardState(state)) => {
            RecordContent::HardState { term: state.term, voted_for: state.voted_for }
        }
        StoredRecord::Record(Record::Entry(entry)) => RecordContent::Entry {
            index: entry.id.index,
            term: entry.id.term,
            time: entry.time,
            is_command: entry.kind == EntryKind::Command,
            payload: entry.payload.to_vec(),
        },
    };
    DumpedRecord { file: location.file.to_owned(), offset: location.offset, batch: location.batch, content }
}

impl fmt::Display for DumpedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{name} +{} batch {}: {}", self.offset, self.batch, self.content)
    }
}

impl fmt::Display for RecordContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordContent::Opening { next } => write!(f, "segment opens at entry {next}"),
            RecordContent::HardState { term, voted_for: None } => write!(f, "term {term}, no vote"),
            RecordContent::HardState { term, voted_for: Some(node) } => {
                write!(f, "term {term}, vote for {}", node.short())
            }
            RecordContent::Entry { index, term, is_command: false, .. } => {
                write!(f, "entry {index}@{term} no-op")
            }
            RecordContent::Entry { index, term, payload, .. } => {
                write!(f, "entry {index}@{term} command of {} bytes", payload.len())
            }
        }
    }
}

impl fmt::Display for DirectoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(NodeIdentity { node, incarnation, boot, cluster }) = self.identity {
            write!(f, "node {:016x}, incarnation {:016x}, started {boot} times, ", node.0, incarnation.0)?;
            match cluster {
                Some(cluster) => writeln!(f, "cluster {cluster:016x}")?,
                None => writeln!(f, "not formed")?,
            }
        }
        let DirectoryReport { segments, batches, entries_written, .. } = self;
        writeln!(f, "{segments} segments, {batches} batches, {entries_written} entries written")?;
        match self.entries {
            Some((first, last)) => write!(f, "entries {first} to {last}, term {}", self.term)?,
            None => write!(f, "no entries, term {}", self.term)?,
        }
        match self.voted_for {
            Some(node) => writeln!(f, ", vote for {:016x}", node.0)?,
            None => writeln!(f, ", no vote")?,
        }
        if let Some(tail) = &self.torn_tail {
            writeln!(f, "torn tail (harmless, the next start cuts it off): {tail}")?;
        }
        for problem in &self.problems {
            writeln!(f, "DAMAGED: {problem}")?;
        }
        let mut advice: Vec<&str> = self.problems.iter().map(|problem| problem.damage.advice()).collect();
        advice.sort_unstable();
        advice.dedup();
        advice.iter().try_for_each(|advice| writeln!(f, "to do: {advice}"))
    }
}
