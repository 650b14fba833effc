//! Messages that wait to be sent on one lane to one peer.
//!
//! It may not know sockets, nor what a payload means. Begin with [`Outbox::push`]; the task that writes to the socket
//! calls [`Outbox::next`].

use super::batch::{Batch, PayloadWriter};
use super::frame::HEADER_BYTES;
use std::cell::RefCell;
use tokio::sync::Notify;

/// Why a message was dropped before it was queued. The protocol above retries what still matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no connection. A message that waited for one would be stale by then.
    #[error("not connected")]
    Disconnected,
    /// The peer receives more slowly than we send.
    #[error("the queue is full")]
    Full,
    /// Over `frame_bytes_max`: the other end would close the connection.
    #[error("a message of {0} bytes is over the limit")]
    TooLarge(usize),
}

/// The bounded queue of one lane. It is open while there is a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: OutboxLimits,
    queue: RefCell<SendQueue>,
    filled: Notify,
    drained: Notify,
}

/// The bounds of an outbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutboxLimits {
    pub(super) frame_bytes_max: usize,
    pub(super) bytes_max: usize,
    pub(super) frames_max: usize,
}

/// Invariant: `bytes` and `frames` count what is in `batch` and what the writer has taken and not yet sent.
#[derive(Debug, Default)]
struct SendQueue {
    open: bool,
    batch: Batch,
    bytes: usize,
    frames: usize,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(limits: OutboxLimits) -> Outbox {
        Outbox { limits, queue: RefCell::default(), filled: Notify::new(), drained: Notify::new() }
    }

    /// Queues the message that `write` encodes, whole or not at all. Never waits.
    pub(super) fn push(&self, write: impl FnOnce(&mut PayloadWriter<'_>)) -> Result<(), SendError> {
        let queue = &mut *self.queue.borrow_mut();
        let pushed = queue.push(self.limits, write);
        match pushed {
            // Once for a batch: what is pushed before the writer runs is sent with it.
            Ok(true) => self.filled.notify_one(),
            Ok(false) => {}
            Err(_) => queue.dropped += 1,
        }
        pushed.map(|_| ())
    }

    /// There is a connection: messages are queued from now on.
    pub(super) fn open(&self) {
        self.queue.borrow_mut().open = true;
    }

    /// The connection ended: every message that was not sent whole is lost.
    pub(super) fn close(&self) {
        let queue = &mut *self.queue.borrow_mut();
        let dropped = queue.dropped + queue.frames as u64;
        *queue = SendQueue { dropped, ..SendQueue::default() };
        self.drained.notify_one();
    }

    /// Waits until there are messages and takes all of them. `sent` is the previous batch: its memory is reused.
    pub(super) async fn next(&self, mut sent: Batch) -> Batch {
        sent.clear();
        loop {
            {
                let queue = &mut *self.queue.borrow_mut();
                if queue.batch.frames() > 0 {
                    return std::mem::replace(&mut queue.batch, sent);
                }
            }
            self.filled.notified().await;
        }
    }

    /// The writer has sent this many bytes.
    pub(super) fn sent_bytes(&self, bytes: usize) {
        self.queue.borrow_mut().bytes -= bytes;
    }

    /// The writer has sent this many whole frames.
    pub(super) fn sent_frames(&self, frames: usize) {
        let queue = &mut *self.queue.borrow_mut();
        queue.frames -= frames;
        if queue.frames == 0 {
            self.drained.notify_one();
        }
    }

    /// Waits until everything is sent or the connection ended.
    pub(super) async fn drained(&self) {
        while self.queue.borrow().frames > 0 {
            self.drained.notified().await;
        }
    }

    /// Bytes that are not yet sent.
    pub(super) fn bytes(&self) -> usize {
        self.queue.borrow().bytes
    }

    /// Messages that were dropped or lost, over all connections.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.borrow().dropped
    }
}

impl SendQueue {
    /// True if the batch was empty before.
    fn push(
        &mut self,
        limits: OutboxLimits,
        write: impl FnOnce(&mut PayloadWriter<'_>),
    ) -> Result<bool, SendError> {
        if !self.open {
            return Err(SendError::Disconnected);
        }
        if self.frames >= limits.frames_max {
            return Err(SendError::Full);
        }
        let mut payload = self.batch.begin();
        write(&mut payload);
        let length = payload.length();
        let size = HEADER_BYTES + length;
        let checked = if length > limits.frame_bytes_max {
            Err(SendError::TooLarge(length))
        } else if self.bytes + size > limits.bytes_max {
            Err(SendError::Full)
        } else {
            Ok(())
        };
        if let Err(dropped) = checked {
            payload.discard();
            return Err(dropped);
        }
        payload.seal();
        self.bytes += size;
        self.frames += 1;
        Ok(self.batch.frames() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::payloads;
    use super::*;
    use bytes::Bytes;

    const LIMITS: OutboxLimits =
        OutboxLimits { frame_bytes_max: 1 << 20, bytes_max: 3 << 20, frames_max: 100 };

    fn open() -> Outbox {
        let outbox = Outbox::new(LIMITS);
        outbox.open();
        outbox
    }

    fn take(outbox: &Outbox) -> Batch {
        std::mem::take(&mut outbox.queue.borrow_mut().batch)
    }

    /// A message that does not fit leaves no bytes behind, and later ones that fit are queued.
    #[test]
    fn a_message_that_does_not_fit_is_dropped_whole() {
        let outbox = open();
        let large = Bytes::from(vec![1; 1 << 20]);
        let push = |bytes: &Bytes| {
            outbox.push(|payload| {
                payload.bytes().push(b'x');
                payload.share(bytes);
            })
        };
        assert_eq!(push(&large), Err(SendError::TooLarge((1 << 20) + 1)));
        let fits = large.slice(20..);
        for _ in 0..3 {
            push(&fits).unwrap();
        }
        assert_eq!(push(&fits), Err(SendError::Full));
        push(&Bytes::from_static(b"y")).unwrap();
        assert_eq!(outbox.dropped(), 2);
        let found = payloads(&mut take(&outbox), usize::MAX);
        assert_eq!(found.len(), 4);
        assert_eq!(found[3], "xy");
    }

    #[test]
    fn frames_are_bounded_too() {
        let outbox = open();
        let push = || outbox.push(|payload| payload.bytes().push(1));
        (0..100).for_each(|_| push().unwrap());
        assert_eq!(push(), Err(SendError::Full));
        let batch = take(&outbox);
        // Frames that the writer has taken still count: they are in this process.
        assert_eq!(push(), Err(SendError::Full));
        outbox.sent_bytes(100 * 9);
        outbox.sent_frames(batch.frames());
        assert_eq!(outbox.bytes(), 0);
        push().unwrap();
    }

    #[test]
    fn no_message_waits_for_a_connection() {
        let outbox = open();
        outbox.push(|payload| payload.bytes().push(1)).unwrap();
        outbox.close();
        assert_eq!(outbox.push(|_| panic!("encoded without a connection")), Err(SendError::Disconnected));
        assert_eq!((outbox.dropped(), outbox.bytes()), (2, 0));
    }
}
