//! Messages on a connection that both ends accepted: from an outbox to a socket, from a socket to an inbox.
//!
//! It may not know who connects when, nor what a message means. No other end may hold the thread for long:
//! after [`BYTES_A_TURN`] the other tasks have theirs.

use super::batch::{Batch, SLICES};
use super::close_reason::CloseReason;
use super::first_ready::first_ready;
use super::frame::Decoder;
use super::inbox::{Inbox, Mailbox};
use super::outbox::Outbox;
use super::status::Counter;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

/// The dialled end: sends what is in the outbox until the connection ends.
pub(super) async fn send(
    stream: &mut TcpStream,
    outbox: &Outbox,
    counter: &Counter,
    stall: Duration,
) -> CloseReason {
    let (mut reader, mut writer) = stream.split();
    first_ready(
        async { write(&mut writer, outbox, counter, stall).await.unwrap_or_else(|closed| closed) },
        listen_for_end(&mut reader),
    )
    .await
}

/// The accepted end: fills the mailbox until the connection ends.
pub(super) async fn receive(
    stream: &mut TcpStream,
    decoder: &mut Decoder,
    inbox: &Inbox,
    mailbox: &Rc<Mailbox>,
    counter: &Counter,
) -> Result<CloseReason, CloseReason> {
    let mut bytes_this_turn = 0;
    loop {
        let mut frames = 0;
        while let Some(payload) = decoder.next()? {
            inbox.push(mailbox, payload);
            frames += 1;
        }
        counter.add_frames(frames);
        inbox.room(mailbox).await;
        if bytes_this_turn >= BYTES_A_TURN {
            bytes_this_turn = 0;
            yield_now().await;
        }
        let bytes = stream.read_buf(decoder.space()).await?;
        if bytes == 0 {
            return Ok(if decoder.is_inside_frame() { CloseReason::Cut } else { CloseReason::Ended });
        }
        counter.add_bytes(bytes);
        bytes_this_turn += bytes;
    }
}

async fn write(
    writer: &mut (impl AsyncWriteExt + Unpin),
    outbox: &Outbox,
    counter: &Counter,
    stall: Duration,
) -> Result<CloseReason, CloseReason> {
    let mut batch = Batch::default();
    loop {
        batch = outbox.next(batch).await;
        let mut bytes_this_turn = 0;
        while !batch.is_sent() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let slices = batch.slices(&mut slices);
            // Each write that takes a byte is progress; the time runs from the last one.
            let written = timeout(stall, writer.write_vectored(slices)).await;
            let bytes = written.map_err(|_| CloseReason::Stalled)??;
            if bytes == 0 {
                return Ok(CloseReason::Ended);
            }
            batch.advance(bytes);
            outbox.sent_bytes(bytes);
            counter.add_bytes(bytes);
            bytes_this_turn += bytes;
            if bytes_this_turn >= BYTES_A_TURN {
                bytes_this_turn = 0;
                yield_now().await;
            }
        }
        outbox.sent_frames(batch.frames());
        counter.add_frames(batch.frames());
    }
}

/// Nothing comes back on a dialled connection but its end.
async fn listen_for_end(reader: &mut (impl AsyncReadExt + Unpin)) -> CloseReason {
    match reader.read(&mut [0; 1]).await {
        Ok(0) => CloseReason::Ended,
        Ok(_) => CloseReason::Breach("the accepting end spoke after the handshake"),
        Err(error) => CloseReason::Io(error),
    }
}

/// Some 100 µs of copying and checking.
const BYTES_A_TURN: usize = 1 << 20;
