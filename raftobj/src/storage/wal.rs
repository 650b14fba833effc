//! The log that is written: one frame a batch, a sync when asked, and nothing more after the first error.
//!
//! Every call here blocks on the disk and is made by one thread. [`Wal::append`] writes, [`Wal::sync`] makes
//! what was written durable: what a caller tells others rests on the second (rule 1). The next segment can be
//! made elsewhere meanwhile: [`Wal::prepare_next`].
//!
//! Invariants:
//! - `synced <= batch`; all frames up to `synced` were covered by a sync that succeeded.
//! - A segment is synced whole before the next one gets its first frame.
//! - Behind the last batch there is room for an idle marker.
//! - After an error of append or sync nothing is written any more (rules 3 and 4): the file's state is
//!   unknowable until it is read again.

use super::disk::{Disk, DiskError, DiskFile};
use super::frame::{FRAME_HEADER_BYTES, Placement, begin_frame, frame_bytes, seal_frame};
use super::record::{Cursor, Record, put_opening, put_record};
use super::recovery::{Mode, Problem, Survey, Surveyed, TornTail, survey};
use super::replay::Replay;
use super::segment::{
    FIRST_SEQUENCE, SEGMENT_HEADER_BYTES, SegmentHeader, fill_with_zeros, is_unfinished, make, publish,
    segment_name,
};
use super::{Owner, WalOptions};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Entry, HardState, Index};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A batch is cut into frames of about this size, so that neither buffers nor segments grow without a bound.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// A buffer that grew beyond this is given back after its batch.
const BUFFER_BYTES_KEPT: usize = 4 << 20;
/// The opening frame and the idle marker beside a batch in a segment, generously.
const SEGMENT_OVERHEAD_BYTES: usize = SEGMENT_HEADER_BYTES + 4 * FRAME_HEADER_BYTES;

/// The log on disk, open for appending.
#[derive(Debug)]
pub(crate) struct Wal<D: Disk> {
    disk: D,
    dir: PathBuf,
    owner: Owner,
    options: WalOptions,
    /// The segment that is written; `None` before the first batch ever.
    active: Option<Active<D::File>>,
    next: Next<D::File>,
    /// Segments that are full, the oldest first: what a snapshot will let go.
    closed: Vec<Closed>,
    cursor: Cursor,
    chain: u32,
    batch: u64,
    synced: u64,
    /// Whether the last frame is an idle marker (or the log is empty).
    marked: bool,
    /// How many segments were begun in this boot: their ids and temporary names differ by it.
    attempts: u64,
    buffer: Vec<u8>,
    failed: Option<Arc<DiskError>>,
}

#[derive(Debug)]
struct Active<F> {
    file: F,
    header: SegmentHeader,
    /// Where the next frame begins.
    end: u64,
}

/// A segment that is full. It can go when a snapshot covers all entries before `next`.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "snapshots will release segments by it")]
struct Closed {
    sequence: u64,
    next: Index,
}

/// The segment after the active one.
#[derive(Debug)]
enum Next<F> {
    Absent,
    /// A job was handed out.
    UnderWay,
    /// The job failed; the log makes the segment itself when it needs it, and meets the error then.
    Failed,
    Ready(F, SegmentHeader),
}

/// What a log held when it was opened.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Term and vote in force.
    pub(crate) hard_state: HardState,
    /// The index of the first entry that the log can hold: what is before it was released.
    #[allow(dead_code, reason = "it is 1 until snapshots release segments")]
    pub(crate) first: Index,
    /// From `first` on, without gaps. All of them are durable.
    pub(crate) entries: Vec<Entry>,
    /// A tail that a crash left torn, and that is cut off now.
    pub(crate) torn_tail: Option<TornTail>,
}

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The disk failed. Nothing is known to be wrong with the log.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log is not as it was written, or not ours. Nothing was changed.
    #[error("{problem}; nothing was changed: {}", problem.damage.advice())]
    Refused { problem: Problem },
}

/// The log takes no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    /// The disk failed in this call: what was written since the last good sync may or may not be on the disk.
    #[error("{0}; what was being written may be lost: see to the disk, then start the node again")]
    Failed(#[source] Arc<DiskError>),
    /// The disk failed in an earlier call, and nothing was done.
    #[error("the log was closed by an earlier error: {0}")]
    Closed(#[source] Arc<DiskError>),
}

impl<D: Disk> Wal<D> {
    /// Makes the log of a directory that has none: one empty segment, durable on return. `Wal::open` follows.
    pub(super) fn create(disk: &D, dir: &Path, owner: Owner, options: WalOptions) -> Result<(), DiskError> {
        let header = SegmentHeader::new(owner, FIRST_SEQUENCE, 0, options.segment_bytes());
        let made = unfinished_path(dir, &header, 0);
        make(disk, &made, &header)?;
        publish(disk, dir, &made, &header)?;
        Ok(())
    }

    /// Reads the log in a directory that the caller has locked, and makes it ready for appending.
    ///
    /// On return all that is in [`Recovered`] is durable: it was synced before it was read, and what nothing
    /// vouches for was written once more (after a failed sync the page cache shows what the disk may not
    /// have). A torn tail is overwritten by zeros. Where anything else is wrong nothing is changed.
    pub(crate) fn open(
        disk: D,
        dir: &Path,
        owner: Owner,
        options: WalOptions,
    ) -> Result<(Wal<D>, Recovered), OpenError> {
        assert!(owner.boot.0 > 0, "the log is opened before the start is counted");
        // A process that was killed may have left names that are not durable (rule 10).
        disk.sync_dir(dir)?;
        let mut replay = Replay::default();
        let identity = Some((owner.node, owner.incarnation));
        let mut found =
            survey(&disk, dir, identity, Mode::Start, &mut |place, stored| replay.take(place, stored))?;
        if !found.problems.is_empty() {
            mark!(DamageRefused);
            return Err(OpenError::Refused { problem: found.problems.remove(0) });
        }
        for name in disk.list(dir)?.unwrap_or_default().iter().filter(|name| is_unfinished(name)) {
            mark!(LeftoverRemoved);
            disk.remove(&dir.join(name))?;
        }
        repair(&found)?;

        let cursor = found.cursor;
        assert_eq!(replay.hard_state, cursor.hard_state, "the replay missed a hard state");
        let recovered = Recovered {
            hard_state: replay.hard_state,
            first: cursor.first,
            entries: replay.into_entries(),
            torn_tail: found.torn_tail,
        };
        let held = cursor.next.0 - cursor.first.0;
        assert_eq!(recovered.entries.len() as u64, held, "the replay missed an entry");

        let mut wal = Wal {
            disk,
            dir: dir.to_owned(),
            owner,
            options,
            active: None,
            next: Next::Absent,
            closed: Vec::new(),
            cursor,
            chain: found.chain,
            batch: found.batch,
            synced: found.batch,
            marked: found.idle,
            attempts: 0,
            buffer: Vec::new(),
            failed: None,
        };
        let mut before = cursor.first;
        for Surveyed { file, header, frames, next, end, .. } in found.segments {
            if frames > 0 {
                mark!(SegmentsRecovered if wal.active.is_some());
                wal.close_active(before);
                before = next;
                wal.active = Some(Active { file, header, end: end as u64 });
            } else if let Next::Absent = wal.next {
                wal.next = Next::Ready(file, header);
            }
        }
        Ok((wal, recovered))
    }

    /// Writes records behind those written before: durable after the next [`Wal::sync`] that succeeds.
    ///
    /// An entry at an index that the log holds removes that one and all after it. Blocks on the disk longer
    /// where a segment is full: its end is synced, and the next one made if it was not prepared.
    ///
    /// # Panics
    /// Where a record cannot follow the log: a gap between entries, a term that goes back, a second vote.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), WalError> {
        self.usable()?;
        let written = self.write_batches(records);
        self.settle(written)
    }

    /// Makes all that was appended durable. Never tried again after an error: what a second try says of the
    /// same pages means nothing (rule 4).
    pub(crate) fn sync(&mut self) -> Result<(), WalError> {
        self.usable()?;
        let synced = self.sync_active();
        self.settle(synced)
    }

    /// Says on the disk that everything before is synced, so that damage to the last batch is told from a torn
    /// tail (rule 6). For when nothing follows a sync; does nothing where it was said already or where
    /// something is unsynced. The marker itself needs no sync: if it is lost, nothing is.
    pub(crate) fn mark_idle(&mut self) -> Result<(), WalError> {
        self.usable()?;
        if self.marked || self.synced < self.batch {
            return Ok(());
        }
        self.buffer.clear();
        begin_frame(&mut self.buffer);
        let written = self.write_frame();
        self.marked = true;
        mark!(IdleMarked);
        self.settle(written)
    }

    /// The work of making the next segment, if nobody does it yet. Run it on any thread and hand its result
    /// to [`Wal::install_prepared`]; if it is not there in time, the log does it itself.
    pub(crate) fn prepare_next(&mut self) -> Option<PrepareJob<D>> {
        if self.failed.is_some() || !matches!(self.next, Next::Absent) {
            return None;
        }
        let header = self.next_header(self.options.segment_bytes());
        self.next = Next::UnderWay;
        let made = unfinished_path(&self.dir, &header, self.attempts);
        Some(PrepareJob { disk: self.disk.clone(), made, header })
    }

    /// Takes the segment that a [`PrepareJob`] made. One that comes too late is removed; a job that failed
    /// costs nothing yet.
    pub(crate) fn install_prepared(&mut self, prepared: PreparedSegment) -> Result<(), WalError> {
        self.usable()?;
        let wanted = matches!(self.next, Next::UnderWay) && prepared.header.sequence == self.next_sequence();
        match prepared.result {
            Ok(()) if wanted => {
                let published = publish(&self.disk, &self.dir, &prepared.made, &prepared.header);
                let (_, file) = self.settle(published)?;
                self.next = Next::Ready(file, prepared.header);
            }
            result => {
                mark!(SegmentPreparedLate if result.is_ok());
                // Where this fails the next start removes it.
                let _ = self.disk.remove(&prepared.made);
                if wanted && result.is_err() {
                    self.next = Next::Failed;
                }
            }
        }
        Ok(())
    }

    /// The index of the last entry, durable or not; zero where there is none.
    #[cfg(test)]
    pub(crate) fn last_index(&self) -> Index {
        self.cursor.next.previous()
    }

    /// The segments that are full, and before which index the log stood at the end of each.
    #[cfg(test)]
    pub(crate) fn closed(&self) -> Vec<(u64, Index)> {
        self.closed.iter().map(|closed| (closed.sequence, closed.next)).collect()
    }

    fn usable(&self) -> Result<(), WalError> {
        match &self.failed {
            None => Ok(()),
            Some(earlier) => Err(WalError::Closed(earlier.clone())),
        }
    }

    fn settle<T>(&mut self, result: Result<T, DiskError>) -> Result<T, WalError> {
        result.map_err(|error| {
            mark!(LogClosedByError);
            let error = Arc::new(error);
            self.failed = Some(error.clone());
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
                if let Err(disorder) = self.cursor.advance(record) {
                    panic!("{disorder}");
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
            self.marked = false;
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
        let placement = Placement {
            segment: active.header.id,
            offset: active.end,
            previous: self.chain,
            batch,
            synced: self.synced,
        };
        let chain = seal_frame(&mut self.buffer, 0, placement);
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

    /// Goes on in the next segment, with room for a frame of so many bytes. The buffer holds that frame, and
    /// `before` is the log without it.
    fn rotate(&mut self, bytes: usize, before: Cursor) -> Result<(), DiskError> {
        // What is behind a header proves that all before was complete: see `segment`.
        if !planted!(RotationWithoutSync) {
            self.sync_active()?;
        }
        let needed = (SEGMENT_OVERHEAD_BYTES + bytes) as u64;
        let (file, header) = match std::mem::replace(&mut self.next, Next::Absent) {
            Next::Ready(file, header) if needed <= header.bytes => {
                mark!(SegmentReady);
                (file, header)
            }
            _ => {
                let bytes = needed.max(self.options.segment_bytes()).next_multiple_of(512);
                let header = self.next_header(bytes);
                let made = unfinished_path(&self.dir, &header, self.attempts);
                make(&self.disk, &made, &header)?;
                // An unused segment of this name, too small, is replaced.
                let (_, file) = publish(&self.disk, &self.dir, &made, &header)?;
                (file, header)
            }
        };
        mark!(SegmentRotated if self.active.is_some());
        self.close_active(before.next);
        self.active = Some(Active { file, header, end: SEGMENT_HEADER_BYTES as u64 });

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

    fn close_active(&mut self, next: Index) {
        if let Some(active) = self.active.take() {
            self.closed.push(Closed { sequence: active.header.sequence, next });
        }
    }

    fn next_sequence(&self) -> u64 {
        self.active.as_ref().map_or(FIRST_SEQUENCE, |active| active.header.sequence + 1)
    }

    fn next_header(&mut self, bytes: u64) -> SegmentHeader {
        self.attempts += 1;
        SegmentHeader::new(self.owner, self.next_sequence(), self.attempts, bytes)
    }
}

/// The work of making a segment: some milliseconds of writing zeros and syncing them.
#[derive(Debug)]
pub(crate) struct PrepareJob<D: Disk> {
    disk: D,
    made: PathBuf,
    header: SegmentHeader,
}

/// What a [`PrepareJob`] came to.
#[derive(Debug)]
pub(crate) struct PreparedSegment {
    made: PathBuf,
    header: SegmentHeader,
    /// The error, if any, is for telling: the log meets it again when it needs the segment.
    pub(crate) result: Result<(), DiskError>,
}

impl<D: Disk> PrepareJob<D> {
    /// Does it, blocking on the disk.
    pub(crate) fn run(self) -> PreparedSegment {
        let result = make(&self.disk, &self.made, &self.header);
        PreparedSegment { made: self.made, header: self.header, result }
    }
}

/// Brings on the disk what was found: unvouched frames are written again, a torn tail becomes zeros.
fn repair<F: DiskFile>(found: &Survey<F>) -> Result<(), DiskError> {
    for segment in &found.segments {
        let torn = found.torn_tail.as_ref().is_some_and(|cut| cut.file == segment.path);
        if !segment.unvouched.is_empty() {
            mark!(UnvouchedRewritten);
            let start = segment.end - segment.unvouched.len();
            segment.file.write_at(&segment.unvouched, start as u64)?;
        }
        if torn {
            mark!(TornTailCut);
            fill_with_zeros(&segment.file, segment.end as u64, segment.header.bytes)?;
        }
        if torn || !segment.unvouched.is_empty() {
            segment.file.sync()?;
        }
    }
    Ok(())
}

fn unfinished_path(dir: &Path, header: &SegmentHeader, attempt: u64) -> PathBuf {
    dir.join(format!("{}.{attempt}.tmp", segment_name(header.sequence)))
}
