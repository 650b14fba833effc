//! The node's answers to its connections: which hello to send, and which peers to accept.

use crate::net::{CloseReason, ConnectionHandler, Lane, LinkId, PeerKey, Side};
use crate::node::Node;
use crate::raft::types::NodeId;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tokio::sync::Notify;

/// What the connections call. All of it runs on the engine's thread, between two turns of the event loop.
pub(crate) struct NodeConnections {
    node: Rc<RefCell<Node>>,
    /// The link on which messages for a peer are sent.
    links: RefCell<BTreeMap<NodeId, LinkId>>,
    /// Addresses of peers that have connected to us since the last turn. They are up, so we dial them at once.
    reachable: RefCell<BTreeSet<String>>,
    /// Why the node at an address refuses this one; logged once for each reason.
    refusals: RefCell<BTreeMap<String, Bytes>>,
    node_called: Notify,
}

impl NodeConnections {
    pub(crate) fn new(node: Rc<RefCell<Node>>) -> NodeConnections {
        NodeConnections {
            node,
            links: RefCell::default(),
            reachable: RefCell::default(),
            refusals: RefCell::default(),
            node_called: Notify::new(),
        }
    }

    /// The link on which messages for a peer are sent, once the peer was reached.
    pub(crate) fn link(&self, peer: NodeId) -> Option<LinkId> {
        self.links.borrow().get(&peer).copied()
    }

    /// Takes the addresses of the peers that have connected to us since the last turn.
    pub(crate) fn take_reachable(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.reachable.borrow_mut())
    }

    /// Waits until a connection has called the node: then it may have effects.
    pub(crate) async fn node_called(&self) {
        self.node_called.notified().await;
    }
}

impl ConnectionHandler for NodeConnections {
    fn hello(&self, _lane: Lane, _side: Side<'_>) -> Bytes {
        Bytes::from(self.node.borrow().hello().encode())
    }

    fn check_hello(&self, hello: &[u8], _lane: Lane, side: Side<'_>) -> Result<PeerKey, Bytes> {
        let dialled = match side {
            Side::Dialled { address, .. } => Some(address),
            Side::Accepted { .. } => None,
        };
        let judged = self.node.borrow_mut().check_hello(hello, dialled);
        self.node_called.notify_one();
        let (node, address) = judged.map_err(Bytes::from)?;
        if dialled.is_none() {
            self.reachable.borrow_mut().insert(address);
        }
        Ok(PeerKey(node.0))
    }

    fn refused(&self, side: Side<'_>, reason: &[u8]) {
        let Side::Dialled { address, .. } = side else { return };
        let reason = Bytes::copy_from_slice(reason);
        let before = self.refusals.borrow_mut().insert(address.to_owned(), reason.clone());
        if before.as_ref() != Some(&reason) {
            let reason = String::from_utf8_lossy(&reason);
            tracing::error!("{address} refuses this node: {reason}");
            self.node.borrow_mut().refused(address, &reason);
        }
    }

    fn connected(&self, peer: PeerKey, lane: Lane, side: Side<'_>) {
        let peer = NodeId(peer.0);
        match side {
            Side::Dialled { link, address } => {
                tracing::debug!("connected to {address} ({lane:?})");
                self.refusals.borrow_mut().remove(address);
                self.links.borrow_mut().insert(peer, link);
                self.node.borrow_mut().connected(peer);
            }
            Side::Accepted { .. } => {}
        }
        self.node_called.notify_one();
    }

    fn disconnected(&self, peer: PeerKey, lane: Lane, side: Side<'_>, why: &CloseReason) {
        if let Side::Dialled { address, .. } = side {
            tracing::debug!("connection to {address} ({lane:?}) ended: {why}");
            self.node.borrow_mut().disconnected(NodeId(peer.0));
            self.node_called.notify_one();
        }
    }
}
