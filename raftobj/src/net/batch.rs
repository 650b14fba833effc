//! Frames that are sent together: many small ones in one write, large ones without a copy.
//!
//! Pure: it may not know sockets, nor what a payload means. Begin with [`Batch`].
//!
//! Frames are encoded into one vector, header and payload, one after the other. Large bytes that are already shared
//! ([`PayloadWriter::share`]) are not copied into it: the batch keeps them with their position, and a vectored write
//! puts them between the copied bytes:
//!
//! ```text
//!   copied:  [header payload][header head|tail][header payload]
//!   shared:                              ^ large bytes
//! ```

use super::frame::{self, HEADER_BYTES};
use bytes::Bytes;
use std::io::IoSlice;

/// Whole frames in order, and how much of them is sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    copied: Vec<u8>,
    shared: Vec<SharedBytes>,
    frames: usize,
    copied_sent: usize,
    shared_sent: usize,
    /// Bytes of `shared[shared_sent]` that are sent.
    part_sent: usize,
}

/// Bytes that belong between `copied[..at]` and `copied[at..]`.
#[derive(Debug)]
struct SharedBytes {
    at: usize,
    bytes: Bytes,
}

impl Batch {
    /// Begins the next frame.
    pub(super) fn begin(&mut self) -> PayloadWriter<'_> {
        let (start, shared_start) = (self.copied.len(), self.shared.len());
        self.copied.extend_from_slice(&[0; HEADER_BYTES]);
        PayloadWriter { batch: self, start, shared_start }
    }

    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    pub(super) fn is_sent(&self) -> bool {
        self.copied_sent == self.copied.len() && self.shared_sent == self.shared.len()
    }

    /// The next bytes to send, at most [`WRITE_BYTES_MAX`]: those of `slices` that were filled.
    pub(super) fn slices<'s, 'b: 's>(&'b self, slices: &'s mut [IoSlice<'b>; SLICES]) -> &'s [IoSlice<'b>] {
        let (mut count, mut left) = (0, WRITE_BYTES_MAX);
        let mut put = |bytes: &'b [u8]| {
            let bytes = &bytes[..bytes.len().min(left)];
            if !bytes.is_empty() && count < SLICES {
                slices[count] = IoSlice::new(bytes);
                count += 1;
                left -= bytes.len();
            }
            count < SLICES && left > 0
        };
        let (mut copied, mut part) = (self.copied_sent, self.part_sent);
        for shared in &self.shared[self.shared_sent..] {
            if !put(&self.copied[copied..shared.at]) || !put(&shared.bytes[part..]) {
                return &slices[..count];
            }
            (copied, part) = (shared.at, 0);
        }
        put(&self.copied[copied..]);
        &slices[..count]
    }

    /// Counts this many of the next bytes as sent.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let until = self.shared.get(self.shared_sent).map_or(self.copied.len(), |shared| shared.at);
            if self.copied_sent < until {
                let step = bytes.min(until - self.copied_sent);
                self.copied_sent += step;
                bytes -= step;
                continue;
            }
            let shared = &mut self.shared[self.shared_sent];
            let step = bytes.min(shared.bytes.len() - self.part_sent);
            self.part_sent += step;
            bytes -= step;
            if self.part_sent == shared.bytes.len() {
                // Released at once: this may be the last reference to a large buffer.
                shared.bytes = Bytes::new();
                self.shared_sent += 1;
                self.part_sent = 0;
            }
        }
    }

    /// Empties the batch and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.copied.clear();
        self.copied.shrink_to(KEEP_BYTES_MAX);
        self.shared.clear();
        (self.frames, self.copied_sent, self.shared_sent, self.part_sent) = (0, 0, 0, 0);
    }
}

/// Writes the payload of one frame of a batch.
#[derive(Debug)]
pub(crate) struct PayloadWriter<'a> {
    batch: &'a mut Batch,
    /// Where this frame's header begins in `batch.copied`.
    start: usize,
    /// Where this frame's parts begin in `batch.shared`.
    shared_start: usize,
}

impl PayloadWriter<'_> {
    /// The end of the payload. Append to it, and never truncate it.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.batch.copied
    }

    /// Appends bytes; if they are large enough, without a copy.
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_BYTES_MIN {
            self.batch.copied.extend_from_slice(bytes);
        } else {
            self.batch.shared.push(SharedBytes { at: self.batch.copied.len(), bytes: bytes.clone() });
        }
    }

    pub(super) fn length(&self) -> usize {
        let copied = self.batch.copied.len() - self.start - HEADER_BYTES;
        copied + self.shared().iter().map(|shared| shared.bytes.len()).sum::<usize>()
    }

    /// Completes the frame with its header.
    pub(super) fn seal(self) {
        assert!(self.length() > 0, "a message without bytes");
        let batch = &*self.batch;
        let begins =
            std::iter::once(self.start + HEADER_BYTES).chain(self.shared().iter().map(|part| part.at));
        let parts = begins.enumerate().flat_map(|(i, begin)| {
            let next = self.shared().get(i);
            let copied = &batch.copied[begin..next.map_or(batch.copied.len(), |part| part.at)];
            [copied, next.map_or(&[][..], |part| &part.bytes)]
        });
        let header = frame::header(parts);
        self.batch.copied[self.start..self.start + HEADER_BYTES].copy_from_slice(&header);
        self.batch.frames += 1;
    }

    /// Removes the frame from the batch.
    pub(super) fn discard(self) {
        self.batch.copied.truncate(self.start);
        self.batch.shared.truncate(self.shared_start);
    }

    fn shared(&self) -> &[SharedBytes] {
        &self.batch.shared[self.shared_start..]
    }
}

/// Slices of one write.
pub(super) const SLICES: usize = 32;
/// Bytes of one write: it holds the thread for less than a millisecond.
pub(super) const WRITE_BYTES_MAX: usize = 1 << 20;
/// Below this a copy costs less than a slice of its own.
const SHARE_BYTES_MIN: usize = 16 * 1024;
/// Memory that an idle outbox keeps.
const KEEP_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use super::super::frame::Decoder;
    use super::*;

    /// The bytes of the batch, sent in writes that take `step` bytes each.
    fn sent(batch: &mut Batch, step: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !batch.is_sent() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let next = batch.slices(&mut slices);
            let size: usize = next.iter().map(|slice| slice.len()).sum();
            assert!(size > 0 && size <= WRITE_BYTES_MAX, "a write of {size} bytes");
            let taken = step.min(size);
            bytes.extend(next.iter().flat_map(|slice| slice.iter()).take(taken));
            batch.advance(taken);
        }
        bytes
    }

    /// What the other end decodes from them.
    pub(in super::super) fn payloads(batch: &mut Batch, step: usize) -> Vec<Bytes> {
        let bytes = sent(batch, step);
        let mut rest = &bytes[..];
        let mut decoder = Decoder::new(2 << 20);
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            let space = decoder.space();
            let size = space.chunk_mut().len().min(rest.len());
            space.put_slice(&rest[..size]);
            rest = &rest[size..];
            payloads.extend(std::iter::from_fn(|| decoder.next().unwrap()));
        }
        payloads
    }

    fn push(batch: &mut Batch, write: impl FnOnce(&mut PayloadWriter<'_>)) {
        let mut payload = batch.begin();
        write(&mut payload);
        payload.seal();
    }

    /// A write may end anywhere, also at the border between copied and shared bytes.
    #[test]
    fn parts_are_sent_in_order_wherever_writes_end() {
        let big = Bytes::from(vec![7; SHARE_BYTES_MIN]);
        let bigger = Bytes::from(vec![8; 3 * SHARE_BYTES_MIN]);
        for step in [1, 7, 8, 9, 4096, SHARE_BYTES_MIN, SHARE_BYTES_MIN + 1, usize::MAX] {
            let mut batch = Batch::default();
            push(&mut batch, |payload| payload.bytes().extend_from_slice(b"small"));
            push(&mut batch, |payload| payload.share(&big));
            push(&mut batch, |payload| {
                payload.bytes().extend_from_slice(b"head");
                payload.share(&big);
                payload.share(&bigger);
                payload.bytes().extend_from_slice(b"tail");
                payload.share(&Bytes::from_static(b"copied"));
            });
            assert_eq!(batch.frames(), 3);
            let third = [&b"head"[..], &big, &bigger, b"tailcopied"].concat();
            assert!(payloads(&mut batch, step) == [&b"small"[..], &big, &third], "steps of {step}");
        }
    }

    /// More parts than one write has slices.
    #[test]
    fn many_shared_parts_take_several_writes() {
        let parts: Vec<Bytes> = (0..50).map(|i| Bytes::from(vec![i; SHARE_BYTES_MIN])).collect();
        let mut batch = Batch::default();
        push(&mut batch, |payload| parts.iter().for_each(|part| payload.share(part)));
        assert!(payloads(&mut batch, usize::MAX) == [parts.concat()]);
    }

    /// The next batch reuses the memory of one that was sent.
    #[test]
    fn a_cleared_batch_can_be_used_again() {
        let mut batch = Batch::default();
        for round in 0..3_u8 {
            push(&mut batch, |payload| payload.share(&Bytes::from(vec![round; SHARE_BYTES_MIN])));
            push(&mut batch, |payload| payload.bytes().push(round));
            let found = payloads(&mut batch, 1000);
            assert!(batch.is_sent() && found.len() == 2 && found[1] == [round][..]);
            batch.clear();
        }
    }
}
