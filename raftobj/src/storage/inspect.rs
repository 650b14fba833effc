//! Looking into a data directory while no node uses it: whether it is whole ([`verify`]), and what is in it
//! ([`dump`]). Nothing is written, cut or counted.

use super::directory::read_identity;
use super::disk::{Disk, DiskFile, RealDisk};
use super::record::{Record, Stored};
use super::recovery::{Mode, Place, survey};
use crate::raft::types::{Boot, EntryKind, Incarnation, Index, NodeId, Term, Time};
use std::fmt;
use std::path::{Path, PathBuf};

pub use super::disk::DiskError;
pub use super::recovery::{Damage, Problem, TornTail};

/// What [`verify`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Who the directory belongs to, if its `identity` can be read.
    pub identity: Option<Identity>,
    /// Files of the log that could be read, used or not.
    pub segments: u64,
    /// Whole batches in them.
    pub batches: u64,
    /// Entries in them, those that others overwrote included.
    pub entries_written: u64,
    /// The first and the last entry of the log that they amount to, both included; `None` if there is none.
    pub entries: Option<(Index, Index)>,
    /// The term in force.
    pub term: Term,
    /// The vote in force.
    pub voted_for: Option<NodeId>,
    /// A torn tail, which the next start will cut. Not a fault: a crash leaves one.
    pub torn_tail: Option<TornTail>,
    /// What is damaged, in the order of the files. After the first, the others are indicative. With any of
    /// them the node refuses to start.
    pub problems: Vec<Problem>,
}

/// Whose directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// The life of its disk.
    pub incarnation: Incarnation,
    /// How often it was started.
    pub boot: Boot,
    /// The cluster it is part of; `None` while it was not formed.
    pub cluster: Option<u64>,
}

/// One thing in the log, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The file.
    pub file: PathBuf,
    /// The byte in it where the batch begins.
    pub offset: u64,
    /// The number of the batch.
    pub batch: u64,
    /// What it is.
    pub item: Item,
}

/// What the log remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A segment begins.
    Opening {
        /// The index that the next new entry has.
        next: Index,
    },
    /// Term and vote from here on.
    HardState {
        /// The term.
        term: Term,
        /// The vote in it.
        voted_for: Option<NodeId>,
    },
    /// An entry. It removes an older one at its index, and all after that one.
    Entry {
        /// Its position.
        index: Index,
        /// Its term.
        term: Term,
        /// When the leader made it.
        time: Time,
        /// Whether it is a call; if not, it is a leader's first entry of its term.
        is_command: bool,
        /// The call's bytes.
        payload: Vec<u8>,
    },
}

/// A directory that cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The disk failed, or there is no such directory.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is neither an identity nor a log in it.
    #[error("{} is not a data directory: it holds neither `identity` nor `wal-…`; one of its folders may be", path.display())]
    NoNode {
        /// The directory.
        path: PathBuf,
    },
    /// A node is using it.
    #[error("{} is in use: stop the node first, or look at a copy", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
}

/// Reads a data directory whole and tells what is in it and what is wrong with it.
///
/// Blocks on the disk; needs memory for the largest file of the log (8 MiB, unless a batch was larger). Fails
/// where the directory cannot be listed or a node uses it; damage is no failure, but in [`Report::problems`].
pub fn verify(dir: impl AsRef<Path>) -> Result<Report, InspectError> {
    inspect(&RealDisk, dir.as_ref(), &mut |_| {})
}

/// Gives every record of a data directory's log to `visit`, in the order written, as far as it can be read,
/// and then says what [`verify`] says.
pub fn dump(dir: impl AsRef<Path>, mut visit: impl FnMut(Line)) -> Result<Report, InspectError> {
    inspect(&RealDisk, dir.as_ref(), &mut visit)
}

pub(super) fn inspect<D: Disk>(
    disk: &D,
    dir: &Path,
    visit: &mut dyn FnMut(Line),
) -> Result<Report, InspectError> {
    if disk.list(dir)?.is_none() {
        let missing = std::io::ErrorKind::NotFound.into();
        return Err(InspectError::Disk(DiskError::at("list", dir)(missing)));
    }
    let names = disk.list(dir)?.unwrap_or_default();
    if !names.iter().any(|name| name == "identity" || name.starts_with("wal-")) {
        return Err(InspectError::NoNode { path: dir.to_owned() });
    }
    // A copy may lack the lock file: then nobody can be using it.
    let _lock = match disk.open_read(&dir.join("LOCK")) {
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
        problems.push(Problem { file: dir.join("identity"), offset: 0, damage: Damage::NoIdentity });
    }
    let owner = identity.as_ref().map(|identity| (identity.node, identity.incarnation));
    let mut entries_written = 0;
    let found = survey(disk, dir, owner, Mode::Inspect, &mut |place, stored| {
        let line = line(place, stored);
        entries_written += u64::from(matches!(line.item, Item::Entry { .. }));
        visit(line);
    })?;
    problems.extend(found.problems);
    let cursor = found.cursor;
    Ok(Report {
        identity: identity.map(|identity| Identity {
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

fn line(place: Place<'_>, stored: Stored) -> Line {
    let item = match stored {
        Stored::Opening(next) => Item::Opening { next },
        Stored::Record(Record::HardState(state)) => {
            Item::HardState { term: state.term, voted_for: state.voted_for }
        }
        Stored::Record(Record::Entry(entry)) => Item::Entry {
            index: entry.id.index,
            term: entry.id.term,
            time: entry.time,
            is_command: entry.kind == EntryKind::Command,
            payload: entry.payload.to_vec(),
        },
    };
    Line { file: place.file.to_owned(), offset: place.offset, batch: place.batch, item }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{name} +{} batch {}: {}", self.offset, self.batch, self.item)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Opening { next } => write!(f, "segment opens before entry {next}"),
            Item::HardState { term, voted_for: None } => write!(f, "term {term}, no vote"),
            Item::HardState { term, voted_for: Some(node) } => {
                write!(f, "term {term}, vote for {}", node.short())
            }
            Item::Entry { index, term, is_command: false, .. } => write!(f, "entry {index}@{term} no-op"),
            Item::Entry { index, term, payload, .. } => {
                write!(f, "entry {index}@{term} command of {} bytes", payload.len())
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Identity { node, incarnation, boot, cluster }) = self.identity {
            write!(f, "node {:016x}, incarnation {:016x}, started {boot} times, ", node.0, incarnation.0)?;
            match cluster {
                Some(cluster) => writeln!(f, "cluster {cluster:016x}")?,
                None => writeln!(f, "not formed")?,
            }
        }
        let Report { segments, batches, entries_written, .. } = self;
        writeln!(f, "{segments} segments, {batches} batches, {entries_written} entries written")?;
        match self.entries {
            Some((first, last)) => write!(f, "entries {first} to {last}, term {}", self.term)?,
            None => write!(f, "no entries, term {}", self.term)?,
        }
        match self.voted_for {
            Some(node) => writeln!(f, ", vote for {:016x}", node.0)?,
            None => writeln!(f, ", no vote")?,
        }
        if let Some(cut) = &self.torn_tail {
            writeln!(f, "torn tail (harmless, the next start cuts it): {cut}")?;
        }
        for problem in &self.problems {
            writeln!(f, "DAMAGED: {problem}")?;
        }
        Ok(())
    }
}
