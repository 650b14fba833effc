//! The connections that we dial: one for each lane of each link, redialled whenever it ends.
//!
//! It may not know what a message means. Begin with [`keep_connected`].
//!
//! ```text
//!   resolve ─▶ connect ─▶ handshake ─▶ connected ─┐
//!      ▲             any failure                  │ closed
//!      └───────────── wait (back-off) ◀───────────┘
//! ```

use super::close_reason::CloseReason;
use super::first_ready::first_ready;
use super::options::ms;
use super::status::{DialledStatus, LaneCounts};
use super::warn_once::WarnOnce;
use super::{
    Lane, LinkId, NetState, PeerKey, Side, backoff::Backoff, handshake, outbox::Outbox, tcp_options, transfer,
};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

/// An address that is dialled, with its two connections.
#[derive(Debug)]
pub(super) struct PeerLink {
    pub(super) id: LinkId,
    pub(super) address: String,
    /// In the order of [`Lane::ALL`].
    pub(super) lanes: [LinkLane; 2],
    warnings: RefCell<WarnOnce>,
}

/// One lane of a link.
#[derive(Debug)]
pub(super) struct LinkLane {
    pub(super) outbox: Outbox,
    /// The peer, while there is a connection.
    connected: Cell<Option<PeerKey>>,
    connections: Cell<u64>,
    redial: Notify,
    counts: LaneCounts,
}

impl PeerLink {
    pub(super) fn new(id: LinkId, address: &str, limits: super::outbox::OutboxLimits) -> Rc<PeerLink> {
        let lanes = Lane::ALL.map(|_| LinkLane {
            outbox: Outbox::new(limits),
            connected: Cell::default(),
            connections: Cell::default(),
            redial: Notify::new(),
            counts: LaneCounts::default(),
        });
        Rc::new(PeerLink { id, address: address.to_string(), lanes, warnings: RefCell::default() })
    }

    /// Ends the wait between two attempts.
    pub(super) fn redial_now(&self) {
        for lane in self.lanes.iter().filter(|lane| lane.connected.get().is_none()) {
            lane.redial.notify_one();
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
            frames: this.counts.frames(),
            bytes: this.counts.bytes(),
            dropped: this.outbox.dropped(),
            bytes_waiting: this.outbox.bytes(),
        }
    }
}

/// Dials, sends, waits and redials until the task is aborted.
pub(super) async fn keep_connected(state: Rc<NetState>, link: Rc<PeerLink>, lane: Lane) {
    let options = &state.options;
    let seed = options.seed ^ (u64::from(link.id.0) << 1 | lane as u64).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut backoff = Backoff::new(ms(options.backoff_ms_min), ms(options.backoff_ms_max), seed);
    let this = &link.lanes[lane as usize];
    loop {
        let why = match connect(&state, &link, lane).await {
            Ok((stream, peer)) => {
                let since = Instant::now();
                let why = serve(&state, &link, lane, stream, peer).await;
                if since.elapsed() >= ms(options.settled_ms_min) {
                    backoff.reset();
                }
                why
            }
            Err(why) => why,
        };
        log_close(&link, lane, &why);
        let refused = match &why {
            CloseReason::RefusedByPeer(reason) => {
                state.handler.refused(link.side(), reason);
                true
            }
            CloseReason::RefusedByUs(_) => true,
            _ => false,
        };
        let wait = if refused { backoff.longest() } else { backoff.next() };
        first_ready(sleep(wait), this.redial.notified()).await;
    }
}

/// One attempt: a connection whose handshake is done.
async fn connect(state: &NetState, link: &PeerLink, lane: Lane) -> Result<(TcpStream, PeerKey), CloseReason> {
    let options = &state.options;
    let mut stream = connect_tcp(&link.address, options.connect_ms_max).await?;
    tcp_options::set_tcp_options(&stream, options)?;
    let handler = &*state.handler;
    let handshake = handshake::dial(&mut stream, handler, link.side(), lane, options.handshake_bytes_max);
    let peer = timeout(ms(options.handshake_ms_max), handshake)
        .await
        .map_err(|_| CloseReason::HandshakeTimeout)??;
    Ok((stream, peer))
}

/// Connects to the first address of the name that answers.
async fn connect_tcp(address: &str, connect_ms_max: u64) -> Result<TcpStream, CloseReason> {
    let mut failure = CloseReason::NoAddress;
    // NB: no timeout of ours. The lookup runs on a thread that cannot be stopped: each retry after a timeout would
    // block another thread. The resolver has its own timeouts.
    for one in lookup_host(address).await.map_err(CloseReason::Resolve)? {
        match timeout(ms(connect_ms_max), TcpStream::connect(one)).await {
            Ok(Ok(stream)) if is_self_connection(&stream) => failure = CloseReason::SelfConnection,
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = CloseReason::Io(error),
            Err(_) => failure = CloseReason::ConnectTimeout,
        }
    }
    Err(failure)
}

/// If no process listens on a local port, TCP may choose that port as the socket's own and connect the socket to
/// itself. Such a connection would also keep the peer from binding its port.
fn is_self_connection(stream: &TcpStream) -> bool {
    let ends: io::Result<_> = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
    ends.is_ok_and(|(local, peer)| local == peer)
}

async fn serve(
    state: &NetState,
    link: &PeerLink,
    lane: Lane,
    mut stream: TcpStream,
    peer: PeerKey,
) -> CloseReason {
    let this = &link.lanes[lane as usize];
    debug!(address = %link.address, ?lane, ?peer, "connected");
    link.warnings.borrow_mut().reset();
    this.connected.set(Some(peer));
    this.connections.set(this.connections.get() + 1);
    this.outbox.open();
    state.handler.connected(peer, lane, link.side());
    let stall = ms(state.options.stall_ms_max);
    let why = transfer::send_messages(&mut stream, &this.outbox, &this.counts, stall).await;
    this.outbox.close();
    this.connected.set(None);
    state.handler.disconnected(peer, lane, link.side(), &why);
    why
}

fn log_close(link: &PeerLink, lane: Lane, why: &CloseReason) {
    // Both lanes fail together: one warning.
    let now = std::time::Instant::now();
    if why.deserves_warning() && link.warnings.borrow_mut().should_warn(&why.topic(), now) {
        warn!(address = %link.address, reason = %why, "no connection to a peer");
    } else {
        debug!(address = %link.address, ?lane, reason = %why, "no connection to a peer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Redialling a local port on which no process listens causes one sooner or later.
    #[test]
    fn a_connection_to_itself_is_detected() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let own = socket.local_addr().unwrap();
            assert!(is_self_connection(&socket.connect(own).await.unwrap()));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            assert!(!is_self_connection(&stream));
        });
    }
}
