//! The bytes of a batch of records in a segment.
//!
//! | at | bytes | field | why |
//! |---|---|---|---|
//! | 0 | 4 | magic `rfrm` | finds frames behind a damaged one |
//! | 4 | 4 | checksum of bytes 8 to 48 | a header counts even if its payload is torn |
//! | 8 | 4 | checksum of payload and padding | damage is detected |
//! | 12 | 4 | chain: the header checksum of the previous frame | lost writes and left-over bytes are detected (rule *chain*) |
//! | 16 | 4 | payload length, without padding | the next frame begins behind it |
//! | 20 | 4 | position in the file, in units of 16 | misdirected writes are detected |
//! | 24 | 8 | id of the segment | frames of another file, or of an earlier use of this one, are ignored |
//! | 32 | 8 | batch number, one more than the previous frame's | names a batch in `synced` and in messages |
//! | 40 | 8 | `synced`: the highest batch known to be synced when this was written | distinguishes damage from a torn tail (rule *synced watermark*) |
//! | 48 | | payload, then zeros up to the next multiple of 16 | frames can be searched at multiples of 16 |
//!
//! Checksums are CRC32C; integers are little-endian. A frame without payload is an idle marker: it only confirms
//! that everything before it is synced. All functions here are pure, and no bytes make them panic.

use crate::planted::planted;
use bytes::Bytes;

/// Length of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 48;
/// Frames begin at multiples of this.
pub(super) const FRAME_ALIGN_BYTES: usize = 16;
/// The longest payload that a frame can hold.
pub(super) const PAYLOAD_BYTES_MAX: usize = u32::MAX as usize - FRAME_ALIGN_BYTES;

const MAGIC: [u8; 4] = *b"rfrm";

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// The next frame repeats it as its `previous`.
    pub(super) checksum: u32,
    pub(super) payload_checksum: u32,
    pub(super) previous: u32,
    pub(super) payload_bytes: u32,
    pub(super) batch: u64,
    pub(super) synced: u64,
}

/// Length of a frame with a payload of this length: header and padding included.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(FRAME_ALIGN_BYTES)
}

/// Makes room for a frame's header at the end of the buffer; the caller appends the payload. Returns the start
/// of the frame, for [`seal_frame`].
pub(super) fn begin_frame(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.resize(start + FRAME_HEADER_BYTES, 0);
    start
}

/// The place of a frame in its file and in the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct FramePosition {
    pub(super) segment: u64,
    /// Byte in the file at which the frame begins.
    pub(super) offset: u64,
    pub(super) previous: u32,
    pub(super) batch: u64,
    pub(super) synced: u64,
}

/// Pads the payload and fills in the header. Returns the chain value for the next frame.
pub(super) fn seal_frame(buffer: &mut Vec<u8>, start: usize, at: FramePosition) -> u32 {
    let payload_bytes = buffer.len() - start - FRAME_HEADER_BYTES;
    assert!(payload_bytes <= PAYLOAD_BYTES_MAX, "a payload of {payload_bytes} bytes is too long for a frame");
    assert!(at.synced < at.batch, "batch {} cannot confirm batch {}", at.batch, at.synced);
    buffer.resize(start + frame_bytes(payload_bytes), 0);
    let (header, payload) = buffer[start..].split_at_mut(FRAME_HEADER_BYTES);
    header[0..4].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    header[12..16].copy_from_slice(&at.previous.to_le_bytes());
    header[16..20].copy_from_slice(&(payload_bytes as u32).to_le_bytes());
    header[20..24].copy_from_slice(&position(at.offset).to_le_bytes());
    header[24..32].copy_from_slice(&at.segment.to_le_bytes());
    header[32..40].copy_from_slice(&at.batch.to_le_bytes());
    header[40..48].copy_from_slice(&at.synced.to_le_bytes());
    let checksum = crc32c::crc32c(&header[8..]);
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// Reads the header at an offset of a segment's bytes; `None` if there is none that belongs to this segment and
/// place.
pub(super) fn header_at(image: &[u8], offset: usize, segment: u64) -> Option<FrameHeader> {
    let header: &[u8; FRAME_HEADER_BYTES] = image.get(offset..)?.first_chunk()?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    if header[0..4] != MAGIC
        || long(24) != segment
        || word(20) != position(offset as u64)
        || word(4) != crc32c::crc32c(&header[8..])
    {
        return None;
    }
    Some(FrameHeader {
        checksum: word(4),
        payload_checksum: word(8),
        previous: word(12),
        payload_bytes: word(16),
        batch: long(32),
        synced: long(40),
    })
}

/// The payload behind a header read at `offset`, a slice of the image; `None` if it is torn or damaged.
pub(super) fn payload_at(image: &Bytes, offset: usize, header: &FrameHeader) -> Option<Bytes> {
    let payload_bytes = usize::try_from(header.payload_bytes).ok()?;
    let start = offset + FRAME_HEADER_BYTES;
    let padded = image.get(start..)?.get(..payload_bytes.checked_next_multiple_of(FRAME_ALIGN_BYTES)?)?;
    if crc32c::crc32c(padded) != header.payload_checksum && !planted!(ChecksumNotChecked) {
        return None;
    }
    Some(image.slice(start..start + payload_bytes))
}

/// The highest batch that any header from `offset` on confirms as synced. Only headers of batches after `batch`
/// count.
pub(super) fn confirmed_after(image: &[u8], offset: usize, segment: u64, batch: u64) -> Option<u64> {
    (offset..image.len())
        .step_by(FRAME_ALIGN_BYTES)
        .filter_map(|at| header_at(image, at, segment))
        .filter(|header| header.batch > batch)
        .map(|header| header.synced)
        .max()
}

fn position(offset: u64) -> u32 {
    let position = offset / FRAME_ALIGN_BYTES as u64;
    assert!(position <= u64::from(u32::MAX), "offset {offset} is beyond the largest segment");
    position as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: FramePosition =
        FramePosition { segment: 7, offset: 64, previous: 3, batch: 9, synced: 8 };

    fn image(payload: &[u8]) -> Bytes {
        let mut buffer = vec![0; 64];
        let start = begin_frame(&mut buffer);
        buffer.extend_from_slice(payload);
        seal_frame(&mut buffer, start, POSITION);
        Bytes::from(buffer)
    }

    #[test]
    fn a_frame_round_trips() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let payload = vec![5; length];
            let image = image(&payload);
            assert_eq!(image.len(), 64 + frame_bytes(length));
            let header = header_at(&image, 64, 7).unwrap();
            assert_eq!((header.batch, header.synced, header.previous), (9, 8, 3));
            assert_eq!(payload_at(&image, 64, &header).unwrap(), payload);
        }
    }

    // Breaks: damage is read as data.
    #[test]
    fn every_flipped_bit_and_every_truncation_is_detected() {
        let good = image(b"twenty-one bytes long");
        let read = |image: &Bytes| payload_at(image, 64, &header_at(image, 64, 7)?);
        assert!(read(&good).is_some());
        for byte in 64..good.len() {
            for bit in 0..8 {
                let mut bad = good.to_vec();
                bad[byte] ^= 1 << bit;
                assert_eq!(read(&Bytes::from(bad)), None, "byte {byte}, bit {bit}");
            }
        }
        for cut in 0..good.len() {
            assert_eq!(read(&good.slice(..cut)), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_at_another_place_or_of_another_segment_is_ignored() {
        let good = image(b"payload");
        assert_eq!(header_at(&good, 64, 8), None);
        let mut moved = vec![0; 16];
        moved.extend_from_slice(&good);
        assert_eq!(header_at(&moved, 80, 7), None);
        assert_eq!(confirmed_after(&moved, 0, 7, 0), None);
        assert_eq!(confirmed_after(&good, 0, 7, 8), Some(8));
        assert_eq!(confirmed_after(&good, 0, 7, 9), None);
    }
}
