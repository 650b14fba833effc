//! How two ends of a connection come to accept one another.
//!
//! It may not know what an introduction means: its bytes are the gate's. Begin with [`dial`] and [`answer`].
//!
//! ```text
//!   dialler                      acceptor
//!      | --- Hello(lane, bytes) ---> |   the acceptor's gate judges
//!      | <-- Welcome(bytes) -------- |   the dialler's gate judges      (or Refused(reason), and the end)
//!      | --- Ready ----------------> |   from here on messages          (or Refused(reason), and the end)
//! ```
//!
//! Each is one frame of at most `handshake_bytes_max`, whose payload begins with a tag:
//!
//! | tag | frame | what follows |
//! |---|---|---|
//! | 1 | Hello for the control lane | introduction |
//! | 2 | Hello for the bulk lane | introduction |
//! | 3 | Welcome | introduction |
//! | 4 | Refused | reason |
//! | 5 | Ready | nothing |
//!
//! Versions are in the introductions: frames and tags are the same in all of them.
//! The dialler does not wait after Ready: its first messages may come in the same packet.

use super::close_reason::CloseReason;
use super::frame::{self, Decoder};
use super::{ConnectionHandler, Lane, PeerKey, Side};
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The dialler's part. The peer that answered.
pub(super) async fn dial(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    handler: &dyn ConnectionHandler,
    side: Side<'_>,
    lane: Lane,
    bytes_max: usize,
) -> Result<PeerKey, CloseReason> {
    send(stream, hello_tag(lane), &handler.hello(lane, side), bytes_max).await?;
    // Nothing follows the answer: the acceptor does not speak after it.
    let mut decoder = Decoder::new(bytes_max);
    let (tag, introduction) = receive(stream, &mut decoder).await?;
    match tag {
        WELCOME => match handler.check_hello(&introduction, lane, side) {
            Ok(peer) => {
                send(stream, READY, &[], bytes_max).await?;
                Ok(peer)
            }
            Err(reason) => Err(refuse(stream, reason, bytes_max).await),
        },
        REFUSED => Err(CloseReason::RefusedByPeer(introduction)),
        _ => Err(CloseReason::ProtocolViolation("neither a welcome nor a refusal")),
    }
}

/// The acceptor's part: who dialled, for which lane. Messages follow from `decoder`.
pub(super) async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    decoder: &mut Decoder,
    handler: &dyn ConnectionHandler,
    side: Side<'_>,
    bytes_max: usize,
) -> Result<(PeerKey, Lane), CloseReason> {
    let (tag, introduction) = receive(stream, decoder).await?;
    let lane = Lane::ALL
        .into_iter()
        .find(|&lane| hello_tag(lane) == tag)
        .ok_or(CloseReason::ProtocolViolation("it does not begin with a hello"))?;
    let peer = match handler.check_hello(&introduction, lane, side) {
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

/// Tells the other end why, as far as it still listens.
async fn refuse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    reason: Bytes,
    bytes_max: usize,
) -> CloseReason {
    let told = &reason[..reason.len().min(bytes_max - 1)];
    // What counts is that it is refused; that it was not told is its end of the connection's affair.
    let _ = send(stream, REFUSED, told, bytes_max).await;
    CloseReason::RefusedByUs(reason)
}

async fn send(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    tag: u8,
    rest: &[u8],
    bytes_max: usize,
) -> Result<(), CloseReason> {
    if rest.len() >= bytes_max {
        return Err(CloseReason::ProtocolViolation("our own introduction is over the limit"));
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
