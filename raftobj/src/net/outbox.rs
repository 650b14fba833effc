//! What waits to be sent on one lane to one peer.
//!
//! It may not know sockets, nor what a payload means. Begin with [`Outbox::push`]; the writer's side is
//! [`Outbox::next`] and [`Batch`].
//!
//! Frames are encoded into one vector, header and payload, one after the other: a hundred small messages are
//! one write. Large bytes that are shared already ([`Payload::share`]) are not copied into it; they are noted
//! with the place where they belong, and the write gathers them.

use super::frame::{self, HEADER_BYTES};
use bytes::Bytes;
use std::cell::RefCell;
use std::io::IoSlice;
use tokio::sync::Notify;

/// Why a message was not queued. It is gone: the protocol above sends again what still matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Dropped {
    /// Nobody is there; what waited for a connection would be stale when it comes.
    #[error("not connected")]
    Disconnected,
    /// The peer takes less than it is sent.
    #[error("the queue is full")]
    Full,
    /// Over `frame_bytes_max`: the other end would close the connection.
    #[error("a message of {0} bytes is over the limit")]
    TooLarge(usize),
}

/// The bounded queue of one lane. Open while there is a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: Limits,
    queue: RefCell<Queue>,
    filled: Notify,
    drained: Notify,
}

/// How much an outbox takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) frame_bytes_max: usize,
    pub(super) bytes_max: usize,
    pub(super) frames_max: usize,
}

/// Invariant: `bytes` and `frames` count `batch` and what the writer has taken and not yet sent.
#[derive(Debug, Default)]
struct Queue {
    open: bool,
    batch: Batch,
    bytes: usize,
    frames: usize,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(limits: Limits) -> Outbox {
        Outbox { limits, queue: RefCell::default(), filled: Notify::new(), drained: Notify::new() }
    }

    /// Queues the message that `write` encodes, whole or not at all. Never waits.
    pub(super) fn push(&self, write: impl FnOnce(&mut Payload<'_>)) -> Result<(), Dropped> {
        let queue = &mut *self.queue.borrow_mut();
        let pushed = queue.push(self.limits, write);
        match pushed {
            // Whatever else is pushed before the writer runs goes with it.
            Ok(true) => self.filled.notify_one(),
            Ok(false) => {}
            Err(_) => queue.dropped += 1,
        }
        pushed.map(|_| ())
    }

    /// A connection is there: messages are taken from now on.
    pub(super) fn open(&self) {
        self.queue.borrow_mut().open = true;
    }

    /// The connection is gone, and with it everything that was not sent whole.
    pub(super) fn close(&self) {
        let queue = &mut *self.queue.borrow_mut();
        let dropped = queue.dropped + queue.frames as u64;
        *queue = Queue { dropped, ..Queue::default() };
        self.drained.notify_one();
    }

    /// Waits until there is something to send and takes all of it. `spent` is the batch that was sent before:
    /// its memory is used again.
    pub(super) async fn next(&self, spent: Batch) -> Batch {
        let mut spent = spent;
        spent.clear();
        loop {
            {
                let queue = &mut *self.queue.borrow_mut();
                if queue.batch.frames > 0 {
                    return std::mem::replace(&mut queue.batch, spent);
                }
            }
            self.filled.notified().await;
        }
    }

    /// The writer has sent so many bytes.
    pub(super) fn sent_bytes(&self, bytes: usize) {
        self.queue.borrow_mut().bytes -= bytes;
    }

    /// The writer has sent so many frames to their end.
    pub(super) fn sent_frames(&self, frames: usize) {
        let queue = &mut *self.queue.borrow_mut();
        queue.frames -= frames;
        if queue.frames == 0 {
            self.drained.notify_one();
        }
    }

    /// Waits until all is sent, or the connection is gone.
    pub(super) async fn drained(&self) {
        while self.queue.borrow().frames > 0 {
            self.drained.notified().await;
        }
    }

    /// Bytes and frames that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let queue = self.queue.borrow();
        (queue.bytes, queue.frames)
    }

    /// Messages that were not sent, over all connections.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.borrow().dropped
    }
}

impl Queue {
    /// True when the batch was empty before.
    fn push(&mut self, limits: Limits, write: impl FnOnce(&mut Payload<'_>)) -> Result<bool, Dropped> {
        if !self.open {
            return Err(Dropped::Disconnected);
        }
        if self.frames >= limits.frames_max {
            return Err(Dropped::Full);
        }
        let mut payload = Payload::begin(&mut self.batch);
        write(&mut payload);
        let length = payload.length();
        let size = HEADER_BYTES + length;
        let verdict = if length > limits.frame_bytes_max {
            Err(Dropped::TooLarge(length))
        } else if self.bytes + size > limits.bytes_max {
            Err(Dropped::Full)
        } else {
            Ok(())
        };
        if let Err(dropped) = verdict {
            payload.take_back();
            return Err(dropped);
        }
        payload.seal();
        self.batch.frames += 1;
        self.bytes += size;
        self.frames += 1;
        Ok(self.batch.frames == 1)
    }
}

/// A message's payload while it is written.
#[derive(Debug)]
pub(crate) struct Payload<'a> {
    batch: &'a mut Batch,
    /// Where this frame's header stands in `batch.copied`.
    start: usize,
    /// This frame's first part in `batch.shared`.
    shared_start: usize,
}

impl Payload<'_> {
    /// The end of the payload; append to it, and never take from it.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.batch.copied
    }

    /// Appends bytes without copying them, if they are large enough to be worth it.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        if bytes.len() < SHARE_BYTES_MIN {
            self.batch.copied.extend_from_slice(&bytes);
        } else {
            self.batch.shared.push(Shared { at: self.batch.copied.len(), bytes });
        }
    }

    fn begin(batch: &mut Batch) -> Payload<'_> {
        let (start, shared_start) = (batch.copied.len(), batch.shared.len());
        batch.copied.extend_from_slice(&[0; HEADER_BYTES]);
        Payload { batch, start, shared_start }
    }

    fn length(&self) -> usize {
        let copied = self.batch.copied.len() - self.start - HEADER_BYTES;
        copied + self.shared().iter().map(|shared| shared.bytes.len()).sum::<usize>()
    }

    fn seal(self) {
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
    }

    fn take_back(self) {
        self.batch.copied.truncate(self.start);
        self.batch.shared.truncate(self.shared_start);
    }

    fn shared(&self) -> &[Shared] {
        &self.batch.shared[self.shared_start..]
    }
}

/// A row of whole frames, and how much of it is sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    copied: Vec<u8>,
    shared: Vec<Shared>,
    frames: usize,
    copied_sent: usize,
    shared_sent: usize,
    /// Sent bytes of `shared[shared_sent]`.
    part_sent: usize,
}

/// Bytes that belong between `copied[..at]` and `copied[at..]`.
#[derive(Debug)]
struct Shared {
    at: usize,
    bytes: Bytes,
}

impl Batch {
    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    pub(super) fn is_sent(&self) -> bool {
        self.copied_sent == self.copied.len() && self.shared_sent == self.shared.len()
    }

    /// The next bytes to send, at most [`WRITE_BYTES_MAX`]: the slices that were filled.
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

    /// So many of the next bytes are sent.
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
                // Given back as soon as it is sent: it may be the last that holds a large buffer.
                shared.bytes = Bytes::new();
                self.shared_sent += 1;
                self.part_sent = 0;
            }
        }
    }

    fn clear(&mut self) {
        self.copied.clear();
        self.copied.shrink_to(KEEP_BYTES_MAX);
        self.shared.clear();
        (self.frames, self.copied_sent, self.shared_sent, self.part_sent) = (0, 0, 0, 0);
    }
}

/// Slices of one write.
pub(super) const SLICES: usize = 32;
/// Bytes of one write: what a write takes of the thread's time stays below a millisecond.
pub(super) const WRITE_BYTES_MAX: usize = 1 << 20;
/// Below this a copy costs less than a slice of its own.
const SHARE_BYTES_MIN: usize = 16 * 1024;
/// Memory that an idle outbox keeps.
const KEEP_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::super::frame::Decoder;
    use super::*;
    use bytes::BufMut;

    const LIMITS: Limits = Limits { frame_bytes_max: 1 << 20, bytes_max: 3 << 20, frames_max: 100 };

    fn open() -> Outbox {
        let outbox = Outbox::new(LIMITS);
        outbox.open();
        outbox
    }

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

    fn payloads(mut bytes: &[u8]) -> Vec<Bytes> {
        let mut decoder = Decoder::new(LIMITS.frame_bytes_max);
        let mut payloads = Vec::new();
        while !bytes.is_empty() {
            let space = decoder.space();
            let size = space.chunk_mut().len().min(bytes.len());
            space.put_slice(&bytes[..size]);
            bytes = &bytes[size..];
            payloads.extend(std::iter::from_fn(|| decoder.next().unwrap()));
        }
        payloads
    }

    fn take(outbox: &Outbox) -> Batch {
        std::mem::take(&mut outbox.queue.borrow_mut().batch)
    }

    /// A write may end anywhere, also at the seam between copied and shared bytes.
    #[test]
    fn parts_come_out_in_order_wherever_writes_end() {
        let big = Bytes::from(vec![7; SHARE_BYTES_MIN]);
        let bigger = Bytes::from(vec![8; 3 * SHARE_BYTES_MIN]);
        for step in [1, 7, 8, 9, 4096, SHARE_BYTES_MIN, SHARE_BYTES_MIN + 1, usize::MAX] {
            let outbox = open();
            outbox.push(|payload| payload.bytes().extend_from_slice(b"small")).unwrap();
            outbox.push(|payload| payload.share(big.clone())).unwrap();
            outbox
                .push(|payload| {
                    payload.bytes().extend_from_slice(b"head");
                    payload.share(big.clone());
                    payload.share(bigger.clone());
                    payload.bytes().extend_from_slice(b"tail");
                    payload.share(Bytes::from_static(b"copied"));
                })
                .unwrap();
            let mut batch = take(&outbox);
            let found = payloads(&sent(&mut batch, step));
            let third = [&b"head"[..], &big, &bigger, b"tailcopied"].concat();
            assert!(found == [&b"small"[..], &big, &third], "steps of {step}");
        }
    }

    /// More parts than one write has slices.
    #[test]
    fn many_shared_parts_take_several_writes() {
        let outbox = open();
        let parts: Vec<Bytes> = (0..50).map(|i| Bytes::from(vec![i; SHARE_BYTES_MIN])).collect();
        outbox.push(|payload| parts.iter().for_each(|part| payload.share(part.clone()))).unwrap();
        let mut batch = take(&outbox);
        assert!(payloads(&sent(&mut batch, usize::MAX)) == [parts.concat()]);
    }

    /// What does not fit leaves nothing behind, and what fits after it still goes.
    #[test]
    fn what_does_not_fit_is_dropped_whole() {
        let outbox = open();
        let large = Bytes::from(vec![1; 1 << 20]);
        let push = |bytes: &Bytes| {
            outbox.push(|payload| {
                payload.bytes().push(b'x');
                payload.share(bytes.clone());
            })
        };
        assert_eq!(push(&large), Err(Dropped::TooLarge((1 << 20) + 1)));
        let fits = large.slice(20..);
        for _ in 0..3 {
            push(&fits).unwrap();
        }
        assert_eq!(push(&fits), Err(Dropped::Full));
        push(&Bytes::from_static(b"y")).unwrap();
        assert_eq!(outbox.dropped(), 2);
        let found = payloads(&sent(&mut take(&outbox), usize::MAX));
        assert_eq!(found.len(), 4);
        assert_eq!(found[3], "xy");
    }

    #[test]
    fn frames_are_counted_too() {
        let outbox = open();
        let push = || outbox.push(|payload| payload.bytes().push(1));
        (0..100).for_each(|_| push().unwrap());
        assert_eq!(push(), Err(Dropped::Full));
        let batch = take(&outbox);
        // What is on its way still counts: it waits in this process.
        assert_eq!(push(), Err(Dropped::Full));
        outbox.sent_bytes(100 * 9);
        outbox.sent_frames(batch.frames());
        assert_eq!(outbox.waiting(), (0, 0));
        push().unwrap();
    }

    #[test]
    fn nothing_waits_for_a_connection() {
        let outbox = open();
        outbox.push(|payload| payload.bytes().push(1)).unwrap();
        outbox.close();
        assert_eq!(outbox.push(|_| panic!("encoded for nobody")), Err(Dropped::Disconnected));
        assert_eq!((outbox.dropped(), outbox.waiting()), (2, (0, 0)));
    }
}
