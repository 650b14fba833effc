//! Why a connection ended.

use super::frame::FrameError;
use bytes::Bytes;
use std::io;

/// The end of a connection, or of an attempt at one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    /// The other end closed it between two frames.
    #[error("closed by the other end")]
    ClosedByPeer,
    /// The other end closed it within a frame.
    #[error("closed by the other end in the middle of a frame")]
    ClosedInFrame,
    /// TCP gave it up, or never got there.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nobody answered at any address of the name.
    #[error("no answer within the connect timeout")]
    ConnectTimeout,
    /// The name is not known, or nobody can be asked.
    #[error("the address does not resolve: {0}")]
    Resolve(io::Error),
    /// The name is known and means nothing.
    #[error("the name has no address")]
    NoAddress,
    /// The port is nobody's, and TCP gave us a connection to ourselves.
    #[error("connected to itself")]
    SelfConnection,
    /// The other end sends something else than frames.
    #[error("not a row of frames: {0}")]
    InvalidFrame(#[from] FrameError),
    /// A frame that does not belong here.
    #[error("a breach of the handshake: {0}")]
    ProtocolViolation(&'static str),
    /// Introductions were not exchanged in time.
    #[error("the handshake was not finished in time")]
    HandshakeTimeout,
    /// The other end refused us, with its reason.
    #[error("refused by the other end: {}", readable(.0))]
    RefusedByPeer(Bytes),
    /// Our gate refused the other end, with its reason.
    #[error("refused: {}", readable(.0))]
    RefusedByUs(Bytes),
    /// Bytes waited and the other end took none.
    #[error("the other end takes nothing any more")]
    Stalled,
    /// The same peer connected again on this lane.
    #[error("replaced by a newer connection")]
    Replaced,
    /// A limit on connections was reached.
    #[error("too many connections")]
    TooManyConnections,
}

impl CloseReason {
    /// Whether somebody should look at it: not the usual comings and goings of processes and networks.
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

    /// What a warning is about: equal for ends that are worth one warning together.
    pub(super) fn topic(&self) -> String {
        match self {
            // Its numbers differ with every attempt.
            CloseReason::InvalidFrame(_) => "garbage".to_string(),
            other => other.to_string(),
        }
    }
}

/// Another's words as one line of a log: no control characters, and not too many.
pub(super) fn readable(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(512)];
    String::from_utf8_lossy(shown).escape_debug().to_string()
}
