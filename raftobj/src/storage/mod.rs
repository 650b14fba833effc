//! The log on disk: what a node must not forget, and how it is read back.
//!
//! It remembers entries, hard state and the node's identity; it never knows what a payload means, who waits
//! for a sync, or that there is a network. It draws no random numbers and reads no clock: ids are arguments.
//!
//! A data directory:
//!
//! | name | what |
//! |---|---|
//! | `LOCK` | held while a node uses the directory |
//! | `identity` | who the node is, whom it was founded with, how often it was started; replaced whole ([`identity`]) |
//! | `wal-<sequence>` | the log, in segments of 8 MiB ([`segment`]) of frames ([`frame`]) of records ([`record`]) |
//! | `*.tmp` | something that a crash left unfinished; removed at the next start |
//!
//! The way through it at a start: `Directory::open` (lock, identity) → the caller compares what it finds with
//! what it was told → `Directory::begin_boot` → `Wal::open` ([`scan`] says what is torn and what is damage)
//! → `append` and `sync`.
//!
//! What is promised, on a disk that keeps what it said it synced, and writes sectors of 512 bytes whole:
//! - What was synced is there at the next start, or the start is refused and says where the damage is.
//! - What was appended and not synced may be there or not, from the end backwards; nothing else appears.
//! - A bad disk makes an error, never a panic, and never a second try of a sync.
//!
//! Limits are in [`scan`]. Segments are not released yet: that comes with snapshots.
//!
//! Begin reading at [`wal`], then [`recovery`].

mod damage;
pub(crate) mod directory;
pub(crate) mod disk;
mod frame;
#[cfg(raftobj_fuzz)]
pub(crate) mod fuzz;
mod identity;
pub mod inspect;
mod prepare;
mod record;
mod recovery;
mod replay;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
pub(crate) mod wal;

pub(crate) use damage::TornTail;
pub(crate) use directory::{Directory, NewIdentity};
pub(crate) use disk::RealDisk;
pub(crate) use identity::{FormedCluster, Identity};
pub(crate) use prepare::{PrepareJob, PreparedSegment};
pub(crate) use record::Record;
pub(crate) use wal::Wal;

use crate::raft::types::{Boot, Incarnation, NodeId};

/// The owner of a log. Every segment names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The node's permanent id.
    pub(crate) node: NodeId,
    /// The id of its disk.
    pub(crate) incarnation: Incarnation,
    /// The number of this start. Makes segment ids unique.
    pub(crate) boot: Boot,
}

/// Options of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalOptions {
    /// Size of a segment, at least 5 KiB. A batch that does not fit gets a larger segment.
    pub(crate) segment_bytes: u64,
}

impl Default for WalOptions {
    fn default() -> WalOptions {
        WalOptions { segment_bytes: 8 << 20 }
    }
}

impl WalOptions {
    /// The size within bounds, in whole sectors.
    fn segment_bytes(self) -> u64 {
        self.segment_bytes.clamp(5 << 10, 1 << 30).next_multiple_of(512)
    }
}
