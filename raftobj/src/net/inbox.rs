//! What came in and waits for the driver.
//!
//! It may not know sockets, nor what a payload means. Begin with [`Inbox::push`] and [`Inbox::pop`].
//!
//! One mailbox a peer and lane; they take turns, a message each, so that a peer that sends more than it should
//! delays itself and nobody else. A reader whose mailbox is full stops reading, and TCP tells the peer.

use super::{Lane, PeerKey};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;

/// A message, as it came.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Who sent it, by the judgement of the gate.
    pub(crate) from: PeerKey,
    /// The lane it came on. Order is kept on a lane, not between lanes.
    pub(crate) lane: Lane,
    /// May hold a read buffer of 64 KiB alive, shared with its neighbours: copy what is kept for long.
    pub(crate) payload: Bytes,
}

/// The mailboxes that hold something, in the order of their turns.
///
/// Invariants:
/// - a mailbox is in `turns` once if it holds something, and not otherwise;
/// - `bytes` is the sum over the mailboxes in `turns`.
#[derive(Debug)]
pub(super) struct Inbox {
    turns: RefCell<VecDeque<Rc<Mailbox>>>,
    bytes: Cell<usize>,
    bytes_max: usize,
    mailbox_bytes_max: usize,
    arrived: Notify,
}

/// What one peer sent on one lane.
#[derive(Debug)]
pub(super) struct Mailbox {
    from: PeerKey,
    lane: Lane,
    payloads: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    emptied: Notify,
}

impl Mailbox {
    fn new(from: PeerKey, lane: Lane) -> Rc<Mailbox> {
        let (payloads, bytes, emptied) = (RefCell::default(), Cell::new(0), Notify::new());
        Rc::new(Mailbox { from, lane, payloads, bytes, emptied })
    }
}

impl Inbox {
    pub(super) fn new(bytes_max: usize, mailbox_bytes_max: usize) -> Inbox {
        let (turns, bytes, arrived) = (RefCell::default(), Cell::new(0), Notify::new());
        Inbox { turns, bytes, bytes_max, mailbox_bytes_max, arrived }
    }

    /// Where a connection's messages go. While something of this peer and lane still waits it goes behind that:
    /// messages keep their order over a reconnect, and reconnecting makes no room.
    pub(super) fn mailbox(&self, from: PeerKey, lane: Lane) -> Rc<Mailbox> {
        let turns = self.turns.borrow();
        let waiting = turns.iter().find(|mailbox| (mailbox.from, mailbox.lane) == (from, lane));
        waiting.map_or_else(|| Mailbox::new(from, lane), Rc::clone)
    }

    pub(super) fn push(&self, mailbox: &Rc<Mailbox>, payload: Bytes) {
        let cost = cost(&payload);
        mailbox.bytes.set(mailbox.bytes.get() + cost);
        self.bytes.set(self.bytes.get() + cost);
        let mut payloads = mailbox.payloads.borrow_mut();
        payloads.push_back(payload);
        if payloads.len() == 1 {
            let mut turns = self.turns.borrow_mut();
            turns.push_back(mailbox.clone());
            if turns.len() == 1 {
                self.arrived.notify_one();
            }
        }
    }

    /// The next message of the mailbox whose turn it is.
    pub(super) fn pop(&self) -> Option<Inbound> {
        let mut turns = self.turns.borrow_mut();
        let mailbox = turns.pop_front()?;
        let mut payloads = mailbox.payloads.borrow_mut();
        let payload = payloads.pop_front().expect("a mailbox in `turns` holds something");
        let cost = cost(&payload);
        mailbox.bytes.set(mailbox.bytes.get() - cost);
        self.bytes.set(self.bytes.get() - cost);
        let (from, lane) = (mailbox.from, mailbox.lane);
        if payloads.is_empty() {
            mailbox.emptied.notify_one();
        } else {
            drop(payloads);
            turns.push_back(mailbox);
        }
        Some(Inbound { from, lane, payload })
    }

    /// Waits until there is a message.
    pub(super) async fn arrived(&self) {
        while self.turns.borrow().is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Waits until this mailbox may be read for. One that holds nothing always may: the bound on all together
    /// is passed by at most a read for each, and no peer is starved by the others.
    pub(super) async fn room(&self, mailbox: &Mailbox) {
        while mailbox.bytes.get() > 0
            && (mailbox.bytes.get() >= self.mailbox_bytes_max || self.bytes.get() >= self.bytes_max)
        {
            mailbox.emptied.notified().await;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

/// What a payload costs while it waits: a message of one byte takes a place in a queue, too.
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

    fn mailboxes() -> (Inbox, Rc<Mailbox>, Rc<Mailbox>) {
        let inbox = Inbox::new(1000, 500);
        let [flood, quiet] = [1, 2].map(|peer| inbox.mailbox(PeerKey(peer), Lane::Control));
        (inbox, flood, quiet)
    }

    /// A flood from one peer must not delay another's heartbeat by more than a message.
    #[test]
    fn mailboxes_take_turns() {
        let (inbox, flood, quiet) = mailboxes();
        (0..3).for_each(|i| inbox.push(&flood, Bytes::from(vec![i])));
        inbox.push(&quiet, Bytes::from_static(b"q"));
        let order: Vec<_> = std::iter::from_fn(|| inbox.pop()).map(|m| (m.from.0, m.payload[0])).collect();
        assert_eq!(order, [(1, 0), (2, b'q'), (1, 1), (1, 2)]);
        assert_eq!(inbox.bytes(), 0);
    }

    #[test]
    fn a_full_mailbox_waits_until_it_is_emptied() {
        let (inbox, flood, quiet) = mailboxes();
        assert!(!is_ready(inbox.arrived()));
        while is_ready(inbox.room(&flood)) {
            inbox.push(&flood, Bytes::from(vec![0; 100]));
        }
        assert!(inbox.bytes() >= 500 && inbox.bytes() < 700);
        assert!(is_ready(inbox.arrived()));
        assert!(is_ready(inbox.room(&quiet)));
        while inbox.pop().is_some() {}
        assert!(is_ready(inbox.room(&flood)));
    }

    /// Reconnecting must not be a way around the bound, nor around the order.
    #[test]
    fn a_reconnect_finds_what_still_waits() {
        let (inbox, flood, _) = mailboxes();
        inbox.push(&flood, Bytes::from_static(b"x"));
        assert!(Rc::ptr_eq(&inbox.mailbox(PeerKey(1), Lane::Control), &flood));
        assert!(!Rc::ptr_eq(&inbox.mailbox(PeerKey(1), Lane::Bulk), &flood));
    }

    /// The bound on all together holds back those who have their share, not those who have nothing.
    #[test]
    fn a_full_inbox_still_takes_from_an_empty_mailbox() {
        let (inbox, flood, quiet) = mailboxes();
        inbox.push(&flood, Bytes::from(vec![0; 2000]));
        assert!(is_ready(inbox.room(&quiet)));
        inbox.push(&quiet, Bytes::from_static(b"q"));
        assert!(!is_ready(inbox.room(&quiet)));
    }
}
