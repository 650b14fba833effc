//! Received messages that wait for the driver.
//!
//! It may not know sockets, nor what a payload means. Begin with [`Inbox::push`] and [`Inbox::pop`].
//!
//! There is a queue for each peer and lane. The queues take turns, a message each: a peer that sends too much delays
//! only itself. A reader whose queue is full stops reading, and TCP's flow control stops the peer.

use super::{Lane, PeerKey};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;

/// A received message.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// The sender, as the handler identified it.
    pub(crate) from: PeerKey,
    /// The lane of its connection. Order is kept within a lane, not between lanes.
    pub(crate) lane: Lane,
    /// May keep a shared read buffer of 64 KiB alive: copy what is kept for long.
    pub(crate) payload: Bytes,
}

/// The queues that are not empty, in the order of their turns.
///
/// Invariants:
/// - a queue is in `turns` once if it is not empty, and not otherwise;
/// - `bytes` is the sum over the queues in `turns`.
#[derive(Debug)]
pub(super) struct Inbox {
    turns: RefCell<VecDeque<Rc<ReceiveQueue>>>,
    bytes: Cell<usize>,
    bytes_max: usize,
    receive_queue_bytes_max: usize,
    arrived: Notify,
}

/// The messages of one peer on one lane.
#[derive(Debug)]
pub(super) struct ReceiveQueue {
    from: PeerKey,
    lane: Lane,
    payloads: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    emptied: Notify,
}

impl ReceiveQueue {
    fn new(from: PeerKey, lane: Lane) -> Rc<ReceiveQueue> {
        let (payloads, bytes, emptied) = (RefCell::default(), Cell::new(0), Notify::new());
        Rc::new(ReceiveQueue { from, lane, payloads, bytes, emptied })
    }
}

impl Inbox {
    pub(super) fn new(bytes_max: usize, receive_queue_bytes_max: usize) -> Inbox {
        let (turns, bytes, arrived) = (RefCell::default(), Cell::new(0), Notify::new());
        Inbox { turns, bytes, bytes_max, receive_queue_bytes_max, arrived }
    }

    /// The queue for a connection's messages. If messages of this peer and lane still wait, it is their queue: a
    /// reconnect keeps the order and does not evade the bound.
    pub(super) fn queue(&self, from: PeerKey, lane: Lane) -> Rc<ReceiveQueue> {
        let turns = self.turns.borrow();
        let waiting = turns.iter().find(|queue| (queue.from, queue.lane) == (from, lane));
        waiting.map_or_else(|| ReceiveQueue::new(from, lane), Rc::clone)
    }

    pub(super) fn push(&self, queue: &Rc<ReceiveQueue>, payload: Bytes) {
        let cost = cost(&payload);
        queue.bytes.set(queue.bytes.get() + cost);
        self.bytes.set(self.bytes.get() + cost);
        let mut payloads = queue.payloads.borrow_mut();
        payloads.push_back(payload);
        if payloads.len() == 1 {
            let mut turns = self.turns.borrow_mut();
            turns.push_back(queue.clone());
            if turns.len() == 1 {
                self.arrived.notify_one();
            }
        }
    }

    /// The next message of the queue whose turn it is.
    pub(super) fn pop(&self) -> Option<Inbound> {
        let mut turns = self.turns.borrow_mut();
        let queue = turns.pop_front()?;
        let mut payloads = queue.payloads.borrow_mut();
        let payload = payloads.pop_front().expect("a queue in `turns` holds something");
        let cost = cost(&payload);
        queue.bytes.set(queue.bytes.get() - cost);
        self.bytes.set(self.bytes.get() - cost);
        let (from, lane) = (queue.from, queue.lane);
        if payloads.is_empty() {
            queue.emptied.notify_one();
        } else {
            drop(payloads);
            turns.push_back(queue);
        }
        Some(Inbound { from, lane, payload })
    }

    /// Waits until there is a message.
    pub(super) async fn arrived(&self) {
        while self.turns.borrow().is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Waits until there is room to read for this queue. An empty queue always has room, so that no peer starves; the
    /// bound on all queues together is exceeded by at most one read for each.
    pub(super) async fn wait_for_room(&self, queue: &ReceiveQueue) {
        while queue.bytes.get() > 0
            && (queue.bytes.get() >= self.receive_queue_bytes_max || self.bytes.get() >= self.bytes_max)
        {
            queue.emptied.notified().await;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

/// What a payload costs while it waits: its bytes, and some for its place in the queue.
fn cost(payload: &Bytes) -> usize {
    payload.len() + 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    fn queues() -> (Inbox, Rc<ReceiveQueue>, Rc<ReceiveQueue>) {
        let inbox = Inbox::new(1000, 500);
        let [flood, quiet] = [1, 2].map(|peer| inbox.queue(PeerKey(peer), Lane::Control));
        (inbox, flood, quiet)
    }

    /// A flood from one peer must not delay another peer's heartbeat by more than a message.
    #[test]
    fn queues_take_turns() {
        let (inbox, flood, quiet) = queues();
        (0..3).for_each(|i| inbox.push(&flood, Bytes::from(vec![i])));
        inbox.push(&quiet, Bytes::from_static(b"q"));
        let order: Vec<_> = std::iter::from_fn(|| inbox.pop()).map(|m| (m.from.0, m.payload[0])).collect();
        assert_eq!(order, [(1, 0), (2, b'q'), (1, 1), (1, 2)]);
        assert_eq!(inbox.bytes(), 0);
    }

    #[test]
    fn a_full_queue_waits_until_it_is_emptied() {
        let (inbox, flood, quiet) = queues();
        assert!(!is_ready(inbox.arrived()));
        while is_ready(inbox.wait_for_room(&flood)) {
            inbox.push(&flood, Bytes::from(vec![0; 100]));
        }
        assert!(inbox.bytes() >= 500 && inbox.bytes() < 700);
        assert!(is_ready(inbox.arrived()));
        assert!(is_ready(inbox.wait_for_room(&quiet)));
        while inbox.pop().is_some() {}
        assert!(is_ready(inbox.wait_for_room(&flood)));
    }

    /// A reconnect must not evade the bound or change the order.
    #[test]
    fn a_reconnect_keeps_the_queue_that_still_waits() {
        let (inbox, flood, _) = queues();
        inbox.push(&flood, Bytes::from_static(b"x"));
        assert!(Rc::ptr_eq(&inbox.queue(PeerKey(1), Lane::Control), &flood));
        assert!(!Rc::ptr_eq(&inbox.queue(PeerKey(1), Lane::Bulk), &flood));
    }

    /// The bound on all queues together must stop only peers whose queues are not empty.
    #[test]
    fn a_full_inbox_still_has_room_for_an_empty_queue() {
        let (inbox, flood, quiet) = queues();
        inbox.push(&flood, Bytes::from(vec![0; 2000]));
        assert!(is_ready(inbox.wait_for_room(&quiet)));
        inbox.push(&quiet, Bytes::from_static(b"q"));
        assert!(!is_ready(inbox.wait_for_room(&quiet)));
    }
}
