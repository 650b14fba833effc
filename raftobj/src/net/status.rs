//! Counters, and what the room tells of itself.

use super::{LinkId, PeerKey};
use std::cell::Cell;

/// What went over one lane, over all its connections.
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

/// All connections, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct NetStatus {
    /// Two for each peer that is dialled, control first.
    pub(crate) dialled: Vec<DialledStatus>,
    /// Those whose handshake is done.
    pub(crate) accepted: Vec<AcceptedStatus>,
    /// Accepted connections within their handshake.
    pub(crate) handshakes: usize,
    /// What waits for the driver.
    pub(crate) inbox_bytes: usize,
}

/// One lane to a peer. Counts run since it was first dialled, over all its connections.
#[derive(Clone, Debug)]
pub(crate) struct DialledStatus {
    /// The peer, as it was dialled.
    pub(crate) link: LinkId,
    /// Who answered; none while there is no connection.
    pub(crate) connected: Option<PeerKey>,
    /// Connections that both ends accepted.
    pub(crate) connections: u64,
    /// Messages sent.
    pub(crate) frames: u64,
    /// Bytes sent, headers included, handshakes not.
    pub(crate) bytes: u64,
    /// Messages that were not sent.
    pub(crate) dropped: u64,
    /// Bytes that wait, headers included.
    pub(crate) bytes_waiting: usize,
}

/// One lane from a peer. Counts run since it connected.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedStatus {
    /// Who dialled.
    pub(crate) peer: PeerKey,
    /// Messages received.
    pub(crate) frames: u64,
    /// Bytes received, headers included.
    pub(crate) bytes: u64,
}
