//! The bytes of a frame: how a stream of bytes is divided into messages.
//!
//! Pure: bytes in, payloads out. It may not know sockets, nor what a payload means. Begin with [`Decoder`];
//! [`seal`] is its counterpart.
//!
//! | offset | size | field | reason |
//! |---|---|---|---|
//! | 0 | 4 | length of the payload, little-endian, from 1 to the limit of the phase | where the next frame begins |
//! | 4 | 4 | CRC32C of the length's four bytes and the payload, little-endian | corrupt bytes are not taken for a message |
//! | 8 | length | payload | |
//!
//! The phases are the handshake and the messages. After an invalid frame the start of the next one is unknown: every
//! error closes the connection.

use crate::planted::planted;
use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before each payload.
pub(crate) const HEADER_BYTES: usize = 8;

/// Why bytes are not a valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// Every message has bytes, and a run of zeroes must not pass for frames.
    #[error("a frame without bytes")]
    Empty,
    /// Refused before any memory is allocated for it.
    #[error("a frame of {length} bytes, over the limit of {limit}")]
    TooLong { length: u32, limit: usize },
    /// The bytes are not those that were sent: `expected` is in the header.
    #[error("a frame with checksum {expected:08x} whose bytes have checksum {computed:08x}")]
    Checksum { expected: u32, computed: u32 },
}

/// The checksum of a frame's length. Append the payload's parts with [`crc32c::crc32c_append`].
fn checksum_of_length(length: u32) -> u32 {
    crc32c::crc32c(&length.to_le_bytes())
}

/// The header of a frame whose payload is the concatenation of these parts.
pub(crate) fn header<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone) -> [u8; HEADER_BYTES] {
    let length: usize = parts.clone().map(<[u8]>::len).sum();
    let length = u32::try_from(length).expect("a sender checks the length against a limit below 4 GiB");
    let crc = parts.fold(checksum_of_length(length), crc32c::crc32c_append);
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// A whole frame, copied: for the small ones of the handshake.
pub(crate) fn seal(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend_from_slice(&header(std::iter::once(payload)));
    frame.extend_from_slice(payload);
    frame
}

/// Divides a stream of bytes into payloads, wherever the reads end.
///
/// Read into [`Decoder::space`], then call [`Decoder::next`] until it returns none.
///
/// Small frames share one read buffer, and their payloads are slices of it: nothing is copied, but a payload that is
/// kept keeps up to [`READ_BYTES`] alive. A frame that does not fit the buffer is read into a vector of its own,
/// which grows with the bytes received: a length alone allocates nothing.
///
/// Invariants:
/// - after `next` returned none, `buffer` holds less than one whole frame, so it never needs more than `read_bytes`;
/// - while `large` is set, `buffer` is empty.
#[derive(Debug)]
pub(crate) struct Decoder {
    limit: usize,
    buffer: BytesMut,
    read_bytes: usize,
    large: Option<LargeFrame>,
}

impl Decoder {
    /// A decoder that refuses payloads over `limit` bytes.
    pub(crate) fn new(limit: usize) -> Decoder {
        Decoder { limit, buffer: BytesMut::new(), read_bytes: read_bytes(limit), large: None }
    }

    /// Sets the limit for the next frame and all later ones. Bytes that were already read are kept.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        assert!(self.large.is_none(), "the limit changes between frames");
        self.limit = limit;
        self.read_bytes = read_bytes(limit).max(self.buffer.len() + HEADER_BYTES);
    }

    /// Where to read the next bytes of the stream into.
    pub(crate) fn space(&mut self) -> &mut dyn BufMut {
        if let Some(large) = &mut self.large {
            large.grow();
            return &mut large.payload;
        }
        let free = self.buffer.capacity() - self.buffer.len();
        let wanted = self.read_bytes.saturating_sub(self.buffer.len()).max(1);
        if free < wanted.min(READ_BYTES_MIN) {
            // In place if no payload of this buffer is still held.
            self.buffer.reserve(wanted);
        }
        &mut self.buffer
    }

    /// The next payload, or none until more bytes are read.
    ///
    /// # Errors
    /// The frame is invalid. Nothing after it can be read.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(large) = &mut self.large {
            if !large.is_complete() {
                return Ok(None);
            }
            let large = self.large.take().expect("it was there two lines above");
            return large.finish().map(Some);
        }
        let Some((length, expected)) = self.peek_header()? else {
            return Ok(None);
        };
        let size = length as usize;
        if self.buffer.len() < HEADER_BYTES + size {
            if HEADER_BYTES + size > self.read_bytes {
                self.large = Some(LargeFrame::new(length, expected, &self.buffer[HEADER_BYTES..]));
                self.buffer.clear();
            }
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        let payload = self.buffer.split_to(size).freeze();
        verify(expected, crc32c::crc32c_append(checksum_of_length(length), &payload))?;
        Ok(Some(payload))
    }

    /// Whether a frame has begun and is not complete: if the stream ends now, that frame is cut short.
    pub(crate) fn is_inside_frame(&self) -> bool {
        self.large.is_some() || !self.buffer.is_empty()
    }

    fn peek_header(&self) -> Result<Option<(u32, u32)>, FrameError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<4>() else {
            return Ok(None);
        };
        // The length is checked as soon as it is complete, before the checksum has arrived.
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length as usize > self.limit && !planted!(FrameWithoutLimit) {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        Ok(rest.first_chunk::<4>().map(|expected| (length, u32::from_le_bytes(*expected))))
    }
}

/// A frame that does not fit the read buffer and is not complete.
#[derive(Debug)]
struct LargeFrame {
    length: u32,
    expected: u32,
    /// The checksum of the first `checked` bytes, computed as they arrive, while they are in the processor's cache.
    computed: u32,
    checked: usize,
    /// Limited to the length of the payload.
    payload: Limit<Vec<u8>>,
}

impl LargeFrame {
    fn new(length: u32, expected: u32, begun: &[u8]) -> LargeFrame {
        let mut payload = Vec::with_capacity((length as usize).min(LARGE_BYTES_MIN.max(begun.len())));
        payload.extend_from_slice(begun);
        let left = length as usize - begun.len();
        LargeFrame {
            length,
            expected,
            computed: checksum_of_length(length),
            checked: 0,
            payload: payload.limit(left),
        }
    }

    /// Doubles the capacity when it is used up: beyond the first allocation, a peer makes us allocate at most twice
    /// what it has sent.
    fn grow(&mut self) {
        let payload = self.payload.get_mut();
        let have = payload.len();
        if payload.capacity() == have {
            let target = (self.length as usize).min(LARGE_BYTES_MIN.max(have * 2));
            payload.reserve_exact(target - have);
        }
    }

    fn is_complete(&mut self) -> bool {
        let payload = self.payload.get_ref();
        self.computed = crc32c::crc32c_append(self.computed, &payload[self.checked..]);
        self.checked = payload.len();
        self.payload.remaining_mut() == 0
    }

    fn finish(self) -> Result<Bytes, FrameError> {
        verify(self.expected, self.computed)?;
        Ok(Bytes::from(self.payload.into_inner()))
    }
}

fn verify(expected: u32, computed: u32) -> Result<(), FrameError> {
    if expected == computed { Ok(()) } else { Err(FrameError::Checksum { expected, computed }) }
}

/// The size of the read buffer in a phase with this limit.
fn read_bytes(limit: usize) -> usize {
    READ_BYTES.min(limit.saturating_add(HEADER_BYTES))
}

/// The most that is read at once, and the largest frame that stays in the shared buffer.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// With less space than this, a new buffer costs less than short reads.
const READ_BYTES_MIN: usize = 8 * 1024;
/// The first allocation for a large frame.
const LARGE_BYTES_MIN: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{Bug, with};
    use std::panic::catch_unwind;

    const LIMIT: usize = 1 << 20;

    /// Decodes `bytes` in reads of at most `piece`.
    fn decode(bytes: &[u8], piece: usize, limit: usize) -> Result<Vec<Bytes>, FrameError> {
        let mut decoder = Decoder::new(limit);
        let mut payloads = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = decoder.space();
            let size = piece.min(rest.len()).min(space.chunk_mut().len());
            assert!(size > 0, "space for at least a byte");
            space.put_slice(&rest[..size]);
            rest = &rest[size..];
            while let Some(payload) = decoder.next()? {
                payloads.push(payload);
            }
        }
        assert!(!decoder.is_inside_frame() || payloads.is_empty(), "a cut frame at the end");
        Ok(payloads)
    }

    fn pattern(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    /// A read may end anywhere.
    #[test]
    fn every_split_gives_the_same_payloads() {
        let payloads = [pattern(1), pattern(7), pattern(300), pattern(8)];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| seal(payload)).collect();
        for piece in 1..=stream.len() {
            assert_eq!(decode(&stream, piece, LIMIT).unwrap(), payloads, "pieces of {piece}");
        }
        for split in 1..stream.len() {
            let mut decoder = Decoder::new(LIMIT);
            let mut found = Vec::new();
            for part in [&stream[..split], &stream[split..]] {
                decoder.space().put_slice(part);
                while let Some(payload) = decoder.next().unwrap() {
                    found.push(payload);
                }
            }
            assert_eq!(found, payloads, "split at {split}");
            assert!(!decoder.is_inside_frame());
        }
    }

    /// Another engine cut frames at a wrong length near multiples of 64 KiB.
    #[test]
    fn sizes_around_multiples_of_64_kib_arrive_whole() {
        for multiple in [1, 2, 3, 4, 8] {
            for near in 0..=20 {
                let payload = pattern(multiple * 65536 + near - 10);
                let stream: Vec<u8> = [seal(&payload), seal(b"next"), seal(&payload)].concat();
                for piece in [1000, 65535, 65536, usize::MAX] {
                    let found = decode(&stream, piece, LIMIT).unwrap();
                    assert_eq!(found.len(), 3, "{} bytes in pieces of {piece}", payload.len());
                    assert!(found[0] == payload && found[1] == "next" && found[2] == payload);
                }
            }
        }
    }

    /// A corrupt length may exceed the stream. Corrupt bytes must never give a payload.
    #[test]
    fn a_corrupt_frame_gives_no_payload() {
        for payload in [pattern(1), pattern(40), pattern(70_000)] {
            let frame = seal(&payload);
            let places = (0..frame.len().min(60)).chain((60..frame.len()).step_by(997));
            for at in places {
                for flip in [0x01, 0x80, 0xff] {
                    let mut broken = frame.clone();
                    broken[at] ^= flip;
                    let found = decode(&broken, usize::MAX, LIMIT);
                    assert!(found.as_ref().map_or(true, Vec::is_empty), "byte {at} ^ {flip:#x}: {found:?}");
                }
            }
        }
    }

    /// The length is refused as soon as its four bytes have arrived, and nothing is allocated for it.
    #[test]
    fn a_length_over_the_limit_is_refused_at_once() {
        let mut decoder = Decoder::new(LIMIT);
        decoder.space().put_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decoder.next(), Err(FrameError::TooLong { length: u32::MAX, limit: LIMIT }));
        assert!(decoder.buffer.capacity() <= 2 * READ_BYTES);
        assert!(decoder.large.is_none());
        for (size, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
            assert_eq!(decode(&seal(&pattern(size)), usize::MAX, LIMIT).is_ok(), fits, "{size} bytes");
        }
    }

    /// If this fails, the test above passes without the check that it is for.
    #[test]
    fn planted_frames_without_a_limit_are_found() {
        let check = || with(Bug::FrameWithoutLimit, a_length_over_the_limit_is_refused_at_once);
        assert!(catch_unwind(check).is_err(), "the planted bug was not found");
    }

    #[test]
    fn a_frame_without_bytes_is_refused() {
        assert_eq!(decode(&[0; 8], 1, LIMIT), Err(FrameError::Empty));
    }

    /// Memory grows with the bytes that a peer has sent, not with the length that it announced.
    #[test]
    fn memory_follows_the_bytes_received() {
        let limit = 64 << 20;
        let payload = pattern(32 << 20);
        let frame = seal(&payload);
        let mut decoder = Decoder::new(limit);
        let mut sent = 0;
        let mut found = None;
        while found.is_none() {
            let space = decoder.space();
            let size = (frame.len() - sent).min(100_000).min(space.chunk_mut().len());
            space.put_slice(&frame[sent..sent + size]);
            sent += size;
            found = decoder.next().unwrap();
            if let Some(large) = &decoder.large {
                let held = large.payload.get_ref().capacity();
                assert!(held <= LARGE_BYTES_MIN.max(2 * sent), "{held} held for {sent} sent");
            }
        }
        assert!(found.unwrap() == payload);
    }

    /// A small frame must not cost a copy or an allocation of its own.
    #[test]
    fn small_payloads_are_slices_of_the_read_buffer() {
        let mut decoder = Decoder::new(LIMIT);
        decoder.space().put_slice(&[seal(b"one"), seal(b"two")].concat());
        let one = decoder.next().unwrap().unwrap();
        let two = decoder.next().unwrap().unwrap();
        assert_eq!(two.as_ptr() as usize - one.as_ptr() as usize, 3 + HEADER_BYTES);
    }

    /// The handshake's limit holds for the handshake only, and the first messages may be in the same read.
    #[test]
    fn the_limit_rises_between_frames() {
        let mut decoder = Decoder::new(16);
        let payload = pattern(100_000);
        let stream = [seal(b"hello"), seal(&payload)].concat();
        let mut rest = &stream[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let space = decoder.space();
            let size = rest.len().min(space.chunk_mut().len());
            space.put_slice(&rest[..size]);
            rest = &rest[size..];
            if found.is_empty()
                && let Some(hello) = decoder.next().unwrap()
            {
                found.push(hello);
                decoder.set_limit(LIMIT);
            }
            if !found.is_empty() {
                found.extend(decoder.next().unwrap());
            }
        }
        assert_eq!(found, [&b"hello"[..], &payload]);
    }
}
