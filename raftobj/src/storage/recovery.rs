//! Reads a log back, believes nothing, and changes nothing.
//!
//! The segments are read in order, and of each its frames in order, as far as they are whole and linked: magic,
//! both checksums, segment id, position, chain, batch number. What comes after the last such frame is zeros
//! (nothing was written there), or it is judged:
//!
//! ```text
//!   … frame 6 │ frame 7 │ ????????????????? │ frame 9 (synced 7) │ zeros
//!               the last good one            a later header that reads whole
//! ```
//!
//! - Some later header of this segment vouches for batch 8 (`synced` ≥ 8), or a later segment holds anything but
//!   zeros: batch 8 was synced, perhaps acknowledged, and is gone. That is **damage**. The node does not start:
//!   it would vote and count as if it had what it lost (rules 6 and 14).
//! - A whole frame lies where 8 belongs but is not linked to 7: no torn write leaves that. **Damage**, too.
//! - Otherwise 8 was never known to be synced, here or to anybody: a **torn tail**, to be cut.
//!
//! Limits: damage confined to the last batch that nothing vouches for cannot be told from a torn write, and the
//! loss of the newest segment's whole file cannot be told from its never having been made. The idle marker keeps
//! the first of these windows short.
//!
//! [`survey`] is the way in. `Wal::open` cuts what it calls torn; `inspect` only tells.

use super::disk::{Disk, DiskError, DiskFile};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, frame_bytes, header_at, payload_at, vouched_after};
use super::record::{Cursor, Stored, take_stored};
use super::segment::{
    FIRST_SEQUENCE, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, WAL_FORMAT, segment_name, sequence_in,
};
use crate::planted::planted;
use crate::raft::types::{Incarnation, Index, NodeId};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

/// Something in a data directory that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The byte in it at which what is wrong begins.
    pub offset: u64,
    /// What is wrong.
    pub damage: Damage,
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
        /// What the operating system said.
        reason: String,
    },
    /// It does not begin as files of raftobj do.
    #[error("this is not a file of raftobj")]
    NotOurs,
    /// A later version of raftobj wrote it.
    #[error("it has format {found}, and this version reads up to {known}")]
    Newer {
        /// The file's format.
        found: u32,
        /// The newest that this version reads.
        known: u32,
    },
    /// Its header fails its checksum.
    #[error("its header is damaged (checksum)")]
    Header,
    /// It belongs to another node, or to another life of this node's disk.
    #[error("it belongs to node {node:016x}, incarnation {incarnation:016x}, and not to this directory")]
    Owner {
        /// The node id in the file.
        node: u64,
        /// The incarnation in the file.
        incarnation: u64,
    },
    /// It stands under the name of another file.
    #[error("by its header it is file number {sequence} of the log, which is not what its name says")]
    Misnamed {
        /// The number in its header.
        sequence: u64,
    },
    /// It is shorter or longer than it was made.
    #[error("it is {found} bytes long and was made with {made}")]
    Length {
        /// Its length now.
        found: u64,
        /// Its length by its header.
        made: u64,
    },
    /// A file of the log before this one is not there.
    #[error("the file before it, number {missing} of the log, is missing")]
    Missing {
        /// The number of the missing file.
        missing: u64,
    },
    /// There is a directory, and no log in it.
    #[error("there is no log here, although the directory was in use")]
    NoLog,
    /// There is a log, and nothing says whose.
    #[error("there is a log here, and no `identity` beside it")]
    NoIdentity,
    /// The identity is whole, but what is in it is not what this version writes.
    #[error("it cannot be understood: {reason}")]
    Identity {
        /// What is wrong with it.
        reason: String,
    },
    /// A batch that was synced is not readable any more.
    #[error("batch {batch} was synced, and is damaged or lost")]
    Batch {
        /// The batch that should be here.
        batch: u64,
    },
    /// A whole batch, but not the one that follows the one before.
    #[error("batch {found} is here and does not follow batch {previous}: writes were lost or misdirected")]
    Chain {
        /// The batch before this place.
        previous: u64,
        /// The batch at this place.
        found: u64,
    },
    /// A batch is whole, but what is in it is not what this version writes.
    #[error("batch {batch} cannot be understood: {reason}")]
    Record {
        /// The batch.
        batch: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl Damage {
    /// What a person can do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Damage::Newer { .. } => {
                "start the node with the version of raftobj that wrote it, or a later one"
            }
            Damage::Owner { .. } => "give each node a data directory of its own, and its own files back",
            _ => {
                "see all that is wrong with raftobj::inspect::verify (the example `inspect verify DIR`) and give the \
                 disk's last bytes back; no older copy, which has forgotten votes and entries: the other nodes go on \
                 without this one"
            }
        }
    }
}

/// Where a record was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) file: &'a Path,
    /// Of the frame.
    pub(super) offset: u64,
    pub(super) batch: u64,
    /// Bytes of the frame's payload, and those of this record in it.
    pub(super) payload_bytes: usize,
    pub(super) record_bytes: usize,
}

/// A segment that was read.
#[derive(Debug)]
pub(super) struct Surveyed<F> {
    pub(super) path: PathBuf,
    pub(super) file: F,
    pub(super) header: SegmentHeader,
    /// Whole frames in it.
    pub(super) frames: u64,
    /// The index before which the log stood at its end.
    pub(super) next: Index,
    /// The end of its last whole frame.
    pub(super) end: usize,
    /// What of it must be written once more to be trusted: its frames that nothing vouches for.
    pub(super) unvouched: Bytes,
}

/// A torn tail: what a crash left of batches that were never synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Where the tail begins: everything from here to the end of the file is given up.
    pub offset: u64,
    /// The number of the first batch that is torn.
    pub batch: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornTail { file, offset, batch } = self;
        write!(f, "{} at byte {offset}: batch {batch} was being written, and never synced", file.display())
    }
}

/// A log as it was found.
#[derive(Debug)]
pub(super) struct Survey<F> {
    pub(super) segments: Vec<Surveyed<F>>,
    /// After the last record.
    pub(super) cursor: Cursor,
    /// The last whole frame's link and number.
    pub(super) chain: u32,
    pub(super) batch: u64,
    /// Whether that frame is an idle marker.
    pub(super) idle: bool,
    pub(super) torn_tail: Option<TornTail>,
    /// In the order found. After the first, what is told of later files is only indicative.
    pub(super) problems: Vec<Problem>,
}

/// How to read: a start makes sure that what it reads is on the disk, an inspection touches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Start,
    Inspect,
}

/// Reads the log in a directory; `visit` is given each record in order. An error is one of the directory;
/// what is wrong with the files is in [`Survey::problems`].
pub(super) fn survey<D: Disk>(
    disk: &D,
    dir: &Path,
    owner: Option<(NodeId, Incarnation)>,
    mode: Mode,
    visit: &mut dyn FnMut(Place<'_>, Stored),
) -> Result<Survey<D::File>, DiskError> {
    let names = disk.list(dir)?.unwrap_or_default();
    let mut survey = Survey {
        segments: Vec::new(),
        // Nothing releases segments yet. When something does, its mark in the log says where the log begins.
        cursor: Cursor::at(Index(1)),
        chain: 0,
        batch: 0,
        idle: true,
        torn_tail: None,
        problems: Vec::new(),
    };
    let mut next = FIRST_SEQUENCE;
    let mut found_any = false;
    for sequence in names.iter().filter_map(|name| sequence_in(name)) {
        let path = dir.join(segment_name(sequence));
        if sequence != next {
            survey.problem(&path, 0, Damage::Missing { missing: next });
        }
        next = sequence.wrapping_add(1);
        found_any = true;
        let file = match mode {
            Mode::Start => disk.open(&path)?,
            Mode::Inspect => disk.open_read(&path)?,
        };
        if mode == Mode::Start {
            // Rule 4: what the page cache shows may not be on the disk, so sync before reading.
            file.sync()?;
        }
        match read_segment(&file, sequence, owner) {
            Ok((header, image)) => survey.read(path, file, header, &image, visit),
            Err((offset, damage)) => survey.problem(&path, offset, damage),
        }
    }
    if !found_any {
        survey.problem(dir, 0, Damage::NoLog);
    }
    Ok(survey)
}

/// Reads a segment whole, once its header allows to: a damaged length costs no memory.
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

/// One read: an unreadable place is named to this precision.
const READ_BYTES: usize = 256 << 10;

impl<F> Survey<F> {
    fn problem(&mut self, file: &Path, offset: u64, damage: Damage) {
        self.problems.push(Problem { file: file.to_owned(), offset, damage });
    }

    fn read(
        &mut self,
        path: PathBuf,
        file: F,
        header: SegmentHeader,
        image: &Bytes,
        visit: &mut dyn FnMut(Place<'_>, Stored),
    ) {
        if !is_zero(&image[SEGMENT_HEADER_BYTES..]) {
            self.judge_what_is_before();
        }
        let problems = self.problems.len();
        let mut end = SEGMENT_HEADER_BYTES;
        let mut frames = 0;
        // Frames of this segment that nothing vouches for yet.
        let mut unvouched: VecDeque<(u64, usize)> = VecDeque::new();
        while let Some((frame, payload)) = frame_at(image, end, header.id) {
            let follows = frame.previous == self.chain || planted!(ChainNotChecked);
            let linked = follows && frame.batch == self.batch.wrapping_add(1);
            // After a problem the thread is lost, and taken up where the next segment begins.
            if !linked && (frames > 0 || self.problems.is_empty()) {
                let damage = Damage::Chain { previous: self.batch, found: frame.batch };
                self.problem(&path, end as u64, damage);
                break;
            }
            unvouched.push_back((frame.batch, end));
            while unvouched.front().is_some_and(|(batch, _)| *batch <= frame.synced) {
                unvouched.pop_front();
            }
            let (offset, payload_bytes) = (end as u64, payload.len());
            let place = Place { file: &path, offset, batch: frame.batch, payload_bytes, record_bytes: 0 };
            if let Err(reason) = self.read_payload(place, frames == 0, payload, visit) {
                self.problem(&path, offset, Damage::Record { batch: frame.batch, reason });
            }
            self.chain = frame.checksum;
            self.batch = frame.batch;
            self.idle = payload_bytes == 0;
            frames += 1;
            end += frame_bytes(payload_bytes);
        }
        if self.problems.len() == problems && !is_zero(&image[end..]) {
            self.judge_tail(&path, image, end, header.id);
        }
        let from = unvouched.front().map_or(end, |(_, from)| *from);
        // Copied: a slice would keep the whole segment in memory.
        let unvouched = Bytes::copy_from_slice(&image[from..end]);
        self.segments.push(Surveyed { path, file, header, frames, next: self.cursor.next, end, unvouched });
    }

    /// A segment is in use, so that all before it was synced whole: nothing there can be a torn tail.
    fn judge_what_is_before(&mut self) {
        let batch = self.batch.wrapping_add(1);
        if let Some(cut) = self.torn_tail.take() {
            self.problem(&cut.file, cut.offset, Damage::Batch { batch: cut.batch });
        } else if self.problems.is_empty()
            && let Some(before) = self.segments.last()
            && before.frames == 0
        {
            let path = before.path.clone();
            self.problem(&path, SEGMENT_HEADER_BYTES as u64, Damage::Batch { batch });
        }
    }

    /// Something is behind the last whole frame of a segment.
    fn judge_tail(&mut self, path: &Path, image: &Bytes, end: usize, segment: u64) {
        let batch = self.batch.wrapping_add(1);
        match vouched_after(image, end, segment, self.batch) {
            Some(synced) if synced >= batch && !planted!(DamageTakenForTail) => {
                self.problem(path, end as u64, Damage::Batch { batch })
            }
            _ => self.torn_tail = Some(TornTail { file: path.to_owned(), offset: end as u64, batch }),
        }
    }

    /// Reads the records of a frame. The first frame of a segment is its opening, and no other is.
    fn read_payload(
        &mut self,
        place: Place<'_>,
        first: bool,
        mut payload: Bytes,
        visit: &mut dyn FnMut(Place<'_>, Stored),
    ) -> Result<(), String> {
        let mut opening = first;
        while !payload.is_empty() {
            let before = payload.len();
            let stored = take_stored(&mut payload).map_err(|error| error.to_string())?;
            let record_bytes = before - payload.len();
            match (&stored, opening) {
                (Stored::Opening(index), true) if self.problems.is_empty() => {
                    self.cursor.open(*index).map_err(|error| error.to_string())?;
                }
                (Stored::Opening(index), true) => self.cursor = Cursor::at(*index),
                (Stored::Record(record), false) => {
                    self.cursor.advance(record).map_err(|error| error.to_string())?;
                }
                (Stored::Opening(_), false) => return Err("an opening in the middle of a segment".to_owned()),
                (Stored::Record(_), true) => {
                    return Err("the segment does not begin with an opening".to_owned());
                }
            }
            opening = false;
            visit(Place { record_bytes, ..place }, stored);
        }
        if opening { Err("the segment does not begin with an opening".to_owned()) } else { Ok(()) }
    }
}

/// The whole frame at an offset. Its payload is a copy: a slice would keep the segment in memory while one of
/// its entries lives.
fn frame_at(image: &Bytes, offset: usize, segment: u64) -> Option<(FrameHeader, Bytes)> {
    let header = header_at(image, offset, segment)?;
    let payload = payload_at(image, offset, &header)?;
    Some((header, Bytes::copy_from_slice(&payload)))
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<FRAME_HEADER_BYTES>();
    words.iter().all(|word| *word == [0; FRAME_HEADER_BYTES]) && rest.iter().all(|byte| *byte == 0)
}
