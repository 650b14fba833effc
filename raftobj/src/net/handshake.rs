//! The handshake: the two ends of a connection identify and accept each other.
//!
//! It may not know what the bytes of a hello mean: only the [`ConnectionHandler`] does. Begin with [`dial`] and
//! [`answer`].
//!
//! ```text
//!   dialler                      acceptor
//!      | --- Hello(lane, hello) ---> |   the acceptor checks the dialler's hello
//!      | <-- Welcome(hello) -------- |   the dialler checks the acceptor's hello  (or Refused(reason), and close)
//!      | --- Ready ----------------> |   messages follow                          (or Refused(reason), and close)
//! ```
//!
//! Each is one frame of at most `handshake_bytes_max`, whose payload begins with a tag:
//!
//! | tag | frame | what follows |
//! |---|---|---|
//! | 1 | Hello for the control lane | the dialler's hello |
//! | 2 | Hello for the bulk lane | the dialler's hello |
//! | 3 | Welcome | the acceptor's hello |
//! | 4 | Refused | reason |
//! | 5 | Ready | nothing |
//!
//! The protocol's version is in the hello: frames and tags are the same in all versions.
//! The dialler does not wait after Ready: its first messages may be in the same packet.

use super::close_reason::CloseReason;
use super::frame::{self, Decoder};
use super::{ConnectionHandler, Lane, PeerKey, Side};
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The dialler's part. Returns the peer that answered.
pub(super) async fn dial(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    handler: &dyn ConnectionHandler,
    side: Side<'_>,
    lane: Lane,
    bytes_max: usize,
) -> Result<PeerKey, CloseReason> {
    send(stream, hello_tag(lane), &handler.hello(lane, side), bytes_max).await?;
    // This decoder is dropped with its buffer: the acceptor sends nothing after its answer.
    let mut decoder = Decoder::new(bytes_max);
    let (tag, rest) = receive(stream, &mut decoder).await?;
    match tag {
        WELCOME => match handler.check_hello(&rest, lane, side) {
            Ok(peer) => {
                send(stream, READY, &[], bytes_max).await?;
                Ok(peer)
            }
            Err(reason) => Err(refuse(stream, reason, bytes_max).await),
        },
        REFUSED => Err(CloseReason::RefusedByPeer(rest)),
        _ => Err(CloseReason::ProtocolViolation("neither a welcome nor a refusal")),
    }
}

/// The acceptor's part. Returns the peer that dialled and its lane. `decoder` may already hold the first messages.
pub(super) async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    decoder: &mut Decoder,
    handler: &dyn ConnectionHandler,
    side: Side<'_>,
    bytes_max: usize,
) -> Result<(PeerKey, Lane), CloseReason> {
    let (tag, hello) = receive(stream, decoder).await?;
    let lane = Lane::ALL
        .into_iter()
        .find(|&lane| hello_tag(lane) == tag)
        .ok_or(CloseReason::ProtocolViolation("the first frame is no hello"))?;
    let peer = match handler.check_hello(&hello, lane, side) {
        Ok(peer) => peer,
        Err(reason) => return Err(refuse(stream, reason, bytes_max).await),
    };
    send(stream, WELCOME, &handler.hello(lane, side), bytes_max).await?;
    match receive(stream, decoder).await? {
        (READY, rest) if rest.is_empty() => Ok((peer, lane)),
        (REFUSED, reason) => Err(CloseReason::RefusedByPeer(reason)),
        _ => Err(CloseReason::ProtocolViolation("neither ready nor a refusal")),
    }
}

/// Sends the reason to the other end.
async fn refuse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    reason: Bytes,
    bytes_max: usize,
) -> CloseReason {
    let sent = &reason[..reason.len().min(bytes_max - 1)];
    // The refusal holds even if the other end does not receive the reason.
    let _ = send(stream, REFUSED, sent, bytes_max).await;
    CloseReason::RefusedByUs(reason)
}

async fn send(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    tag: u8,
    rest: &[u8],
    bytes_max: usize,
) -> Result<(), CloseReason> {
    if rest.len() >= bytes_max {
        return Err(CloseReason::ProtocolViolation("our own hello is over the limit"));
    }
    let payload = [&[tag], rest].concat();
    Ok(stream.write_all(&frame::seal(&payload)).await?)
}

async fn receive(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    decoder: &mut Decoder,
) -> Result<(u8, Bytes), CloseReason> {
    loop {
        if let Some(mut payload) = decoder.next()? {
            return Ok((payload.get_u8(), payload));
        }
        if stream.read_buf(decoder.space()).await? == 0 {
            return Err(if decoder.is_inside_frame() {
                CloseReason::ClosedInFrame
            } else {
                CloseReason::ClosedByPeer
            });
        }
    }
}

fn hello_tag(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 1,
        Lane::Bulk => 2,
    }
}

const WELCOME: u8 = 3;
const REFUSED: u8 = 4;
const READY: u8 = 5;
