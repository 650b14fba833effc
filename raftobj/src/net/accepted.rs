//! The connections that others make.
//!
//! It may not know what comes in on them. Begin with [`accept`].
//!
//! Whoever connects is a stranger until the handshake is done, and strangers are many: they are bounded in
//! number, in time and in bytes, and one more closes the oldest. Of each peer and lane there is one connection
//! at most: the newest, because a peer that lost the older one knows before we do.

use super::backoff::Backoff;
use super::close_reason::CloseReason;
use super::frame::Decoder;
use super::options::ms;
use super::status::{AcceptedStatus, Counter};
use super::warn_once::WarnOnce;
use super::{Lane, PeerKey, Shared, Side, handshake, tcp_options, transfer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// All accepted connections.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    table: RefCell<Table>,
    warnings: RefCell<WarnOnce>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the last connection; numbers are never used again.
    last: u64,
    /// In their handshake, oldest first.
    strangers: BTreeMap<u64, AbortHandle>,
    peers: BTreeMap<(PeerKey, Lane), Peer>,
}

/// A connection whose handshake is done.
#[derive(Debug)]
struct Peer {
    number: u64,
    task: AbortHandle,
    from: SocketAddr,
    counter: Rc<Counter>,
}

/// Accepts until the task is aborted.
pub(super) async fn accept(shared: Rc<Shared>, listener: TcpListener) {
    let mut backoff = Backoff::new(ACCEPT_WAIT_MIN, ACCEPT_WAIT_MAX, shared.options.seed);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                backoff.reset();
                admit(&shared, stream, from);
            }
            // The one that was to be accepted is gone; the next may be fine.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Out of descriptors or memory, most likely. The oldest stranger gives some back.
            Err(error) => {
                shared.accepted.close_oldest_stranger();
                if shared.accepted.is_news(&format!("accept: {}", error.kind())) {
                    warn!(%error, "cannot accept connections, trying again");
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

fn admit(shared: &Rc<Shared>, stream: TcpStream, from: SocketAddr) {
    let number = shared.accepted.next_number();
    let task = shared.spawn(serve(shared.clone(), stream, from, number));
    shared.accepted.begin(number, task, shared.options.handshakes_max);
}

/// The life of one accepted connection.
async fn serve(shared: Rc<Shared>, mut stream: TcpStream, from: SocketAddr, number: u64) {
    let (gate, options) = (&*shared.gate, &shared.options);
    let side = Side::Accepted { from };
    let mut decoder = Decoder::new(options.handshake_bytes_max);
    let shake = async {
        tcp_options::set_tcp_options(&stream, options)?;
        handshake::answer(&mut stream, &mut decoder, gate, side, options.handshake_bytes_max).await
    };
    let judged = timeout(ms(options.handshake_ms_max), shake).await.unwrap_or(Err(CloseReason::Silent));
    let Some(task) = shared.accepted.end(number) else {
        return;
    };
    let counter = Rc::new(Counter::default());
    let registered = judged.and_then(|(peer, lane)| {
        let entry = Peer { number, task, from, counter: counter.clone() };
        let former = shared.accepted.register(peer, lane, entry, options.accepted_max)?;
        Ok((peer, lane, former))
    });
    let (peer, lane, former) = match registered {
        Ok(registered) => registered,
        Err(closed) => {
            if let CloseReason::RefusedByThem(reason) = &closed {
                gate.refused(side, reason);
            }
            return shared.accepted.tell(from, &closed);
        }
    };
    if let Some(from) = former {
        debug!(%from, ?lane, ?peer, "replaced by a newer connection");
        gate.disconnected(peer, lane, Side::Accepted { from }, &CloseReason::Replaced);
    }
    debug!(%from, ?lane, ?peer, "accepted");
    gate.connected(peer, lane, side);
    decoder.set_limit(options.frame_bytes_max);
    let mailbox = shared.inbox.mailbox(peer, lane);
    let received = transfer::receive(&mut stream, &mut decoder, &shared.inbox, &mailbox, &counter).await;
    let closed = received.unwrap_or_else(|closed| closed);
    shared.accepted.tell(from, &closed);
    if shared.accepted.unregister(peer, lane, number) {
        gate.disconnected(peer, lane, side, &closed);
    }
}

impl Accepted {
    fn next_number(&self) -> u64 {
        let table = &mut *self.table.borrow_mut();
        table.last += 1;
        table.last
    }

    fn begin(&self, number: u64, task: AbortHandle, strangers_max: usize) {
        if self.handshakes() >= strangers_max {
            self.close_oldest_stranger();
            if self.is_news("handshakes_max") {
                warn!(strangers_max, "too many connections in their handshake, closing the oldest");
            }
        }
        self.table.borrow_mut().strangers.insert(number, task);
    }

    fn close_oldest_stranger(&self) {
        if let Some((_, oldest)) = self.table.borrow_mut().strangers.pop_first() {
            oldest.abort();
        }
    }

    fn end(&self, number: u64) -> Option<AbortHandle> {
        self.table.borrow_mut().strangers.remove(&number)
    }

    /// Enters the connection, and ends the one whose place it takes: where that came from.
    fn register(
        &self,
        peer: PeerKey,
        lane: Lane,
        entry: Peer,
        accepted_max: usize,
    ) -> Result<Option<SocketAddr>, CloseReason> {
        let peers = &mut self.table.borrow_mut().peers;
        if peers.len() >= accepted_max && !peers.contains_key(&(peer, lane)) {
            return Err(CloseReason::TooMany);
        }
        let former = peers.insert((peer, lane), entry);
        Ok(former.map(|former| {
            former.task.abort();
            former.from
        }))
    }

    /// False when another has taken the place.
    fn unregister(&self, peer: PeerKey, lane: Lane, number: u64) -> bool {
        let peers = &mut self.table.borrow_mut().peers;
        let is_ours = peers.get(&(peer, lane)).is_some_and(|entry| entry.number == number);
        if is_ours {
            peers.remove(&(peer, lane));
        }
        is_ours
    }

    fn tell(&self, from: SocketAddr, closed: &CloseReason) {
        // By host: ports are new each time.
        if closed.is_alarming() && self.is_news(&format!("{}: {}", from.ip(), closed.topic())) {
            warn!(%from, reason = %closed, "closed an accepted connection");
        } else {
            debug!(%from, reason = %closed, "closed an accepted connection");
        }
    }

    fn is_news(&self, warning: &str) -> bool {
        self.warnings.borrow_mut().is_new(warning, std::time::Instant::now())
    }

    pub(super) fn handshakes(&self) -> usize {
        self.table.borrow().strangers.len()
    }

    pub(super) fn status(&self) -> Vec<AcceptedStatus> {
        let status = |(&(peer, _), entry): (&(PeerKey, Lane), &Peer)| AcceptedStatus {
            peer,
            frames: entry.counter.frames(),
            bytes: entry.counter.bytes(),
        };
        self.table.borrow().peers.iter().map(status).collect()
    }
}

const ACCEPT_WAIT_MIN: Duration = Duration::from_millis(10);
const ACCEPT_WAIT_MAX: Duration = Duration::from_millis(1000);
