//! The log on disk: what a node must not forget, and how it is read back.
//!
//! It stores entries, hard state and the node's identity. It never knows what a payload means, who waits for a sync,
//! or that there is a network. It draws no random numbers and reads no clock: ids are arguments.
//!
//! A data directory:
//!
//! | name | content |
//! |---|---|
//! | `LOCK` | a running node holds its lock |
//! | `identity` | the node's ids, the list it was founded with, how often it was started ([`identity`]) |
//! | `reserve`, `identity.reserve` | space for the log and for a new identity on a full disk |
//! | `wal-<sequence>` | the log, in segments of 8 MiB ([`segment`]) of frames ([`frame`]) of records ([`record`]) |
//! | `*.tmp` | a file that a crash left unfinished; the next start removes it |
//!
//! A start: `Directory::open` (lock, identity) → the caller compares the identity with its options →
//! `Directory::begin_boot` → `Wal::open` ([`scan`] finds damage and torn tails, [`recovery`] repairs and replays) →
//! `append` and `sync`.
//!
//! # Guarantees
//! On a disk that keeps what it reported as synced, and writes sectors of 512 bytes completely or not at all:
//! - What was synced is there at the next start, or the start is refused and its error names the place of the damage.
//! - What was appended but not synced may be lost, from the end backwards. Nothing else appears.
//! - A failing disk causes an error, never a panic, and a sync is never retried.
//!
//! The limits are listed in [`scan`]. Segments are not released yet: that comes with snapshots.
//!
//! # Rules
//! Comments refer to these rules by name. Tests are in `tests/`, unless a file of this directory is named.
//!
//! | rule | kept in | shown by |
//! |---|---|---|
//! | *acknowledge after sync*: an entry, a vote or a term may be acknowledged after a sync that covers it, not after its write | `Wal::sync`; the callers | `power_cuts`: `any_subset_of_unsynced_writes_may_survive_a_power_cut_at_every_call` |
//! | *an error closes the log*: after a failed write or sync nothing is written or retried, and the node stops. A failed fsync marks the pages clean, so a second one succeeds without the data; and an index must not get other data in the same term (NuRaft #274) | `Wal::close_on_error` | `disk_faults`: `every_call_may_fail_in_every_way`, `a_failed_sync_closes_the_log_and_the_file_stays_unchanged` |
//! | *sync before reading*: a start syncs each file before it reads it, and writes unconfirmed frames again, because the page cache may show what the disk does not have | `scan::scan`, `recovery::repair` | `disk_faults`: `a_start_makes_durable_what_a_failed_sync_left_in_the_page_cache`, `the_process_may_be_killed_at_every_call` |
//! | *checksums*: CRC32C over header and payload, checked on every read | `frame`, `segment`, `identity` | `damaged_files`: `every_flipped_byte_of_an_idle_log_is_harmless_or_refused`; `frame.rs`: `every_flipped_bit_and_every_truncation_is_detected` |
//! | *synced watermark*: a frame carries the highest batch known to be synced. Damage at or below it is refused, above it is a torn tail and cut off. One sync may cover several batches, and a power cut may lose the first and keep the second. When nothing follows a sync, an idle marker carries the watermark | `Wal::mark_idle`, `LogScan::classify_tail` | `power_cuts`: `a_batch_lost_before_a_later_one_of_the_same_sync_is_a_torn_tail`; `damaged_files`: `zeros_in_the_middle_are_damage`, `without_an_idle_marker_only_damage_to_the_last_batch_is_missed` |
//! | *chain*: a frame repeats the checksum of the previous frame, so that lost and misdirected writes and left-over bytes are detected | `frame`, `LogScan::scan_segment` | `chain` |
//! | *segments identify themselves*: format, owner, sequence, length and a unique id are in the header; file name and file size only have to agree with it | `segment`, `scan::read_segment` | `damaged_files`: `a_missing_or_exchanged_file_is_refused`, `a_file_of_another_node_or_another_disk_is_refused`, `a_file_of_another_length_is_refused`, `a_newer_format_is_reported_as_newer` |
//! | *zero-filled segments*: a segment is filled with zeros and synced before it is used, so that later syncs write no metadata; the next one is made in the background | [`prepare`] | `appending`: `a_prepared_segment_is_used_and_a_late_one_is_not` |
//! | *space before use*: a batch is written only where its segment exists already with all its bytes. Where none can be created the log stays as it is, and takes the batch when there is space again: no write to the log meets a full disk. The reserve is the last segment that can always be made | `Wal::rotate`, `Wal::take_reserve` | `full_disk` |
//! | *durable names*: a file is complete and synced before it is renamed to its final name; after create and rename the directory is synced, after the creation of a directory its parent | `prepare::publish_segment`, `Directory::replace`, `directory::create_all` | `directories`: `a_new_directory_is_durable_with_all_its_ancestors`, `after_every_power_cut_the_identity_is_the_old_or_the_new_one` |
//! | *append only*: nothing synced is changed. An entry at index i removes all entries from i on when the log is replayed, but no hard state. Each segment begins with the next index and the hard state in force, so that older segments can be released | `replay`, `Wal::rotate` | `appending`: `appended_records_are_read_back_across_starts_and_segments` |
//! | *unreadable is damage*: a read error is not the end of the log, and a node that may have lost acknowledged entries does not start | `scan::read_segment`, `directory::read_identity` | `damaged_files`: `an_unreadable_file_is_damage_and_not_the_end` |
//! | *one owner*: a directory belongs to one node and one disk of it, and one process uses it at a time. A log without an identity is refused: a node that forgot its votes must not come back under the same id | [`directory`] | `directories`: `a_directory_is_used_by_one_process_at_a_time`, `a_log_without_an_identity_is_refused` |
//! | *damage is refused, not repaired*: nothing is changed, and the error names file, byte and what to do | `recovery::recover` | `damaged_files`: `every_flipped_byte_of_an_idle_log_is_harmless_or_refused` |
//! | *inspection changes nothing* | [`inspect`] | `inspection`: `inspection_lists_the_records_and_changes_nothing`, `inspection_makes_nothing_durable` |
//!
//! On failed fsyncs: "Can Applications Recover from fsync Failures?" (USENIX ATC 2020). On damage that is not a torn
//! tail: "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018), and TigerBeetle's journal.
//!
//! # For readers of etcd's `wal` package
//! | there | here |
//! |---|---|
//! | `WAL`, `Save` | [`wal::Wal`], `append` and `sync` |
//! | `cut`, `filePipeline` | `Wal::rotate`, [`prepare`] |
//! | `encoder`, `decoder`, CRC chain | [`frame`], [`record`] |
//! | `Open`, `ReadAll`, `Repair` | `Wal::open`: [`recovery`], [`scan`], [`replay`] |
//! | `Verify` | [`inspect::verify`] |
//! | `SaveSnapshot`, `ReleaseLockTo` | with snapshots |
//!
//! Begin reading at [`wal`], then [`recovery`] and [`scan`].

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
    /// Size of the reserve for a disk without free space, at least 5 KiB; zero: none is kept.
    pub(crate) reserve_bytes: u64,
}

impl Default for WalOptions {
    fn default() -> WalOptions {
        WalOptions { segment_bytes: 8 << 20, reserve_bytes: 8 << 20 }
    }
}

impl WalOptions {
    /// The size within bounds, in whole sectors.
    fn segment_bytes(self) -> u64 {
        self.segment_bytes.clamp(5 << 10, 1 << 30).next_multiple_of(512)
    }

    /// The size of the reserve within bounds, in whole sectors.
    fn reserve_bytes(self) -> u64 {
        match self.reserve_bytes {
            0 => 0,
            bytes => bytes.clamp(5 << 10, 1 << 30).next_multiple_of(512),
        }
    }
}
