//! Messages after the handshake: from an outbox to a socket, from a socket to an inbox.
//!
//! It may not know when connections are made, nor what a message means. No peer may hold the thread for long: after
//! [`BYTES_A_TURN`] the other tasks run.

use super::batch::{Batch, SLICES};
use super::close_reason::CloseReason;
use super::first_ready::first_ready;
use super::frame::Decoder;
use super::inbox::{Inbox, ReceiveQueue};
use super::outbox::Outbox;
use super::status::LaneCounts;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

/// The dialler's end: sends what is in the outbox until the connection ends.
pub(super) async fn send_messages(
    stream: &mut TcpStream,
    outbox: &Outbox,
    counts: &LaneCounts,
    stall: Duration,
) -> CloseReason {
    let (mut reader, mut writer) = stream.split();
    first_ready(
        async { write_batches(&mut writer, outbox, counts, stall).await.unwrap_or_else(|why| why) },
        wait_for_close(&mut reader),
    )
    .await
}

/// The acceptor's end: fills the queue until the connection ends.
pub(super) async fn receive_messages(
    stream: &mut TcpStream,
    decoder: &mut Decoder,
    inbox: &Inbox,
    queue: &Rc<ReceiveQueue>,
    counts: &LaneCounts,
) -> Result<CloseReason, CloseReason> {
    let mut bytes_this_turn = 0;
    loop {
        let mut frames = 0;
        while let Some(payload) = decoder.next()? {
            inbox.push(queue, payload);
            frames += 1;
        }
        counts.add_frames(frames);
        inbox.wait_for_room(queue).await;
        if bytes_this_turn >= BYTES_A_TURN {
            bytes_this_turn = 0;
            yield_now().await;
        }
        let bytes = stream.read_buf(decoder.space()).await?;
        if bytes == 0 {
            return Ok(if decoder.is_inside_frame() {
                CloseReason::ClosedInFrame
            } else {
                CloseReason::ClosedByPeer
            });
        }
        counts.add_bytes(bytes);
        bytes_this_turn += bytes;
    }
}

async fn write_batches(
    writer: &mut (impl AsyncWriteExt + Unpin),
    outbox: &Outbox,
    counts: &LaneCounts,
    stall: Duration,
) -> Result<CloseReason, CloseReason> {
    let mut batch = Batch::default();
    loop {
        batch = outbox.next(batch).await;
        let mut bytes_this_turn = 0;
        while !batch.is_sent() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let slices = batch.slices(&mut slices);
            // Each write that takes a byte is progress and restarts the time.
            let written = timeout(stall, writer.write_vectored(slices)).await;
            let bytes = written.map_err(|_| CloseReason::Stalled)??;
            if bytes == 0 {
                return Ok(CloseReason::ClosedByPeer);
            }
            batch.advance(bytes);
            outbox.sent_bytes(bytes);
            counts.add_bytes(bytes);
            bytes_this_turn += bytes;
            if bytes_this_turn >= BYTES_A_TURN {
                bytes_this_turn = 0;
                yield_now().await;
            }
        }
        outbox.sent_frames(batch.frames());
        counts.add_frames(batch.frames());
    }
}

/// The acceptor sends nothing after the handshake: all that can be read is the end.
async fn wait_for_close(reader: &mut (impl AsyncReadExt + Unpin)) -> CloseReason {
    match reader.read(&mut [0; 1]).await {
        Ok(0) => CloseReason::ClosedByPeer,
        Ok(_) => CloseReason::ProtocolViolation("the acceptor sent bytes after the handshake"),
        Err(error) => CloseReason::Io(error),
    }
}

/// About 100 µs of copying and computing checksums.
const BYTES_A_TURN: usize = 1 << 20;
