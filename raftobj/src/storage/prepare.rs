//! Making a segment's file, beside the log or ahead of it, and the reserve.
//!
//! ```text
//! create (any thread)          publish (the log's thread)    first append
//! *.tmp, zeros, synced ──────▶ wal-<sequence>, unused ─────▶ opening frame + batch: in use
//! ```
//!
//! Every file `wal-<sequence>` therefore has a complete header, and syncing a frame writes no metadata: the file
//! is filled with zeros and synced before it gets its name (rule *zero-filled segments*: a sync took 83–106 µs,
//! against 129–175 µs in a growing file).
//!
//! The *reserve* is a file of zeros that becomes a segment when the disk has no room for one: it is written in place and
//! renamed, so that no other program can take its space.

use super::disk::{Disk, DiskError, DiskFile};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::planted::planted;
use std::path::{Path, PathBuf};

/// The job of making a segment: some milliseconds of writing zeros and syncing them.
#[derive(Debug)]
pub(crate) struct PrepareJob<D: Disk> {
    disk: D,
    tmp: PathBuf,
    purpose: Purpose,
}

/// What a file is created for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Segment(SegmentHeader),
    /// The reserve, with this many bytes.
    Reserve(u64),
}

/// The result of a [`PrepareJob`].
#[derive(Debug)]
pub(crate) struct PreparedSegment {
    pub(super) tmp: PathBuf,
    pub(super) purpose: Purpose,
    /// An error is only for information: an append that needs the segment makes it, and returns its own error.
    pub(crate) result: Result<(), DiskError>,
}

impl<D: Disk> PrepareJob<D> {
    pub(super) fn new(disk: D, tmp: PathBuf, purpose: Purpose) -> PrepareJob<D> {
        PrepareJob { disk, tmp, purpose }
    }

    /// Makes the file, blocking on the disk.
    pub(crate) fn run(self) -> PreparedSegment {
        let result = match &self.purpose {
            Purpose::Segment(header) => create_segment(&self.disk, &self.tmp, header),
            Purpose::Reserve(bytes) => create_reserve(&self.disk, &self.tmp, *bytes),
        };
        PreparedSegment { tmp: self.tmp, purpose: self.purpose, result }
    }
}

/// Creates a file with this header and zeros behind it, and syncs it. It is not part of the log yet.
pub(super) fn create_segment<D: Disk>(disk: &D, tmp: &Path, header: &SegmentHeader) -> Result<(), DiskError> {
    remove_if_exists(disk, tmp)?;
    let file = disk.create(tmp)?;
    file.write_at(&header.encode(), 0)?;
    fill_with_zeros(&file, SEGMENT_HEADER_BYTES as u64, header.bytes)?;
    file.sync()
}

/// Creates a file of zeros and syncs it.
fn create_reserve<D: Disk>(disk: &D, tmp: &Path, bytes: u64) -> Result<(), DiskError> {
    remove_if_exists(disk, tmp)?;
    let file = disk.create(tmp)?;
    fill_with_zeros(&file, 0, bytes)?;
    file.sync()
}

/// Renames a created file to its segment's name, durably, and opens it by that name. Replaces an unused segment
/// of that name.
pub(super) fn publish_segment<D: Disk>(
    disk: &D,
    dir: &Path,
    tmp: &Path,
    header: &SegmentHeader,
) -> Result<D::File, DiskError> {
    let path = dir.join(segment_name(header.sequence));
    disk.rename(tmp, &path)?;
    if !planted!(SegmentNameNotSynced) {
        disk.sync_dir(dir)?;
    }
    disk.open(&path)
}

/// Writes zeros from one offset up to another.
pub(super) fn fill_with_zeros<F: DiskFile>(file: &F, from: u64, to: u64) -> Result<(), DiskError> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut offset = from;
    while offset < to {
        let zeros = &ZEROS[..ZEROS.len().min((to - offset) as usize)];
        file.write_at(zeros, offset)?;
        offset += zeros.len() as u64;
    }
    Ok(())
}

/// Removes a file. Returns whether there was one.
pub(super) fn remove_if_exists<D: Disk>(disk: &D, path: &Path) -> Result<bool, DiskError> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The name of the reserve.
pub(super) const RESERVE: &str = "reserve";
/// Its temporary name.
pub(super) const RESERVE_TMP: &str = "reserve.tmp";

/// The temporary name of a segment.
pub(super) fn tmp_path(dir: &Path, header: &SegmentHeader, attempt: u64) -> PathBuf {
    dir.join(format!("{}.{attempt}.tmp", segment_name(header.sequence)))
}

/// Whether this is the temporary name of a segment or the reserve. A crash may have left such a file; a start removes it.
pub(super) fn is_tmp(name: &str) -> bool {
    name == RESERVE_TMP || (name.starts_with("wal-") && name.ends_with(".tmp"))
}
