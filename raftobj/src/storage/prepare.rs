//! Making a segment's file, beside the log or ahead of it.
//!
//! ```text
//! create (any thread)          publish (the log's thread)    first append
//! *.tmp, zeros, synced ──────▶ wal-<sequence>, unused ─────▶ opening frame + batch: in use
//! ```
//!
//! Every file `wal-<sequence>` therefore has a complete header, and syncing a frame writes no metadata: the file
//! is filled with zeros and synced before it gets its name (rule *zero-filled segments*: a sync took 83–106 µs,
//! against 129–175 µs in a growing file).

use super::disk::{Disk, DiskError, DiskFile};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::planted::planted;
use std::path::{Path, PathBuf};

/// The job of making a segment: some milliseconds of writing zeros and syncing them.
#[derive(Debug)]
pub(crate) struct PrepareJob<D: Disk> {
    disk: D,
    tmp: PathBuf,
    header: SegmentHeader,
}

/// The result of a [`PrepareJob`].
#[derive(Debug)]
pub(crate) struct PreparedSegment {
    pub(super) tmp: PathBuf,
    pub(super) header: SegmentHeader,
    /// An error is only for information: an append that needs the segment makes it, and returns its own error.
    pub(crate) result: Result<(), DiskError>,
}

impl<D: Disk> PrepareJob<D> {
    pub(super) fn new(disk: D, tmp: PathBuf, header: SegmentHeader) -> PrepareJob<D> {
        PrepareJob { disk, tmp, header }
    }

    /// Makes the segment, blocking on the disk.
    pub(crate) fn run(self) -> PreparedSegment {
        let result = create_segment(&self.disk, &self.tmp, &self.header);
        PreparedSegment { tmp: self.tmp, header: self.header, result }
    }
}

/// Creates a file with this header and zeros behind it, and syncs it. It is not part of the log yet.
pub(super) fn create_segment<D: Disk>(disk: &D, tmp: &Path, header: &SegmentHeader) -> Result<(), DiskError> {
    match disk.remove(tmp) {
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
    let file = disk.create(tmp)?;
    file.write_at(&header.encode(), 0)?;
    fill_with_zeros(&file, SEGMENT_HEADER_BYTES as u64, header.bytes)?;
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

/// The temporary name of a segment.
pub(super) fn tmp_path(dir: &Path, header: &SegmentHeader, attempt: u64) -> PathBuf {
    dir.join(format!("{}.{attempt}.tmp", segment_name(header.sequence)))
}

/// Whether this is a segment's temporary name. A crash may have left such a file; a start removes it.
pub(super) fn is_tmp_segment(name: &str) -> bool {
    name.starts_with("wal-") && name.ends_with(".tmp")
}
