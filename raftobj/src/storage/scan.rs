//! Reads a log, trusts nothing in it, and changes nothing.
//!
//! Segments are read in order, and the frames of each in order, as long as they are whole and linked: magic, both
//! checksums, segment id, position, chain, batch number. Behind the last such frame there are zeros (nothing was
//! written), or something to classify:
//!
//! ```text
//!   … frame 6 │ frame 7 │ ????????????????? │ frame 9 (synced 7) │ zeros
//!               the last good one            a later header that is whole
//! ```
//!
//! - A later header of this segment confirms batch 8 (`synced` ≥ 8), or a later segment holds anything but zeros:
//!   batch 8 was synced and perhaps acknowledged, and is lost. This is **damage**. The node does not start: it
//!   would vote and acknowledge without knowing what it lost (rules *synced watermark* and *unreadable is damage*).
//! - A whole frame lies where 8 belongs, but is not linked to 7: no torn write leaves that. This is **damage**, too.
//! - Otherwise nothing shows that batch 8 was ever synced: a **torn tail**, to be cut off.
//!
//! Limits:
//! - Damage confined to the last batch, which no later frame confirms, looks like a torn write. The idle marker
//!   keeps the time short in which such a batch exists.
//! - The loss of the whole newest segment looks as if it had never been made.
//!
//! Begin reading at [`scan`]. `recovery` cuts off a torn tail; `inspect` only reports it.

use super::damage::{Damage, Problem, TornTail};
use super::disk::{Disk, DiskError, DiskFile};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, confirmed_after, frame_bytes, header_at, payload_at};
use super::record::{Cursor, StoredRecord, take_stored_record};
use super::segment::{
    FIRST_SEQUENCE, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, WAL_FORMAT, segment_name, sequence_in,
};
use crate::planted::planted;
use crate::raft::types::{Incarnation, Index, NodeId};
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Where a record was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordLocation<'a> {
    pub(super) file: &'a Path,
    /// Of the frame.
    pub(super) offset: u64,
    pub(super) batch: u64,
    /// Length of the frame's payload.
    pub(super) payload_bytes: usize,
    /// Length of this record in it.
    pub(super) record_bytes: usize,
}

/// A segment that was read. Its file is closed again: a log has more segments than a process may open files.
#[derive(Debug)]
pub(super) struct ScannedSegment {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    /// How many whole frames it has.
    pub(super) frames: u64,
    /// The index of the entry that would follow its last record.
    pub(super) next: Index,
    /// The end of its last whole frame.
    pub(super) end: usize,
    /// Its last frames, which nothing confirms as synced: to be written again before they are trusted.
    pub(super) unconfirmed: Bytes,
}

/// A log as it was found.
#[derive(Debug)]
pub(super) struct LogScan {
    pub(super) segments: Vec<ScannedSegment>,
    /// After the last record.
    pub(super) cursor: Cursor,
    /// The chain value of the last whole frame.
    pub(super) chain: u32,
    /// The number of the last whole frame.
    pub(super) batch: u64,
    /// Whether that frame is an idle marker.
    pub(super) ends_idle: bool,
    pub(super) torn_tail: Option<TornTail>,
    /// In the order found. Those in files after the first problem are only indications.
    pub(super) problems: Vec<Problem>,
}

/// How to read: a start makes sure that what it reads is on the disk; an inspection changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanMode {
    Start,
    Inspect,
}

/// Reads the log in a directory and passes each record to `visit`, in order. An error concerns the directory;
/// [`LogScan::problems`] has what is wrong with its files.
pub(super) fn scan<D: Disk>(
    disk: &D,
    dir: &Path,
    owner: Option<(NodeId, Incarnation)>,
    mode: ScanMode,
    visit: &mut dyn FnMut(RecordLocation<'_>, StoredRecord),
) -> Result<LogScan, DiskError> {
    let names = disk.list(dir)?.unwrap_or_default();
    let mut scan = LogScan {
        segments: Vec::new(),
        // Nothing releases segments yet. When something does, a record in the log will name the first entry.
        cursor: Cursor::at(Index(1)),
        chain: 0,
        batch: 0,
        ends_idle: true,
        torn_tail: None,
        problems: Vec::new(),
    };
    let mut next = FIRST_SEQUENCE;
    let mut found_any = false;
    for sequence in names.iter().filter_map(|name| sequence_in(name)) {
        let path = dir.join(segment_name(sequence));
        if sequence != next {
            scan.add_problem(&path, 0, Damage::Missing { missing: next });
        }
        next = sequence.wrapping_add(1);
        found_any = true;
        let file = match mode {
            ScanMode::Start => disk.open(&path)?,
            ScanMode::Inspect => disk.open_read(&path)?,
        };
        if mode == ScanMode::Start {
            // The page cache may show bytes that are not on the disk (rule *sync before reading*).
            file.sync()?;
        }
        match read_segment(&file, sequence, owner) {
            Ok((header, image)) => scan.scan_segment(path, header, &image, visit),
            Err((offset, damage)) => scan.add_problem(&path, offset, damage),
        }
    }
    if !found_any {
        scan.add_problem(dir, 0, Damage::NoLog);
    }
    Ok(scan)
}

/// Reads a whole segment after checking its header, so that a damaged length allocates no memory.
fn read_segment<F: DiskFile>(
    file: &F,
    sequence: u64,
    owner: Option<(NodeId, Incarnation)>,
) -> Result<(SegmentHeader, Bytes), (u64, Damage)> {
    let unreadable =
        |offset| move |error: DiskError| (offset, Damage::Unreadable { reason: error.source.to_string() });
    let found = file.len().map_err(unreadable(0))?;
    let mut block = [0; SEGMENT_HEADER_BYTES];
    if found < SEGMENT_HEADER_BYTES as u64 {
        return Err((0, Damage::Header));
    }
    file.read_at(&mut block, 0).map_err(unreadable(0))?;
    let header = SegmentHeader::decode(&block).map_err(|error| match error {
        HeaderError::NotOurs => (0, Damage::NotOurs),
        HeaderError::Damaged => (0, Damage::Header),
        HeaderError::Newer(found) => (0, Damage::Newer { found, known: WAL_FORMAT }),
    })?;
    if owner.is_some_and(|owner| owner != (header.node, header.incarnation)) {
        return Err((0, Damage::Owner { node: header.node.0, incarnation: header.incarnation.0 }));
    }
    if header.sequence != sequence {
        return Err((0, Damage::Misnamed { sequence: header.sequence }));
    }
    if header.bytes != found {
        return Err((found.min(header.bytes), Damage::Length { found, made: header.bytes }));
    }
    let mut image = vec![0; found as usize];
    for (chunk, offset) in image.chunks_mut(READ_BYTES).zip((0..).step_by(READ_BYTES)) {
        file.read_at(chunk, offset).map_err(unreadable(offset))?;
    }
    Ok((header, Bytes::from(image)))
}

/// The size of one read: an unreadable place is reported to this precision.
const READ_BYTES: usize = 256 << 10;

impl LogScan {
    fn add_problem(&mut self, file: &Path, offset: u64, damage: Damage) {
        self.problems.push(Problem { file: file.to_owned(), offset, damage });
    }

    fn scan_segment(
        &mut self,
        path: PathBuf,
        header: SegmentHeader,
        image: &Bytes,
        visit: &mut dyn FnMut(RecordLocation<'_>, StoredRecord),
    ) {
        if !is_zero(&image[SEGMENT_HEADER_BYTES..]) {
            self.check_earlier_segments();
        }
        let problems = self.problems.len();
        let mut end = SEGMENT_HEADER_BYTES;
        let mut frames = 0;
        // Frames of this segment that no later frame has confirmed yet: batch and offset.
        let mut unconfirmed: VecDeque<(u64, usize)> = VecDeque::new();
        while let Some((frame, payload)) = frame_at(image, end, header.id) {
            let follows = frame.previous == self.chain || planted!(ChainNotChecked);
            let is_linked = follows && frame.batch == self.batch.wrapping_add(1);
            // After a problem the chain is interrupted; the first frame of the next segment starts it again.
            if !is_linked && (frames > 0 || self.problems.is_empty()) {
                let damage = Damage::Chain { previous: self.batch, found: frame.batch };
                self.add_problem(&path, end as u64, damage);
                break;
            }
            unconfirmed.push_back((frame.batch, end));
            while unconfirmed.front().is_some_and(|(batch, _)| *batch <= frame.synced) {
                unconfirmed.pop_front();
            }
            let (offset, payload_bytes) = (end as u64, payload.len());
            let location =
                RecordLocation { file: &path, offset, batch: frame.batch, payload_bytes, record_bytes: 0 };
            if let Err(reason) = self.read_records(location, frames == 0, payload, visit) {
                self.add_problem(&path, offset, Damage::Record { batch: frame.batch, reason });
            }
            self.chain = frame.checksum;
            self.batch = frame.batch;
            self.ends_idle = payload_bytes == 0;
            frames += 1;
            end += frame_bytes(payload_bytes);
        }
        if self.problems.len() == problems && !is_zero(&image[end..]) {
            self.classify_tail(&path, image, end, header.id);
        }
        let from = unconfirmed.front().map_or(end, |(_, from)| *from);
        // Copied: a slice would keep the whole segment in memory.
        let unconfirmed = Bytes::copy_from_slice(&image[from..end]);
        let next = self.cursor.next;
        self.segments.push(ScannedSegment { path, header, frames, next, end, unconfirmed });
    }

    /// A segment is in use, so all earlier segments were synced completely: nothing in them can be a torn tail.
    fn check_earlier_segments(&mut self) {
        let batch = self.batch.wrapping_add(1);
        if let Some(tail) = self.torn_tail.take() {
            self.add_problem(&tail.file, tail.offset, Damage::Batch { batch: tail.batch });
        } else if self.problems.is_empty()
            && let Some(before) = self.segments.last()
            && before.frames == 0
        {
            let path = before.path.clone();
            self.add_problem(&path, SEGMENT_HEADER_BYTES as u64, Damage::Batch { batch });
        }
    }

    /// Decides whether the bytes behind the last whole frame of a segment are damage or a torn tail.
    fn classify_tail(&mut self, path: &Path, image: &Bytes, end: usize, segment: u64) {
        let batch = self.batch.wrapping_add(1);
        match confirmed_after(image, end, segment, self.batch) {
            Some(synced) if synced >= batch && !planted!(DamageTakenForTail) => {
                self.add_problem(path, end as u64, Damage::Batch { batch })
            }
            _ => self.torn_tail = Some(TornTail { file: path.to_owned(), offset: end as u64, batch }),
        }
    }

    /// Reads the records of a frame. The first record of a segment is its opening, and no other record is.
    fn read_records(
        &mut self,
        location: RecordLocation<'_>,
        is_first_frame: bool,
        mut payload: Bytes,
        visit: &mut dyn FnMut(RecordLocation<'_>, StoredRecord),
    ) -> Result<(), String> {
        let mut expects_opening = is_first_frame;
        while !payload.is_empty() {
            let before = payload.len();
            let stored = take_stored_record(&mut payload).map_err(|error| error.to_string())?;
            let record_bytes = before - payload.len();
            match (&stored, expects_opening) {
                (StoredRecord::Opening(index), true) if self.problems.is_empty() => {
                    self.cursor.open_segment(*index).map_err(|error| error.to_string())?;
                }
                (StoredRecord::Opening(index), true) => self.cursor = Cursor::at(*index),
                (StoredRecord::Record(record), false) => {
                    self.cursor.advance(record).map_err(|error| error.to_string())?;
                }
                (StoredRecord::Opening(_), false) => {
                    return Err("an opening in the middle of a segment".to_owned());
                }
                (StoredRecord::Record(_), true) => {
                    return Err("the segment does not begin with an opening".to_owned());
                }
            }
            expects_opening = false;
            visit(RecordLocation { record_bytes, ..location }, stored);
        }
        if expects_opening { Err("the segment does not begin with an opening".to_owned()) } else { Ok(()) }
    }
}

/// The whole frame at an offset. Its payload is a copy: a slice would keep the segment in memory as long as one of
/// its entries.
fn frame_at(image: &Bytes, offset: usize, segment: u64) -> Option<(FrameHeader, Bytes)> {
    let header = header_at(image, offset, segment)?;
    let payload = payload_at(image, offset, &header)?;
    Some((header, Bytes::copy_from_slice(&payload)))
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<FRAME_HEADER_BYTES>();
    words.iter().all(|word| *word == [0; FRAME_HEADER_BYTES]) && rest.iter().all(|byte| *byte == 0)
}
