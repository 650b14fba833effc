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
use super::prepare::{
    PrepareJob, PreparedSegment, Purpose, RESERVE, RESERVE_TMP, create_segment, publish_segment, tmp_path,
};
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
    /// The length of the reserve; zero if there is none.
    reserve_bytes: u64,
    reserve_job: ReserveJob,
    /// Whether the disk had no space for the last file that the log has to create.
    is_short_of_space: bool,
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

/// The job of creating the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReserveJob {
    Idle,
    UnderWay,
    /// It failed, and not for lack of space.
    Failed,
}

/// A segment that can be written, or the error for which there is none.
type MadeSegment<F> = Result<(F, SegmentHeader), DiskError>;

/// The log did not take all records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    /// There is no space for the next segment, and no reserve. Nothing of the records behind the first `written` ones is on
    /// the disk. The log is open: append the others again, when there is space.
    #[error("{source}; the node waits until there is space on the disk")]
    NoSpace { written: usize, source: DiskError },
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
        let reserve_bytes = match disk.open_read(&dir.join(RESERVE)) {
            Ok(reserve) => reserve.len()?,
            Err(error) if error.is_missing() => 0,
            Err(error) => return Err(error.into()),
        };
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
            reserve_bytes,
            reserve_job: ReserveJob::Idle,
            is_short_of_space: false,
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
    /// when the segment is full: its end is synced, and the next segment is made if it was not prepared. After
    /// [`WalError::NoSpace`] the log is open, and what it took is synced.
    ///
    /// # Panics
    /// If a record cannot follow the log: a gap between entries, a lower term, a second vote in a term.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), WalError> {
        self.check_open()?;
        let written = self.write_batches(records);
        match self.close_on_error(written)? {
            None => Ok(()),
            Some((written, source)) => Err(WalError::NoSpace { written, source }),
        }
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

    /// The job of making the next segment or the reserve, if one of them is missing and no job is running. Run it on any
    /// thread and pass its result to [`Wal::install_prepared`]. If a segment is not made in time, the log makes it itself.
    pub(crate) fn prepare_next(&mut self) -> Option<PrepareJob<D>> {
        if self.closed_by.is_some() || self.reserve_job == ReserveJob::UnderWay {
            return None;
        }
        if planted!(FullDiskNotRetried) && self.is_short_of_space {
            return None;
        }
        let (tmp, purpose) = match self.next {
            NextSegment::UnderWay => return None,
            NextSegment::Absent => {
                let header = self.new_header(self.options.segment_bytes());
                self.next = NextSegment::UnderWay;
                (tmp_path(&self.dir, &header, self.attempts), Purpose::Segment(header))
            }
            NextSegment::Failed | NextSegment::Ready(..) => {
                if self.has_reserve() || self.reserve_job == ReserveJob::Failed {
                    // Nothing is missing, or not for lack of space: what had no space was a segment for one large batch, or
                    // one that the log makes itself when it needs it.
                    self.is_short_of_space = false;
                    return None;
                }
                self.reserve_job = ReserveJob::UnderWay;
                (self.dir.join(RESERVE_TMP), Purpose::Reserve(self.options.reserve_bytes()))
            }
        };
        Some(PrepareJob::new(self.disk.clone(), tmp, purpose))
    }

    /// Whether the disk has no space for the next segment or for the reserve. Run [`Wal::prepare_next`] from time to time to
    /// learn whether that has changed. Meanwhile the log takes records as long as its segments have room.
    pub(crate) fn is_short_of_space(&self) -> bool {
        self.is_short_of_space
    }

    /// Installs the file that a [`PrepareJob`] made. A segment that comes too late is removed. A failed job is
    /// not an error yet; where it failed for lack of space, [`Wal::prepare_next`] repeats it.
    pub(crate) fn install_prepared(&mut self, prepared: PreparedSegment) -> Result<(), WalError> {
        self.check_open()?;
        let PreparedSegment { tmp, purpose, result } = prepared;
        let no_space = result.as_ref().is_err_and(DiskError::is_no_space);
        if result.is_err() {
            // If this fails, the next start removes the file.
            let _ = self.disk.remove(&tmp);
        }
        match purpose {
            Purpose::Segment(header) => {
                let is_wanted =
                    matches!(self.next, NextSegment::UnderWay) && header.sequence == self.next_sequence();
                match result {
                    Ok(()) if is_wanted => {
                        let published = publish_segment(&self.disk, &self.dir, &tmp, &header);
                        let file = self.close_on_error(published)?;
                        self.next = NextSegment::Ready(file, header);
                    }
                    Ok(()) => {
                        mark!(SegmentPreparedLate);
                        let _ = self.disk.remove(&tmp);
                    }
                    Err(_) if is_wanted && no_space => self.next = NextSegment::Absent,
                    Err(_) if is_wanted => self.next = NextSegment::Failed,
                    Err(_) => {}
                }
            }
            Purpose::Reserve(bytes) => {
                self.reserve_job = match result {
                    Err(_) if !no_space => ReserveJob::Failed,
                    _ => ReserveJob::Idle,
                };
                if result.is_ok() {
                    let renamed = self.disk.rename(&tmp, &self.dir.join(RESERVE));
                    let installed = renamed.and_then(|()| self.disk.sync_dir(&self.dir));
                    self.close_on_error(installed)?;
                    self.reserve_bytes = bytes;
                }
            }
        }
        if no_space {
            mark!(DiskNearlyFull);
            self.is_short_of_space = true;
        } else if matches!(self.next, NextSegment::Ready(..)) && self.has_reserve() {
            mark!(SpaceReturned if self.is_short_of_space);
            self.is_short_of_space = false;
        }
        Ok(())
    }

    fn has_reserve(&self) -> bool {
        self.reserve_bytes == self.options.reserve_bytes()
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

    /// Writes records in frames. Where there is no space for the next segment it returns how many records it has written.
    fn write_batches(&mut self, records: &[Record]) -> Result<Option<(usize, DiskError)>, DiskError> {
        let mut rest = records;
        while !rest.is_empty() {
            self.buffer.clear();
            begin_frame(&mut self.buffer);
            let (before, written) = (self.cursor, records.len() - rest.len());
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
            if ((bytes + FRAME_HEADER_BYTES) as u64) > room
                && let Err(no_space) = self.rotate(bytes, before)?
            {
                self.cursor = before;
                return Ok(Some((written, no_space)));
            }
            self.write_frame()?;
            self.is_marked_idle = false;
            if self.buffer.capacity() > BUFFER_BYTES_KEPT {
                self.buffer = Vec::new();
            }
        }
        Ok(None)
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
    /// and `before` is the log's position before it. The inner error: the disk has no space, and the log is unchanged.
    fn rotate(&mut self, bytes: usize, before: Cursor) -> Result<Result<(), DiskError>, DiskError> {
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
            other => match self.make_segment(needed)? {
                Ok(made) => made,
                Err(no_space) => {
                    self.next = other;
                    return Ok(Err(no_space));
                }
            },
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
        opened.map(Ok)
    }

    /// Makes the next segment, with at least this many bytes: a new file, or the reserve where the disk has no space.
    fn make_segment(&mut self, needed: u64) -> Result<MadeSegment<D::File>, DiskError> {
        let bytes = needed.max(self.options.segment_bytes()).next_multiple_of(512);
        let header = self.new_header(bytes);
        let tmp = tmp_path(&self.dir, &header, self.attempts);
        match create_segment(&self.disk, &tmp, &header) {
            // Replaces an unused segment of this name that is too small.
            Ok(()) => Ok(Ok((publish_segment(&self.disk, &self.dir, &tmp, &header)?, header))),
            Err(no_space) if no_space.is_no_space() => {
                self.is_short_of_space = true;
                // Gives back what it took of the last space. If this fails, the next start removes the file.
                let _ = self.disk.remove(&tmp);
                self.take_reserve(needed, no_space)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the reserve the next segment, in place, if it is large enough.
    fn take_reserve(&mut self, needed: u64, no_space: DiskError) -> Result<MadeSegment<D::File>, DiskError> {
        let reserve = self.dir.join(RESERVE);
        if needed > self.reserve_bytes {
            mark!(NoSpaceForSegment);
            return Ok(Err(no_space));
        }
        let file = match self.disk.open(&reserve) {
            // It was removed for a new identity.
            Err(error) if error.is_missing() => {
                self.reserve_bytes = 0;
                return Ok(Err(no_space));
            }
            opened => opened?,
        };
        let header = self.new_header(self.reserve_bytes);
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        self.reserve_bytes = 0;
        mark!(ReserveTaken);
        Ok(Ok((publish_segment(&self.disk, &self.dir, &reserve, &header)?, header)))
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
