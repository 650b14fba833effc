//! Frames, connections, back-off: bytes from node to node.
//!
//! An introduction and a message are bytes to this room; what they mean, and who may connect, says the driver
//! through its [`ConnectionHandler`]. Begin with [`Net`].
//!
//! Each node dials two connections to each peer, a [`Lane`] each, and sends only on those; on those it accepts it
//! only receives. A large command on the bulk lane therefore never delays a heartbeat on the control lane, and
//! which of two connections between two nodes survives is no question.
//!
//! Everything runs on the thread that calls [`Net::start`], as tasks of its `LocalSet`. Nothing here waits for
//! the driver and nothing of the driver waits here: queues are bounded, and what does not fit is dropped and
//! said so ([`SendError`]), because the protocol above sends again what still matters.
//!
//! A message passes `batch` in an `outbox` → `transfer` → (TCP) → `transfer` → `frame` → `inbox`; connections are made by
//! `dialled` and `accepted`, which agree by `handshake`.

mod accepted;
mod backoff;
mod batch;
mod bind;
mod close_reason;
mod dialled;
mod first_ready;
mod frame;
#[cfg(raftobj_fuzz)]
pub(crate) mod fuzz;
mod handshake;
mod inbox;
mod options;
mod outbox;
mod status;
mod tcp_options;
mod transfer;
mod warn_once;

#[cfg(test)]
mod tests;

pub(crate) use batch::PayloadWriter;
pub(crate) use bind::bind;
pub(crate) use close_reason::CloseReason;
pub(crate) use first_ready::first_ready;
pub(crate) use inbox::Inbound;
pub(crate) use options::NetOptions;
pub(crate) use outbox::SendError;
pub(crate) use status::NetStatus;

use bytes::Bytes;
use dialled::PeerLink;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

/// One of the two connections to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Small messages that must not wait: votes, heartbeats, acknowledgements.
    Control,
    /// Everything that may be large.
    Bulk,
}

impl Lane {
    /// Both, in the order of their numbers.
    pub(crate) const ALL: [Lane; 2] = [Lane::Control, Lane::Bulk];
}

/// Who the other end is, by the judgement of the handler. Equal keys are one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey(pub(crate) u64);

/// A peer that is dialled. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(crate) u32);

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side<'a> {
    /// We dialled this address: here we send.
    Dialled { link: LinkId, address: &'a str },
    /// We were dialled from this address: here we receive.
    Accepted { from: SocketAddr },
}

/// What the driver knows and this room does not: who we are, and who may connect.
///
/// Called on the engine thread, between two of the driver's own steps. A callback does not wait; it may call
/// whatever it likes on the [`Net`].
pub(crate) trait ConnectionHandler {
    /// Our introduction, for a Hello if we dialled and for a Welcome if we accepted; after `check_hello` in the latter
    /// case. Below `handshake_bytes_max`, or the connection is not made.
    fn hello(&self, lane: Lane, side: Side<'_>) -> Bytes;

    /// Who the other end is, by its introduction; or why it is refused, in words: both ends log them, cut to
    /// `handshake_bytes_max`.
    ///
    /// # Errors
    /// The refusal.
    fn check_hello(&self, hello: &[u8], lane: Lane, side: Side<'_>) -> Result<PeerKey, Bytes>;

    /// The other end's gate refused us. Called for each attempt; attempts go on, at the longest wait.
    fn refused(&self, side: Side<'_>, reason: &[u8]);

    /// Both ends have accepted. On a connection that we dialled, messages are taken from now on.
    fn connected(&self, peer: PeerKey, lane: Lane, side: Side<'_>);

    /// A connection that was `connected` ended. What it brought may still wait in the inbox. Not called by
    /// [`Net::shutdown`].
    fn disconnected(&self, peer: PeerKey, lane: Lane, side: Side<'_>, why: &CloseReason);
}

/// All connections of a node. Dropping it ends them, once the `LocalSet` runs or is dropped.
pub(crate) struct Net {
    state: Rc<NetState>,
}

/// What the tasks share.
struct NetState {
    handler: Rc<dyn ConnectionHandler>,
    options: NetOptions,
    inbox: inbox::Inbox,
    accepted: accepted::Accepted,
    /// By [`LinkId`].
    links: RefCell<Vec<Rc<PeerLink>>>,
    tasks: RefCell<JoinSet<()>>,
}

impl Net {
    /// Accepts connections from now on. To be called within a `LocalSet`.
    ///
    /// # Errors
    /// The listener cannot be registered with the runtime.
    ///
    /// # Panics
    /// The options break a rule of [`NetOptions::check`].
    pub(crate) fn start(
        listener: std::net::TcpListener,
        handler: Rc<dyn ConnectionHandler>,
        options: NetOptions,
    ) -> io::Result<Net> {
        assert_eq!(options.check(), Ok(()), "options are checked where they are given");
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let state = Rc::new(NetState {
            handler,
            inbox: inbox::Inbox::new(options.inbox_bytes_max, options.receive_queue_bytes_max),
            accepted: accepted::Accepted::default(),
            links: RefCell::default(),
            tasks: RefCell::default(),
            options,
        });
        state.spawn(accepted::accept(state.clone(), listener));
        Ok(Net { state })
    }

    /// Keeps two connections to the node at `address` (`host:port`, `1.2.3.4:port` or `[::1]:port`; a name is
    /// resolved at each attempt). The same address gives the same link.
    pub(crate) fn dial(&self, address: &str) -> LinkId {
        let links = &mut *self.state.links.borrow_mut();
        if let Some(link) = links.iter().find(|link| link.address == address) {
            return link.id;
        }
        let id = LinkId(u32::try_from(links.len()).expect("fewer than 4 billion peers in one life"));
        let link = PeerLink::new(id, address, self.state.options.outbox_limits());
        for lane in Lane::ALL {
            let keep = dialled::keep_connected(self.state.clone(), link.clone(), lane);
            self.state.spawn(keep);
        }
        links.push(link);
        id
    }

    /// Tries again now, where an attempt is waited for: the peer is known to be there, for example because it
    /// has just connected to us.
    pub(crate) fn redial_now(&self, id: LinkId) {
        if let Some(link) = self.link(id) {
            link.redial_now();
        }
    }

    /// Queues the message that `write` encodes. Never waits: it goes out, together with all that is queued until
    /// then, when the driver next awaits something. `write` does not run when there is no connection, and does
    /// nothing but encode.
    ///
    /// # Errors
    /// The message was dropped, whole.
    pub(crate) fn send(
        &self,
        to: LinkId,
        lane: Lane,
        write: impl FnOnce(&mut PayloadWriter<'_>),
    ) -> Result<(), SendError> {
        let links = self.state.links.borrow();
        match links.get(to.0 as usize) {
            Some(link) => link.lanes[lane as usize].outbox.push(write),
            None => Err(SendError::Disconnected),
        }
    }

    /// The next message, peers and lanes taking turns.
    pub(crate) fn pop(&self) -> Option<Inbound> {
        self.state.inbox.pop()
    }

    /// Waits until [`Net::pop`] has something. May be dropped at any time.
    pub(crate) async fn arrived(&self) {
        self.state.inbox.arrived().await;
    }

    /// All connections, as they are now.
    pub(crate) fn status(&self) -> NetStatus {
        let links = self.state.links.borrow();
        let status = |link: &Rc<PeerLink>| Lane::ALL.map(|lane| link.status(lane));
        NetStatus {
            dialled: links.iter().flat_map(status).collect(),
            accepted: self.state.accepted.status(),
            handshakes: self.state.accepted.handshakes(),
            inbox_bytes: self.state.inbox.bytes(),
        }
    }

    /// Gives what is queued `flush_ms_max` to go out, and ends all tasks: on return the port is free.
    ///
    /// NB: a name that is just being resolved holds a thread of the runtime until the resolver gives up; end the
    /// runtime with `shutdown_timeout` or `shutdown_background`.
    pub(crate) async fn shutdown(self) {
        let deadline = Instant::now() + options::ms(self.state.options.flush_ms_max);
        let links: Vec<_> = self.state.links.borrow().iter().cloned().collect();
        for lane in links.iter().flat_map(|link| &link.lanes) {
            // What did not go out in time is lost, as it is when a process is killed.
            let _ = timeout_at(deadline, lane.outbox.drained()).await;
        }
        let mut tasks = self.state.tasks.take();
        tasks.shutdown().await;
    }

    fn link(&self, id: LinkId) -> Option<Rc<PeerLink>> {
        self.state.links.borrow().get(id.0 as usize).cloned()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.state.tasks.borrow_mut().abort_all();
    }
}

impl NetState {
    /// Runs a task until it ends, or all do.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let tasks = &mut *self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(task)
    }
}
