//! What can be wrong with a data directory, and what a person can do about it.

use std::fmt;
use std::path::PathBuf;

/// Something in a data directory that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The byte in it at which the damage begins.
    pub offset: u64,
    /// What is wrong.
    pub damage: Damage,
}

impl Problem {
    /// The message of a start that this problem prevents.
    pub(super) fn refusal(&self) -> String {
        let advice = self.damage.advice();
        format!(
            "{self}; nothing was changed: {advice}; to list all damage, use raftobj::inspect::verify or the example \
             `inspect verify DIR`"
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file.display(), self.offset, self.damage)
    }
}

/// What can be wrong with a part of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The operating system could not read it.
    #[error("it cannot be read ({reason})")]
    Unreadable {
        /// The error of the operating system.
        reason: String,
    },
    /// It does not begin with the magic bytes of raftobj's files.
    #[error("it is not a file of raftobj")]
    NotOurs,
    /// A later version of raftobj wrote it.
    #[error("it has format {found}, but this version reads formats up to {known}")]
    Newer {
        /// The file's format.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// The checksum of its header does not match.
    #[error("its header is damaged (checksum)")]
    Header,
    /// It belongs to another node, or to an earlier or later disk of this node.
    #[error("it belongs to node {node:016x}, incarnation {incarnation:016x}, not to this directory")]
    Owner {
        /// The node id in the file.
        node: u64,
        /// The incarnation in the file.
        incarnation: u64,
    },
    /// Its header and its file name disagree.
    #[error("its header names it segment {sequence} of the log, but its file name does not")]
    Misnamed {
        /// The number in its header.
        sequence: u64,
    },
    /// It is shorter or longer than it was made.
    #[error("it is {found} bytes long, but was made with {made} bytes")]
    Length {
        /// Its length now.
        found: u64,
        /// Its length according to its header.
        made: u64,
    },
    /// The segment before this one does not exist.
    #[error("segment {missing} of the log, which precedes it, is missing")]
    Missing {
        /// The number of the missing segment.
        missing: u64,
    },
    /// The directory was in use, but contains no log.
    #[error("the directory was in use, but its log is missing")]
    NoLog,
    /// There is a log, but no file that names its owner.
    #[error("there is a log, but no `identity` file beside it")]
    NoIdentity,
    /// The identity's checksum matches, but this version never writes such contents.
    #[error("its contents are invalid: {reason}")]
    Identity {
        /// Why they are invalid.
        reason: String,
    },
    /// A batch that was synced cannot be read any more.
    #[error("batch {batch} was synced, but is damaged or missing")]
    Batch {
        /// The batch that should be here.
        batch: u64,
    },
    /// A whole batch, but not the one that follows the batch before it.
    #[error("batch {found} does not follow batch {previous}: writes were lost or misdirected")]
    Chain {
        /// The batch before this place.
        previous: u64,
        /// The batch at this place.
        found: u64,
    },
    /// A batch's checksum matches, but this version never writes such contents.
    #[error("batch {batch} has invalid contents: {reason}")]
    Record {
        /// The batch.
        batch: u64,
        /// Why they are invalid.
        reason: String,
    },
}

impl Damage {
    /// What a person can do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Damage::Newer { .. } => {
                "start the node with the version of raftobj that wrote it, or with a later one"
            }
            Damage::Owner { .. } => {
                "give each node a data directory of its own, and put this node's own files back"
            }
            _ => {
                "restore the newest contents of this disk, never an older copy: it lacks votes and entries that \
                 this node acknowledged (the other nodes continue without this one)"
            }
        }
    }
}

/// A torn tail: what a crash left of batches that were never synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Where the tail begins: everything from here to the end of the file is cut off.
    pub offset: u64,
    /// The number of the first torn batch.
    pub batch: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornTail { file, offset, batch } = self;
        write!(f, "{} at byte {offset}: batch {batch} is incomplete and was never synced", file.display())
    }
}
