//! Counters, and the status of all connections.

use super::{LinkId, PeerKey};
use std::cell::Cell;

/// Frames and bytes that passed one lane.
#[derive(Debug, Default)]
pub(super) struct LaneCounts {
    frames: Cell<u64>,
    bytes: Cell<u64>,
}

impl LaneCounts {
    pub(super) fn add_frames(&self, frames: usize) {
        self.frames.set(self.frames.get() + frames as u64);
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames.get()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

/// All connections at one moment.
#[derive(Clone, Debug)]
pub(crate) struct NetStatus {
    /// Two for each link, control first.
    pub(crate) dialled: Vec<DialledStatus>,
    /// Accepted connections whose handshake is done.
    pub(crate) accepted: Vec<AcceptedStatus>,
    /// Accepted connections within their handshake.
    pub(crate) handshakes: usize,
    /// Received and not yet taken by the driver.
    pub(crate) inbox_bytes: usize,
}

/// One lane to a peer, counted since it was first dialled, over all its connections.
#[derive(Clone, Debug)]
pub(crate) struct DialledStatus {
    /// The address that is dialled.
    pub(crate) link: LinkId,
    /// The peer, while there is a connection.
    pub(crate) connected: Option<PeerKey>,
    /// Connections whose handshake was done.
    pub(crate) connections: u64,
    /// Messages sent.
    pub(crate) frames: u64,
    /// Bytes sent, with headers, without handshakes.
    pub(crate) bytes: u64,
    /// Messages that were dropped, or lost with a connection.
    pub(crate) dropped: u64,
    /// Bytes queued, with headers.
    pub(crate) bytes_waiting: usize,
}

/// One lane from a peer, counted since it connected.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedStatus {
    /// The peer that dialled.
    pub(crate) peer: PeerKey,
    /// Messages received.
    pub(crate) frames: u64,
    /// Bytes received, with headers.
    pub(crate) bytes: u64,
}
