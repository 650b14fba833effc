//! The log, open for writing: one frame a batch, a sync when asked, and nothing after the first error.
//!
//! One thread makes all calls, and each call blocks on the disk. [`Wal::append`] writes. [`Wal::sync`] makes
//! durable what was written; only then may it be acknowledged. Another thread can make the next segment
//! meanwhile: [`Wal::prepare_next`].
//!
//! Invariants:
//! - `synced <= batch`, and a successful sync covered every frame up to `synced`.
//! - A segment is synced completely before the next one gets its first frame.
//! - The active segment has room for an idle marker behind its last batch.
//! - After an error of append or sync nothing is written: the state of the file is unknown until it is read
//!   again (rule *an error closes the log*).

use super::disk::{Disk, DiskError, DiskFile};
use super::frame::{FRAME_HEADER_BYTES, FramePosition, begin_frame, frame_bytes, seal_frame};
use super::prepare::{PrepareJob, PreparedSegment, create_segment, publish_segment, tmp_path};
use super::record::{Cursor, Record, put_opening, put_record};
use super::recovery::{OpenError, Recovered, recover};
use super::scan::ScannedSegment;
use super::segment::{FIRST_SEQUENCE, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::{Owner, WalOptions};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::Index;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records are split into frames of about this size, so that buffers and segments stay bounded.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// A buffer that grew beyond this is freed after its batch.
const BUFFER_BYTES_KEPT: usize = 4 << 20;
/// An upper bound for the opening frame and the idle marker beside a batch in a segment.
const SEGMENT_OVERHEAD_BYTES: usize = SEGMENT_HEADER_BYTES + 4 * FRAME_HEADER_BYTES;

/// The log on disk, open for appending.
#[derive(Debug)]
pub(crate) struct Wal<D: Disk> {
    disk: D,
    dir: PathBuf,
    owner: Owner,
    options: WalOptions,
    /// The segment that is written; `None` before the first batch ever.
    active: Option<ActiveSegment<D::File>>,
    next: NextSegment<D::File>,
    /// The full segments, oldest first. A snapshot will release them.
    full: Vec<FullSegment>,
    cursor: Cursor,
    chain: u32,
    batch: u64,
    synced: u64,
    /// Whether the last frame is an idle marker (or the log is empty).
    is_marked_idle: bool,
    /// How many segments this boot has begun: makes their ids and temporary names unique.
    attempts: u64,
    buffer: Vec<u8>,
    /// The error that closed the log.
    closed_by: Option<Arc<DiskError>>,
}

#[derive(Debug)]
struct ActiveSegment<F> {
    file: F,
    header: SegmentHeader,
    /// Where the next frame begins.
    end: u64,
}

/// A segment that is full. It can be released when a snapshot covers all entries before `next`.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "snapshots will release segments by it")]
struct FullSegment {
    sequence: u64,
    next: Index,
}

/// The segment after the active one.
#[derive(Debug)]
enum NextSegment<F> {
    Absent,
    /// A [`PrepareJob`] is making it.
    UnderWay,
    /// The job failed. The log makes the segment itself when it needs it, and reports the error then.
    Failed,
    Ready(F, SegmentHeader),
}

/// The log takes no more writes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    /// The disk failed in this call. Writes since the last successful sync may or may not be on the disk.
    #[error(
        "{0}; writes since the last sync may be lost: repair the disk or free space on it, then restart the node"
    )]
    Failed(#[source] Arc<DiskError>),
    /// The disk failed in an earlier call; this call did nothing.
    #[error(
        "an earlier error closed the log: {0}; repair the disk or free space on it, then restart the node"
    )]
    Closed(#[source] Arc<DiskError>),
}

impl<D: Disk> Wal<D> {
    /// Creates the log of a new directory: one empty segment, durable on return. [`Wal::open`] follows.
    pub(super) fn create(disk: &D, dir: &Path, owner: Owner, options: WalOptions) -> Result<(), DiskError> {
        let header = SegmentHeader::new(owner, FIRST_SEQUENCE, 0, options.segment_bytes());
        let tmp = tmp_path(dir, &header, 0);
        create_segment(disk, &tmp, &header)?;
        publish_segment(disk, dir, &tmp, &header)?;
        Ok(())
    }

    /// Reads the log in a directory that the caller has locked, and prepares it for appending.
    ///
    /// On return everything in [`Recovered`] is durable, and a torn tail is overwritten with zeros. Where
    /// anything else is wrong, nothing is changed.
    pub(crate) fn open(
        disk: D,
        dir: &Path,
        owner: Owner,
        options: WalOptions,
    ) -> Result<(Wal<D>, Recovered), OpenError> {
        let (found, recovered) = recover(&disk, dir, owner)?;
        let mut wal = Wal {
            disk,
            dir: dir.to_owned(),
            owner,
            options,
            active: None,
            next: NextSegment::Absent,
            full: Vec::new(),
            cursor: found.cursor,
            chain: found.chain,
            batch: found.batch,
            synced: found.batch,
            is_marked_idle: found.ends_idle,
            attempts: 0,
            buffer: Vec::new(),
            closed_by: None,
        };
        let newest = found.segments.iter().rposition(|segment| segment.frames > 0);
        for (position, segment) in found.segments.into_iter().enumerate() {
            let ScannedSegment { path, header, frames, next, end, .. } = segment;
            if Some(position) == newest {
                wal.active = Some(ActiveSegment { file: wal.disk.open(&path)?, header, end: end as u64 });
            } else if frames > 0 {
                mark!(SegmentsRecovered);
                wal.full.push(FullSegment { sequence: header.sequence, next });
            } else if let NextSegment::Absent = wal.next {
                wal.next = NextSegment::Ready(wal.disk.open(&path)?, header);
            }
        }
        Ok((wal, recovered))
    }

    /// Writes records behind the earlier ones: durable after the next [`Wal::sync`] that succeeds.
    ///
    /// An entry at an index that the log holds replaces that entry and removes all after it. Blocks longer
    /// when the segment is full: its end is synced, and the next segment is made if it was not prepared.
    ///
    /// # Panics
    /// If a record cannot follow the log: a gap between entries, a lower term, a second vote in a term.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), WalError> {
        self.check_open()?;
        let written = self.write_batches(records);
        self.close_on_error(written)
    }

    /// Makes everything appended durable. Never retried after an error: the kernel has marked the pages clean,
    /// so the result of a second try means nothing (rule *an error closes the log*).
    pub(crate) fn sync(&mut self) -> Result<(), WalError> {
        self.check_open()?;
        let synced = self.sync_active();
        self.close_on_error(synced)
    }

    /// Writes an idle marker: a frame that confirms that everything before it is synced. With it, damage to the
    /// last batch is not mistaken for a torn tail (rule *synced watermark*). For when nothing follows a sync;
    /// does nothing if the marker is there or something is unsynced. Needs no sync: if it is lost, nothing is.
    pub(crate) fn mark_idle(&mut self) -> Result<(), WalError> {
        self.check_open()?;
        if self.is_marked_idle || self.synced < self.batch {
            return Ok(());
        }
        self.buffer.clear();
        begin_frame(&mut self.buffer);
        let written = self.write_frame();
        self.is_marked_idle = true;
        mark!(IdleMarked);
        self.close_on_error(written)
    }

    /// The job of making the next segment, if none is running. Run it on any thread and pass its result to
    /// [`Wal::install_prepared`]. If that does not happen in time, the log makes the segment itself.
    pub(crate) fn prepare_next(&mut self) -> Option<PrepareJob<D>> {
        if self.closed_by.is_some() || !matches!(self.next, NextSegment::Absent) {
            return None;
        }
        let header = self.new_header(self.options.segment_bytes());
        self.next = NextSegment::UnderWay;
        let tmp = tmp_path(&self.dir, &header, self.attempts);
        Some(PrepareJob::new(self.disk.clone(), tmp, header))
    }

    /// Installs the segment that a [`PrepareJob`] made. One that comes too late is removed. A failed job is
    /// not an error yet.
    pub(crate) fn install_prepared(&mut self, prepared: PreparedSegment) -> Result<(), WalError> {
        self.check_open()?;
        let is_wanted =
            matches!(self.next, NextSegment::UnderWay) && prepared.header.sequence == self.next_sequence();
        match prepared.result {
            Ok(()) if is_wanted => {
                let published = publish_segment(&self.disk, &self.dir, &prepared.tmp, &prepared.header);
                let file = self.close_on_error(published)?;
                self.next = NextSegment::Ready(file, prepared.header);
            }
            result => {
                mark!(SegmentPreparedLate if result.is_ok());
                // If this fails, the next start removes the file.
                let _ = self.disk.remove(&prepared.tmp);
                if is_wanted && result.is_err() {
                    self.next = NextSegment::Failed;
                }
            }
        }
        Ok(())
    }

    /// The index of the last entry, durable or not; zero if there is none.
    #[cfg(test)]
    pub(crate) fn last_index(&self) -> Index {
        self.cursor.next.previous()
    }

    /// The full segments, each with the index of the entry that would have followed its last record.
    #[cfg(test)]
    pub(crate) fn full_segments(&self) -> Vec<(u64, Index)> {
        self.full.iter().map(|full| (full.sequence, full.next)).collect()
    }

    fn check_open(&self) -> Result<(), WalError> {
        match &self.closed_by {
            None => Ok(()),
            Some(earlier) => Err(WalError::Closed(earlier.clone())),
        }
    }

    fn close_on_error<T>(&mut self, result: Result<T, DiskError>) -> Result<T, WalError> {
        result.map_err(|error| {
            mark!(LogClosedByError);
            let error = Arc::new(error);
            self.closed_by = Some(error.clone());
            WalError::Failed(error)
        })
    }

    fn write_batches(&mut self, records: &[Record]) -> Result<(), DiskError> {
        let mut rest = records;
        while !rest.is_empty() {
            self.buffer.clear();
            begin_frame(&mut self.buffer);
            let before = self.cursor;
            while let [record, after @ ..] = rest {
                if let Err(error) = self.cursor.advance(record) {
                    panic!("{error}");
                }
                put_record(&mut self.buffer, record);
                rest = after;
                if self.buffer.len() >= BATCH_BYTES_MAX {
                    break;
                }
            }
            let bytes = frame_bytes(self.buffer.len() - FRAME_HEADER_BYTES);
            let room = self.active.as_ref().map_or(0, |active| active.header.bytes - active.end);
            if ((bytes + FRAME_HEADER_BYTES) as u64) > room {
                self.rotate(bytes, before)?;
            }
            self.write_frame()?;
            self.is_marked_idle = false;
            if self.buffer.capacity() > BUFFER_BYTES_KEPT {
                self.buffer = Vec::new();
            }
        }
        Ok(())
    }

    /// Seals the frame in the buffer and writes it at the end of the active segment.
    fn write_frame(&mut self) -> Result<(), DiskError> {
        // Proof: every caller has found room in the active segment.
        let Some(active) = &mut self.active else { unreachable!("no segment to write to") };
        let batch = self.batch + 1;
        let position = FramePosition {
            segment: active.header.id,
            offset: active.end,
            previous: self.chain,
            batch,
            synced: self.synced,
        };
        let chain = seal_frame(&mut self.buffer, 0, position);
        let end = active.end + self.buffer.len() as u64;
        assert!(end <= active.header.bytes, "batch {batch} ends at {end} in {} bytes", active.header.bytes);
        active.file.write_at(&self.buffer, active.end)?;
        active.end = end;
        self.chain = chain;
        self.batch = batch;
        Ok(())
    }

    fn sync_active(&mut self) -> Result<(), DiskError> {
        if self.synced < self.batch
            && let Some(active) = &self.active
        {
            let mut synced = active.file.sync();
            if planted!(FsyncRetried) {
                synced = synced.or_else(|_| active.file.sync());
            }
            synced?;
            self.synced = self.batch;
        }
        Ok(())
    }

    /// Makes the next segment the active one, with room for a frame of `bytes`. The buffer holds that frame,
    /// and `before` is the log's position before it.
    fn rotate(&mut self, bytes: usize, before: Cursor) -> Result<(), DiskError> {
        // Bytes behind a segment's header prove that all earlier segments are complete: see `segment`.
        if !planted!(RotationWithoutSync) {
            self.sync_active()?;
        }
        let needed = (SEGMENT_OVERHEAD_BYTES + bytes) as u64;
        let (file, header) = match std::mem::replace(&mut self.next, NextSegment::Absent) {
            NextSegment::Ready(file, header) if needed <= header.bytes => {
                mark!(SegmentReady);
                (file, header)
            }
            _ => {
                let bytes = needed.max(self.options.segment_bytes()).next_multiple_of(512);
                let header = self.new_header(bytes);
                let tmp = tmp_path(&self.dir, &header, self.attempts);
                create_segment(&self.disk, &tmp, &header)?;
                // Replaces an unused segment of this name that is too small.
                let file = publish_segment(&self.disk, &self.dir, &tmp, &header)?;
                (file, header)
            }
        };
        mark!(SegmentRotated if self.active.is_some());
        self.retire_active(before.next);
        self.active = Some(ActiveSegment { file, header, end: SEGMENT_HEADER_BYTES as u64 });

        let batch = std::mem::take(&mut self.buffer);
        begin_frame(&mut self.buffer);
        put_opening(&mut self.buffer, before.next);
        let mut hard_state = before.hard_state;
        if planted!(VoteNotCarried) {
            hard_state.voted_for = None;
        }
        put_record(&mut self.buffer, &Record::HardState(hard_state));
        let opened = self.write_frame();
        self.buffer = batch;
        opened
    }

    fn retire_active(&mut self, next: Index) {
        if let Some(active) = self.active.take() {
            self.full.push(FullSegment { sequence: active.header.sequence, next });
        }
    }

    fn next_sequence(&self) -> u64 {
        self.active.as_ref().map_or(FIRST_SEQUENCE, |active| active.header.sequence + 1)
    }

    fn new_header(&mut self, bytes: u64) -> SegmentHeader {
        self.attempts += 1;
        SegmentHeader::new(self.owner, self.next_sequence(), self.attempts, bytes)
    }
}
