//! Frames, connections, back-off: bytes from node to node.
//!
//! An introduction and a message are bytes to this room; what they mean, and who may connect, says the driver.

mod backoff;
mod frame;
mod inbox;
mod outbox;
mod warnings;

/// One of the two connections to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Small messages that must not wait: votes, heartbeats, acknowledgements.
    Control,
    /// Everything that may be large.
    Bulk,
}

impl Lane {
    /// Both, in the order of their numbers.
    pub(crate) const ALL: [Lane; 2] = [Lane::Control, Lane::Bulk];
}

/// Who the other end is, by the judgement of the gate. Equal keys are one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey(pub(crate) u64);
