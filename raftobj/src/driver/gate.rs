//! What the connections ask the node: who we are, who may connect, who is there.

use crate::net::{CloseReason, ConnectionHandler, Lane, LinkId, PeerKey, Side};
use crate::node::Node;
use crate::raft::types::NodeId;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tokio::sync::Notify;

/// The node's side of the connections. All of it runs on the engine's thread, between two of its turns.
pub(crate) struct NodeGate {
    node: Rc<RefCell<Node>>,
    /// Where messages for a peer go.
    links: RefCell<BTreeMap<NodeId, LinkId>>,
    /// Addresses of peers that have connected to us since the engine's last turn: they are there, so dial them at
    /// once.
    arrived: RefCell<BTreeSet<String>>,
    /// The last refusal that each address was told of in the log.
    told: RefCell<BTreeMap<String, Bytes>>,
    touched: Notify,
}

impl NodeGate {
    pub(crate) fn new(node: Rc<RefCell<Node>>) -> NodeGate {
        NodeGate {
            node,
            links: RefCell::default(),
            arrived: RefCell::default(),
            told: RefCell::default(),
            touched: Notify::new(),
        }
    }

    /// Where messages for a peer go, if it was ever reached.
    pub(crate) fn link(&self, peer: NodeId) -> Option<LinkId> {
        self.links.borrow().get(&peer).copied()
    }

    /// Why the node at an address refuses this one, if it does.
    pub(crate) fn refusal(&self, address: &str) -> Option<String> {
        self.told.borrow().get(address).map(|reason| String::from_utf8_lossy(reason).into_owned())
    }

    /// The addresses of the peers that have connected to us since the last time.
    pub(crate) fn take_arrived(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.arrived.borrow_mut())
    }

    /// Returns when the node was told something here.
    pub(crate) async fn touched(&self) {
        self.touched.notified().await;
    }
}

impl ConnectionHandler for NodeGate {
    fn hello(&self, _lane: Lane, _side: Side<'_>) -> Bytes {
        Bytes::from(self.node.borrow().hello().encode())
    }

    fn check_hello(&self, hello: &[u8], _lane: Lane, side: Side<'_>) -> Result<PeerKey, Bytes> {
        let dialled = match side {
            Side::Dialled { address, .. } => Some(address),
            Side::Accepted { .. } => None,
        };
        let judged = self.node.borrow_mut().judge(hello, dialled);
        self.touched.notify_one();
        let (node, address) = judged.map_err(Bytes::from)?;
        if dialled.is_none() {
            self.arrived.borrow_mut().insert(address);
        }
        Ok(PeerKey(node.0))
    }

    fn refused(&self, side: Side<'_>, reason: &[u8]) {
        let Side::Dialled { address, .. } = side else { return };
        let reason = Bytes::copy_from_slice(reason);
        let before = self.told.borrow_mut().insert(address.to_owned(), reason.clone());
        if before.as_ref() != Some(&reason) {
            tracing::error!("{address} refuses this node: {}", String::from_utf8_lossy(&reason));
        }
    }

    fn connected(&self, peer: PeerKey, lane: Lane, side: Side<'_>) {
        let peer = NodeId(peer.0);
        match side {
            Side::Dialled { link, address } => {
                tracing::debug!("connected to {address} ({lane:?})");
                self.told.borrow_mut().remove(address);
                self.links.borrow_mut().insert(peer, link);
                self.node.borrow_mut().connected(peer);
            }
            Side::Accepted { .. } => {}
        }
        self.touched.notify_one();
    }

    fn disconnected(&self, peer: PeerKey, lane: Lane, side: Side<'_>, why: &CloseReason) {
        if let Side::Dialled { address, .. } = side {
            tracing::debug!("connection to {address} ({lane:?}) ended: {why}");
            self.node.borrow_mut().disconnected(NodeId(peer.0));
            self.touched.notify_one();
        }
    }
}
