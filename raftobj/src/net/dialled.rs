//! The connections that we make: one a lane to each peer, again and again.
//!
//! It may not know what is sent on them. Begin with [`keep_connected`].
//!
//! ```text
//!   resolve ─▶ connect ─▶ handshake ─▶ connected ─┐
//!      ▲                                          │ whatever ends it
//!      └───────────── wait (back-off) ◀───────────┘
//! ```

use super::close_reason::CloseReason;
use super::first_ready::first_ready;
use super::options::ms;
use super::status::{Counter, DialledStatus};
use super::warn_once::WarnOnce;
use super::{
    Lane, LinkId, PeerKey, Shared, Side, backoff::Backoff, handshake, outbox::Outbox, tcp_options, transfer,
};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

/// A peer that is dialled.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) address: String,
    /// In the order of [`Lane::ALL`].
    pub(super) lanes: [LinkLane; 2],
    warnings: RefCell<WarnOnce>,
}

/// One of its two connections.
#[derive(Debug)]
pub(super) struct LinkLane {
    pub(super) outbox: Outbox,
    /// Set while there is a connection.
    connected: Cell<Option<PeerKey>>,
    connections: Cell<u64>,
    hurry: Notify,
    counter: Counter,
}

impl Link {
    pub(super) fn new(id: LinkId, address: &str, limits: super::outbox::Limits) -> Rc<Link> {
        let lanes = Lane::ALL.map(|_| LinkLane {
            outbox: Outbox::new(limits),
            connected: Cell::default(),
            connections: Cell::default(),
            hurry: Notify::new(),
            counter: Counter::default(),
        });
        Rc::new(Link { id, address: address.to_string(), lanes, warnings: RefCell::default() })
    }

    /// Ends the wait between two attempts.
    pub(super) fn hurry(&self) {
        for lane in self.lanes.iter().filter(|lane| lane.connected.get().is_none()) {
            lane.hurry.notify_one();
        }
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side::Dialled { link: self.id, address: &self.address }
    }

    pub(super) fn status(&self, lane: Lane) -> DialledStatus {
        let this = &self.lanes[lane as usize];
        DialledStatus {
            link: self.id,
            connected: this.connected.get(),
            connections: this.connections.get(),
            frames: this.counter.frames(),
            bytes: this.counter.bytes(),
            dropped: this.outbox.dropped(),
            bytes_waiting: this.outbox.bytes(),
        }
    }
}

/// Dials, sends, waits, and dials again, until the task is aborted.
pub(super) async fn keep_connected(shared: Rc<Shared>, link: Rc<Link>, lane: Lane) {
    let options = &shared.options;
    let seed = options.seed ^ (u64::from(link.id.0) << 1 | lane as u64).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut backoff = Backoff::new(ms(options.backoff_ms_min), ms(options.backoff_ms_max), seed);
    let this = &link.lanes[lane as usize];
    loop {
        let closed = match connect(&shared, &link, lane).await {
            Ok((stream, peer)) => {
                let since = Instant::now();
                let closed = serve(&shared, &link, lane, stream, peer).await;
                if since.elapsed() >= ms(options.settled_ms_min) {
                    backoff.reset();
                }
                closed
            }
            Err(closed) => closed,
        };
        tell(&link, lane, &closed);
        let refused = match &closed {
            CloseReason::RefusedByThem(reason) => {
                shared.gate.refused(link.side(), reason);
                true
            }
            CloseReason::RefusedByUs(_) => true,
            _ => false,
        };
        let wait = if refused { backoff.longest() } else { backoff.next() };
        first_ready(sleep(wait), this.hurry.notified()).await;
    }
}

/// One attempt, up to a connection that both ends accepted.
async fn connect(shared: &Shared, link: &Link, lane: Lane) -> Result<(TcpStream, PeerKey), CloseReason> {
    let options = &shared.options;
    let mut stream = reach(&link.address, options.connect_ms_max).await?;
    tcp_options::set_tcp_options(&stream, options)?;
    let gate = &*shared.gate;
    let shake = handshake::dial(&mut stream, gate, link.side(), lane, options.handshake_bytes_max);
    let peer = timeout(ms(options.handshake_ms_max), shake).await.map_err(|_| CloseReason::Silent)??;
    Ok((stream, peer))
}

/// A connection to any of the addresses that the name has now.
async fn reach(address: &str, connect_ms_max: u64) -> Result<TcpStream, CloseReason> {
    let mut failure = CloseReason::NoAddress;
    // NB: without a timeout of ours. The lookup runs on a thread that cannot be stopped; giving it up would only
    // start another one beside it. The resolver has its own timeouts.
    for one in lookup_host(address).await.map_err(CloseReason::Resolve)? {
        match timeout(ms(connect_ms_max), TcpStream::connect(one)).await {
            Ok(Ok(stream)) if is_loop(&stream) => failure = CloseReason::Itself,
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = CloseReason::Io(error),
            Err(_) => failure = CloseReason::NoAnswer,
        }
    }
    Err(failure)
}

/// TCP lets a socket connect to itself when it is given, as its own port, the one it dials and nobody listens
/// there. It would also keep the peer from its port.
fn is_loop(stream: &TcpStream) -> bool {
    let ends: io::Result<_> = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
    ends.is_ok_and(|(local, peer)| local == peer)
}

async fn serve(
    shared: &Shared,
    link: &Link,
    lane: Lane,
    mut stream: TcpStream,
    peer: PeerKey,
) -> CloseReason {
    let this = &link.lanes[lane as usize];
    debug!(address = %link.address, ?lane, ?peer, "connected");
    link.warnings.borrow_mut().forget();
    this.connected.set(Some(peer));
    this.connections.set(this.connections.get() + 1);
    this.outbox.open();
    shared.gate.connected(peer, lane, link.side());
    let stall = ms(shared.options.stall_ms_max);
    let closed = transfer::send(&mut stream, &this.outbox, &this.counter, stall).await;
    this.outbox.close();
    this.connected.set(None);
    shared.gate.disconnected(peer, lane, link.side(), &closed);
    closed
}

fn tell(link: &Link, lane: Lane, closed: &CloseReason) {
    // Said once for both lanes.
    let alarming = closed.is_alarming();
    if alarming && link.warnings.borrow_mut().is_new(&closed.topic(), std::time::Instant::now()) {
        warn!(address = %link.address, reason = %closed, "no connection to a peer");
    } else {
        debug!(address = %link.address, ?lane, reason = %closed, "no connection to a peer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Redialling a port on this machine that nobody listens on hits it sooner or later.
    #[test]
    fn a_connection_to_itself_is_known() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let own = socket.local_addr().unwrap();
            assert!(is_loop(&socket.connect(own).await.unwrap()));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            assert!(!is_loop(&stream));
        });
    }
}
