//! A batch of records as it lies in a segment.
//!
//! | at | bytes | field | why |
//! |---|---|---|---|
//! | 0 | 4 | magic | finds frames after a damaged one |
//! | 4 | 4 | checksum of bytes 8 to 48 | a header vouches by itself, though its payload be torn |
//! | 8 | 4 | checksum of payload and padding | |
//! | 12 | 4 | chain: the header checksum of the frame before | sees lost and left-over writes (rule 7) |
//! | 16 | 4 | payload length, without padding | |
//! | 20 | 4 | position in the file, in units of 16 | sees misdirected writes |
//! | 24 | 8 | id of the segment | sees what another file, or an earlier life of this one, left over |
//! | 32 | 8 | batch number, one more than the frame before | |
//! | 40 | 8 | highest batch known to be synced when this was written | tells damage from a torn tail (rule 6) |
//! | 48 | | payload, then zeros up to the next multiple of 16 | |
//!
//! Checksums are CRC32C; integers little-endian. A frame without payload is an idle marker: it says that all
//! before it is synced. Everything here is pure: bytes in, bytes out, and no bytes make it panic.

use crate::planted::planted;
use bytes::Bytes;

/// Bytes of a frame before its payload.
pub(super) const FRAME_HEADER_BYTES: usize = 48;
/// Frames begin at multiples of this.
pub(super) const FRAME_ALIGN_BYTES: usize = 16;
/// The longest payload that a frame can hold.
pub(super) const PAYLOAD_BYTES_MAX: usize = u32::MAX as usize - FRAME_ALIGN_BYTES;

const MAGIC: [u8; 4] = *b"rfrm";

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// This frame's link in the chain.
    pub(super) checksum: u32,
    pub(super) payload_checksum: u32,
    pub(super) previous: u32,
    pub(super) payload_bytes: u32,
    pub(super) batch: u64,
    pub(super) synced: u64,
}

/// Bytes that a payload of this length takes with header and padding.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(FRAME_ALIGN_BYTES)
}

/// Makes room for a frame's header at the end of the buffer; the payload is appended next. Returns the place
/// for [`seal_frame`].
pub(super) fn begin_frame(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.resize(start + FRAME_HEADER_BYTES, 0);
    start
}

/// Where a frame lies and what comes before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    pub(super) segment: u64,
    /// Byte in the file at which the frame begins.
    pub(super) offset: u64,
    pub(super) previous: u32,
    pub(super) batch: u64,
    pub(super) synced: u64,
}

/// Pads the payload and fills in the header. Returns the frame's link in the chain.
pub(super) fn seal_frame(buffer: &mut Vec<u8>, start: usize, at: Placement) -> u32 {
    let payload_bytes = buffer.len() - start - FRAME_HEADER_BYTES;
    assert!(payload_bytes <= PAYLOAD_BYTES_MAX, "a payload of {payload_bytes} bytes fits no frame");
    assert!(at.synced < at.batch, "batch {} cannot vouch for {}", at.batch, at.synced);
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

/// Reads the header at an offset of a segment's bytes; `None` where there is none of this segment and place.
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

/// The payload behind a header read at `offset`, sharing the image; `None` where it is torn or damaged.
pub(super) fn payload_at(image: &Bytes, offset: usize, header: &FrameHeader) -> Option<Bytes> {
    let payload_bytes = usize::try_from(header.payload_bytes).ok()?;
    let start = offset + FRAME_HEADER_BYTES;
    let padded = image.get(start..)?.get(..payload_bytes.checked_next_multiple_of(FRAME_ALIGN_BYTES)?)?;
    if crc32c::crc32c(padded) != header.payload_checksum && !planted!(ChecksumNotChecked) {
        return None;
    }
    Some(image.slice(start..start + payload_bytes))
}

/// The highest batch that any header from `offset` on vouches for, of those whose batch comes after `batch`.
pub(super) fn vouched_after(image: &[u8], offset: usize, segment: u64, batch: u64) -> Option<u64> {
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

    const PLACE: Placement = Placement { segment: 7, offset: 64, previous: 3, batch: 9, synced: 8 };

    fn image(payload: &[u8]) -> Bytes {
        let mut buffer = vec![0; 64];
        let start = begin_frame(&mut buffer);
        buffer.extend_from_slice(payload);
        seal_frame(&mut buffer, start, PLACE);
        Bytes::from(buffer)
    }

    #[test]
    fn a_frame_comes_back() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let payload = vec![5; length];
            let image = image(&payload);
            assert_eq!(image.len(), 64 + frame_bytes(length));
            let header = header_at(&image, 64, 7).unwrap();
            assert_eq!((header.batch, header.synced, header.previous), (9, 8, 3));
            assert_eq!(payload_at(&image, 64, &header).unwrap(), payload);
        }
    }

    // If this breaks, damage is read as data.
    #[test]
    fn no_flipped_bit_and_no_cut_passes() {
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
    fn a_frame_elsewhere_or_of_another_segment_is_none() {
        let good = image(b"payload");
        assert_eq!(header_at(&good, 64, 8), None);
        let mut moved = vec![0; 16];
        moved.extend_from_slice(&good);
        assert_eq!(header_at(&moved, 80, 7), None);
        assert_eq!(vouched_after(&moved, 0, 7, 0), None);
        assert_eq!(vouched_after(&good, 0, 7, 8), Some(8));
        assert_eq!(vouched_after(&good, 0, 7, 9), None);
    }
}
