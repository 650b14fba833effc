//! Real connections on loopback, with correct peers and with faulty ones.
//!
//! All nodes of a test share a thread. No test sleeps to let something happen: it waits for what it asserts, with a
//! bound.

mod correct_peers;
mod faulty_peers;

use super::*;
use std::time::Duration;

/// A handler whose hello is eight bytes: the key.
struct TestHandler {
    key: u64,
    /// The keys that it refuses.
    refuses: RefCell<Vec<u64>>,
    events: RefCell<Vec<Event>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Connected(u64, Lane, End),
    Disconnected(u64, Lane, End, String),
    Refused(End, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dialled,
    Accepted,
}

fn end(side: Side<'_>) -> End {
    match side {
        Side::Dialled { .. } => End::Dialled,
        Side::Accepted { .. } => End::Accepted,
    }
}

impl TestHandler {
    fn new(key: u64) -> Rc<TestHandler> {
        Rc::new(TestHandler { key, refuses: RefCell::default(), events: RefCell::default() })
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.borrow().iter().filter(|event| wanted(event)).count()
    }
}

impl ConnectionHandler for TestHandler {
    fn hello(&self, _: Lane, _: Side<'_>) -> Bytes {
        Bytes::copy_from_slice(&self.key.to_le_bytes())
    }

    fn check_hello(&self, hello: &[u8], _: Lane, _: Side<'_>) -> Result<PeerKey, Bytes> {
        let key = hello.try_into().map_err(|_| Bytes::from_static(b"a hello has eight bytes"))?;
        let key = u64::from_le_bytes(key);
        if self.refuses.borrow().contains(&key) {
            return Err(Bytes::from(format!("{} refuses {key}", self.key)));
        }
        Ok(PeerKey(key))
    }

    fn refused(&self, side: Side<'_>, reason: &[u8]) {
        let reason = String::from_utf8(reason.to_vec()).unwrap();
        self.events.borrow_mut().push(Event::Refused(end(side), reason));
    }

    fn connected(&self, peer: PeerKey, lane: Lane, side: Side<'_>) {
        self.events.borrow_mut().push(Event::Connected(peer.0, lane, end(side)));
    }

    fn disconnected(&self, peer: PeerKey, lane: Lane, side: Side<'_>, why: &CloseReason) {
        let event = Event::Disconnected(peer.0, lane, end(side), why.to_string());
        self.events.borrow_mut().push(event);
    }
}

struct Node {
    net: Net,
    handler: Rc<TestHandler>,
    address: String,
}

impl Node {
    fn start(key: u64) -> Node {
        Node::with(key, "127.0.0.1:0", quick())
    }

    fn with(key: u64, address: &str, options: NetOptions) -> Node {
        Node::on(key, bind(address).unwrap(), options)
    }

    fn on(key: u64, listener: std::net::TcpListener, options: NetOptions) -> Node {
        let address = listener.local_addr().unwrap().to_string();
        let handler = TestHandler::new(key);
        Node { net: Net::start(listener, handler.clone(), options).unwrap(), handler, address }
    }

    /// Dials, and waits until both lanes are connected.
    async fn connect(&self, address: &str) -> LinkId {
        let link = self.net.dial(address);
        until("both lanes are connected", || self.is_connected(link)).await;
        link
    }

    fn is_connected(&self, link: LinkId) -> bool {
        let dialled = self.net.status().dialled;
        dialled.iter().filter(|lane| lane.link == link && lane.connected.is_some()).count() == 2
    }

    fn send(&self, to: LinkId, lane: Lane, payload: &[u8]) -> Result<(), SendError> {
        self.net.send(to, lane, |out| out.bytes().extend_from_slice(payload))
    }

    async fn receive(&self) -> Inbound {
        bounded("a message", self.net.arrived()).await;
        self.net.pop().unwrap()
    }

    /// Waits until a message of another node arrives here: the connection works.
    async fn receives_from(&self, from: &Node, link: LinkId) {
        from.send(link, Lane::Control, b"are you there?").unwrap();
        loop {
            let message = self.receive().await;
            if message.from.0 == from.handler.key && message.payload == "are you there?" {
                return;
            }
        }
    }
}

/// Short waits; everything else as in production.
fn quick() -> NetOptions {
    NetOptions { backoff_ms_min: 1, backoff_ms_max: 20, ..NetOptions::default() }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

async fn bounded<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .unwrap_or_else(|_| panic!("timed out: {what}"))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    bounded(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
