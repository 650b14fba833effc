//! The connections that other nodes dial.
//!
//! It may not know what a message means. Begin with [`accept`].
//!
//! A connection is unidentified until its handshake is done. Unidentified connections are bounded in number, time and
//! bytes; at the bound accepting pauses until there is room, and closes the oldest one if it must. Each peer has at most one connection a lane: the newest, because a peer notices
//! the loss of the older one before we do.

use super::backoff::Backoff;
use super::close_reason::CloseReason;
use super::first_ready::first_ready;
use super::frame::Decoder;
use super::options::{NetOptions, ms};
use super::status::{AcceptedStatus, LaneCounts};
use super::warn_once::WarnOnce;
use super::{Lane, NetState, PeerKey, Side, handshake, tcp_options, transfer};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, warn};

/// All accepted connections.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    table: RefCell<Table>,
    slots: Rc<Slots>,
    warnings: RefCell<WarnOnce>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the last connection. Numbers are never reused.
    last: u64,
    /// In their handshake, oldest first.
    unidentified: BTreeMap<u64, Handshake>,
    peers: BTreeMap<(PeerKey, Lane), AcceptedPeer>,
}

/// A connection in its handshake.
#[derive(Debug)]
struct Handshake {
    task: AbortHandle,
    since: Instant,
}

/// Counts the sockets of connections in their handshake. NB: a task that is aborted has its socket for a while.
#[derive(Debug, Default)]
struct Slots {
    taken: Cell<usize>,
    freed: Notify,
}

/// The socket of a connection in its handshake is open.
#[derive(Debug)]
struct Slot(Rc<Slots>);

impl Slot {
    fn take(slots: &Rc<Slots>) -> Slot {
        slots.taken.set(slots.taken.get() + 1);
        Slot(Rc::clone(slots))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.freed.notify_one();
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
struct AcceptedPeer {
    number: u64,
    task: AbortHandle,
    from: SocketAddr,
    counts: Rc<LaneCounts>,
}

/// Accepts until the task is aborted.
pub(super) async fn accept(state: Rc<NetState>, listener: TcpListener) {
    let mut backoff = Backoff::new(ACCEPT_WAIT_MIN, ACCEPT_WAIT_MAX, state.options.seed);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                backoff.reset();
                state.accepted.wait_for_slot(&state.options).await;
                spawn_serve(&state, stream, from);
            }
            // The peer closed this connection before it was accepted; the next one may be fine.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Most likely out of descriptors or memory: closing the oldest unidentified connection frees some.
            Err(error) => {
                state.accepted.close_oldest_unidentified();
                if state.accepted.should_warn(&format!("accept: {}", error.kind())) {
                    warn!(%error, "cannot accept connections, trying again");
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

fn spawn_serve(state: &Rc<NetState>, stream: TcpStream, from: SocketAddr) {
    let number = state.accepted.next_number();
    let slot = Slot::take(&state.accepted.slots);
    let task = state.spawn(serve(state.clone(), stream, from, number, slot));
    state.accepted.begin_handshake(number, task);
}

/// Runs one accepted connection from its handshake to its end.
async fn serve(state: Rc<NetState>, mut stream: TcpStream, from: SocketAddr, number: u64, slot: Slot) {
    let (handler, options) = (&*state.handler, &state.options);
    let side = Side::Accepted { from };
    let mut decoder = Decoder::new(options.handshake_bytes_max);
    let handshake = async {
        tcp_options::set_tcp_options(&stream, options)?;
        handshake::answer(&mut stream, &mut decoder, handler, side, options.handshake_bytes_max).await
    };
    let identified =
        timeout(ms(options.handshake_ms_max), handshake).await.unwrap_or(Err(CloseReason::HandshakeTimeout));
    let Some(task) = state.accepted.end_handshake(number) else {
        return;
    };
    let counts = Rc::new(LaneCounts::default());
    let registered = identified.and_then(|(peer, lane)| {
        let entry = AcceptedPeer { number, task, from, counts: counts.clone() };
        let replaced = state.accepted.register(peer, lane, entry, options.accepted_max)?;
        Ok((peer, lane, replaced))
    });
    let (peer, lane, replaced) = match registered {
        Ok(registered) => registered,
        Err(why) => {
            if let CloseReason::RefusedByPeer(reason) = &why {
                handler.refused(side, reason);
            }
            return state.accepted.log_close(from, &why);
        }
    };
    drop(slot);
    if let Some(from) = replaced {
        debug!(%from, ?lane, ?peer, "replaced by a newer connection");
        handler.disconnected(peer, lane, Side::Accepted { from }, &CloseReason::Replaced);
    }
    debug!(%from, ?lane, ?peer, "accepted");
    handler.connected(peer, lane, side);
    decoder.set_limit(options.frame_bytes_max);
    let queue = state.inbox.queue(peer, lane);
    let received = transfer::receive_messages(&mut stream, &mut decoder, &state.inbox, &queue, &counts).await;
    let why = received.unwrap_or_else(|why| why);
    state.accepted.log_close(from, &why);
    if state.accepted.unregister(peer, lane, number) {
        handler.disconnected(peer, lane, side, &why);
    }
}

impl Accepted {
    fn next_number(&self) -> u64 {
        let table = &mut *self.table.borrow_mut();
        table.last += 1;
        table.last
    }

    /// Waits until fewer than `handshakes_max` connections are in their handshake. Closes the oldest one once it has had
    /// `handshake_ms_min`.
    async fn wait_for_slot(&self, options: &NetOptions) {
        let handshakes_max = options.handshakes_max;
        while self.slots.taken.get() >= handshakes_max {
            if self.should_warn("handshakes_max") {
                warn!(handshakes_max, "too many connections in their handshake, closing the oldest");
            }
            let oldest = self.table.borrow().unidentified.first_key_value().map(|(_, oldest)| oldest.since);
            match oldest.map(|since| since + ms(options.handshake_ms_min)) {
                Some(until) if until > Instant::now() => {
                    first_ready(self.slots.freed.notified(), sleep_until(until)).await;
                }
                // Its socket is closed when its task has ended.
                Some(_) => {
                    self.close_oldest_unidentified();
                    self.slots.freed.notified().await;
                }
                None => self.slots.freed.notified().await,
            }
        }
    }

    fn begin_handshake(&self, number: u64, task: AbortHandle) {
        self.table.borrow_mut().unidentified.insert(number, Handshake { task, since: Instant::now() });
    }

    fn close_oldest_unidentified(&self) {
        if let Some((_, oldest)) = self.table.borrow_mut().unidentified.pop_first() {
            oldest.task.abort();
        }
    }

    fn end_handshake(&self, number: u64) -> Option<AbortHandle> {
        self.table.borrow_mut().unidentified.remove(&number).map(|handshake| handshake.task)
    }

    /// Registers the connection. If it replaces another one, ends that and returns its address.
    fn register(
        &self,
        peer: PeerKey,
        lane: Lane,
        entry: AcceptedPeer,
        accepted_max: usize,
    ) -> Result<Option<SocketAddr>, CloseReason> {
        let peers = &mut self.table.borrow_mut().peers;
        if peers.len() >= accepted_max && !peers.contains_key(&(peer, lane)) {
            return Err(CloseReason::TooManyConnections);
        }
        let replaced = peers.insert((peer, lane), entry);
        Ok(replaced.map(|older| {
            older.task.abort();
            older.from
        }))
    }

    /// False if a newer connection has replaced this one.
    fn unregister(&self, peer: PeerKey, lane: Lane, number: u64) -> bool {
        let peers = &mut self.table.borrow_mut().peers;
        let is_current = peers.get(&(peer, lane)).is_some_and(|entry| entry.number == number);
        if is_current {
            peers.remove(&(peer, lane));
        }
        is_current
    }

    fn log_close(&self, from: SocketAddr, why: &CloseReason) {
        // By host: each connection has another port.
        if why.deserves_warning() && self.should_warn(&format!("{}: {}", from.ip(), why.topic())) {
            warn!(%from, reason = %why, "closed an accepted connection");
        } else {
            debug!(%from, reason = %why, "closed an accepted connection");
        }
    }

    fn should_warn(&self, topic: &str) -> bool {
        self.warnings.borrow_mut().should_warn(topic, std::time::Instant::now())
    }

    /// Sockets of connections in their handshake.
    #[cfg(test)]
    pub(super) fn sockets(&self) -> usize {
        self.slots.taken.get()
    }

    pub(super) fn handshakes(&self) -> usize {
        self.table.borrow().unidentified.len()
    }

    pub(super) fn status(&self) -> Vec<AcceptedStatus> {
        let status = |(&(peer, _), entry): (&(PeerKey, Lane), &AcceptedPeer)| AcceptedStatus {
            peer,
            frames: entry.counts.frames(),
            bytes: entry.counts.bytes(),
        };
        self.table.borrow().peers.iter().map(status).collect()
    }
}

const ACCEPT_WAIT_MIN: Duration = Duration::from_millis(10);
const ACCEPT_WAIT_MAX: Duration = Duration::from_millis(1000);
