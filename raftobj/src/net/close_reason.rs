//! Why a connection ended.

use super::frame::FrameError;
use bytes::Bytes;
use std::io;

/// Why a connection, or an attempt at one, ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    /// The other end closed it between two frames.
    #[error("closed by the other end")]
    ClosedByPeer,
    /// The other end closed it within a frame.
    #[error("closed by the other end in the middle of a frame")]
    ClosedInFrame,
    /// An error of TCP, also while connecting.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The last address of the name did not answer.
    #[error("no answer within the connect timeout")]
    ConnectTimeout,
    /// The name is unknown, or no name server answered.
    #[error("the address does not resolve: {0}")]
    Resolve(io::Error),
    /// The name is known and has no address.
    #[error("the name has no address")]
    NoAddress,
    /// No process listens on the port, and TCP connected the socket to itself.
    #[error("connected to itself")]
    SelfConnection,
    /// The other end sent bytes that are no valid frame.
    #[error("not a stream of frames: {0}")]
    InvalidFrame(#[from] FrameError),
    /// A frame that the handshake does not allow here.
    #[error("protocol violation: {0}")]
    ProtocolViolation(&'static str),
    /// The handshake took longer than `handshake_ms_max`.
    #[error("the handshake was not finished in time")]
    HandshakeTimeout,
    /// The other end refused us, with its reason.
    #[error("refused by the other end: {}", printable(.0))]
    RefusedByPeer(Bytes),
    /// Our handler refused the other end, with its reason.
    #[error("refused: {}", printable(.0))]
    RefusedByUs(Bytes),
    /// The other end's TCP took no bytes for `stall_ms_max`.
    #[error("the other end has stopped receiving")]
    Stalled,
    /// The same peer connected again on this lane.
    #[error("replaced by a newer connection")]
    Replaced,
    /// There are `accepted_max` connections.
    #[error("too many connections")]
    TooManyConnections,
}

impl CloseReason {
    /// Whether an operator should look at it. False for what restarts and network failures cause.
    pub(super) fn deserves_warning(&self) -> bool {
        match self {
            CloseReason::InvalidFrame(_)
            | CloseReason::ProtocolViolation(_)
            | CloseReason::HandshakeTimeout
            | CloseReason::RefusedByPeer(_)
            | CloseReason::RefusedByUs(_)
            | CloseReason::Stalled
            | CloseReason::Resolve(_)
            | CloseReason::NoAddress
            | CloseReason::TooManyConnections => true,
            CloseReason::ClosedByPeer
            | CloseReason::ClosedInFrame
            | CloseReason::Io(_)
            | CloseReason::ConnectTimeout
            | CloseReason::SelfConnection
            | CloseReason::Replaced => false,
        }
    }

    /// The key of a warning: reasons with equal keys are warned about once.
    pub(super) fn topic(&self) -> String {
        match self {
            // Its numbers differ at each attempt.
            CloseReason::InvalidFrame(_) => "invalid frame".to_string(),
            other => other.to_string(),
        }
    }
}

/// Text from another node as one line of a log: without control characters, and not too long.
fn printable(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(512)];
    String::from_utf8_lossy(shown).escape_debug().to_string()
}
