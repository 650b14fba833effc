//! Connections between nodes: frames, handshake, back-off, bounded queues.
//!
//! Hellos and messages are bytes here. The driver's [`ConnectionHandler`] writes our hello and decides who may
//! connect. Begin with [`Net`].
//!
//! **Who dials.** Every node dials every peer. A node sends only on connections that it dialled and receives only on
//! those that it accepted, so two nodes that dial each other at once have nothing to resolve.
//!
//! **Two lanes.** A link is two connections to one address, a [`Lane`] each: `Control` for small messages that must
//! not wait, `Bulk` for the rest. A large command never delays a heartbeat. Order is kept within a lane.
//!
//! **Handshake** (`handshake`). Hello, Welcome, Ready: each end checks the other's hello, and may refuse it with a
//! reason that both ends log. Messages follow the Ready. A peer that connects again on a lane replaces its older
//! connection.
//!
//! **Back-off** (`dialled`, `backoff`). After a failed attempt or a closed connection the dialler waits: half to all
//! of a span that starts at `backoff_ms_min`, doubles up to `backoff_ms_max`, and starts anew after a connection that
//! lasted `settled_ms_min`. After a refusal it waits the longest span. [`Net::redial_now`] ends the wait.
//!
//! **Bounds** ([`NetOptions`]), and what happens at each. A message is dropped only by [`Net::send`] or because its
//! connection ended; the protocol above retries what still matters.
//!
//! | bound | what happens at it |
//! |---|---|
//! | no connection | [`Net::send`] drops the message: [`SendError::Disconnected`] |
//! | `outbox_bytes_max`, `outbox_frames_max`, per lane of a peer | [`Net::send`] drops the message: [`SendError::Full`] |
//! | `frame_bytes_max` | [`Net::send`] drops the message: [`SendError::TooLarge`]; a receiver closes the connection |
//! | `stall_ms_max` without a byte taken by TCP | the sender closes the connection, and its queue is lost |
//! | `receive_queue_bytes_max` per lane of a peer, `inbox_bytes_max` | the reader stops, and TCP stops the peer |
//! | `handshake_bytes_max`, `handshake_ms_max` | the connection is closed |
//! | `handshakes_max` | accepting pauses until a handshake ends; after `handshake_ms_min` the oldest one is closed |
//! | `accepted_max` | the new connection is closed |
//! | keepalive, `user_timeout_ms` | the operating system closes the connection |
//!
//! Everything runs on the thread that calls [`Net::start`], as tasks of its `LocalSet`. [`Net::send`] and
//! [`Net::pop`] never wait, and no task waits for the driver, except a reader whose queue is full.
//!
//! A message passes `batch` in an `outbox` → `transfer` → (TCP) → `transfer` → `frame` → `inbox`.

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

/// One of the two connections of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Small messages that must not wait: votes, heartbeats, acknowledgements.
    Control,
    /// Messages that may be large.
    Bulk,
}

impl Lane {
    /// Both lanes, in the order of `lane as usize`.
    pub(crate) const ALL: [Lane; 2] = [Lane::Control, Lane::Bulk];
}

/// The peer at the other end, as [`ConnectionHandler::check_hello`] identified it. Equal keys are one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey(pub(crate) u64);

/// An address that is dialled. Numbers are never reused.
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

/// What the connections ask and notify the node: who we are, who may connect, who is connected.
///
/// Called on the engine thread, between two steps of the driver. A callback must not wait; it may call any method of
/// [`Net`].
pub(crate) trait ConnectionHandler {
    /// Our hello: sent in a Hello frame if we dialled, in a Welcome frame if we accepted. If we accepted,
    /// `check_hello` was called before. A hello of `handshake_bytes_max` bytes or more fails the handshake.
    fn hello(&self, lane: Lane, side: Side<'_>) -> Bytes;

    /// Identifies the other end by its hello, or refuses it.
    ///
    /// # Errors
    /// The reason for the refusal, as text. Both ends log it, cut to `handshake_bytes_max`.
    fn check_hello(&self, hello: &[u8], lane: Lane, side: Side<'_>) -> Result<PeerKey, Bytes>;

    /// The other end refused us. Called for each attempt; a dialler retries after the longest wait.
    fn refused(&self, side: Side<'_>, reason: &[u8]);

    /// The handshake is done. If we dialled, [`Net::send`] queues messages from now on.
    fn connected(&self, peer: PeerKey, lane: Lane, side: Side<'_>);

    /// A connection that was reported by `connected` ended. Its last messages may still be in the inbox. Not called
    /// by [`Net::shutdown`].
    fn disconnected(&self, peer: PeerKey, lane: Lane, side: Side<'_>, why: &CloseReason);
}

/// All connections of a node. Dropping it closes them, once the `LocalSet` runs or is dropped.
pub(crate) struct Net {
    state: Rc<NetState>,
}

/// State that the tasks share.
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
    /// Begins to accept connections. Call it within a `LocalSet`.
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
        assert_eq!(options.check(), Ok(()), "the caller checks the options");
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
        let id = LinkId(u32::try_from(links.len()).expect("fewer than 2^32 addresses in one process"));
        let link = PeerLink::new(id, address, self.state.options.outbox_limits());
        for lane in Lane::ALL {
            let keep = dialled::keep_connected(self.state.clone(), link.clone(), lane);
            self.state.spawn(keep);
        }
        links.push(link);
        id
    }

    /// Ends the wait between two attempts: for a peer that is known to be up, for example because it has just
    /// connected to us.
    pub(crate) fn redial_now(&self, id: LinkId) {
        if let Some(link) = self.link(id) {
            link.redial_now();
        }
    }

    /// Queues the message that `write` encodes. Never waits: all queued messages are sent together when the driver
    /// next awaits. `write` must only encode; it is not called if there is no connection.
    ///
    /// # Errors
    /// The whole message was dropped.
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

    /// The next message. Peers and lanes take turns.
    pub(crate) fn pop(&self) -> Option<Inbound> {
        self.state.inbox.pop()
    }

    /// Waits until [`Net::pop`] has a message. Cancel-safe.
    pub(crate) async fn arrived(&self) {
        self.state.inbox.arrived().await;
    }

    /// All connections at this moment.
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

    /// Sends what is queued, for at most `flush_ms_max`, then ends all tasks. On return the port is free.
    ///
    /// NB: a running name lookup holds a thread of the runtime until the resolver gives up. End the runtime with
    /// `shutdown_timeout` or `shutdown_background`.
    pub(crate) async fn shutdown(self) {
        let deadline = Instant::now() + options::ms(self.state.options.flush_ms_max);
        let links: Vec<_> = self.state.links.borrow().iter().cloned().collect();
        for lane in links.iter().flat_map(|link| &link.lanes) {
            // What was not sent in time is lost, as it is when a process is killed.
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
    /// Runs a task until it ends or [`Net`] does.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let tasks = &mut *self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(task)
    }
}
