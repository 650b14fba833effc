//! Fuzz targets for the bytes of a connection: frames and the handshake.

use super::batch::{Batch, SLICES};
use super::close_reason::CloseReason;
use super::frame::{Decoder, seal};
use super::handshake::{answer, dial};
use super::{ConnectionHandler, Lane, LinkId, PeerKey, Side};
use crate::__fuzz::{Check, Input, MemoryBound, Target, codec, put_slice};
use crate::codec::hello::Hello;
use bytes::Bytes;
use std::io::IoSlice;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The largest payload here: above the shared read buffer, so that inputs have large frames too.
const LIMIT: usize = 256 << 10;

/// The limit of a handshake, as in the default options.
const HANDSHAKE_LIMIT: usize = 4096;

/// The read buffer and the vector of an incomplete large frame, twice each while they grow. The target itself holds
/// the decoded payloads.
const MEMORY: MemoryBound = MemoryBound { bytes_fixed: 1 << 20, bytes_per_byte: 8 };

/// [`sealed`] repeats a few bytes into large payloads. The decoder and the check hold them both.
const MEMORY_SEALED: MemoryBound = MemoryBound { bytes_fixed: 16 << 20, bytes_per_byte: 8 };

pub(crate) fn targets() -> Vec<Target> {
    vec![
        Target { name: "frames", decode: raw, seeds: raw_seeds, memory: MEMORY },
        Target { name: "frames_sealed", decode: sealed, seeds: sealed_seeds, memory: MEMORY_SEALED },
        Target { name: "handshake", decode: handshake, seeds: handshake_seeds, memory: MEMORY },
        Target {
            name: "handshake_sealed",
            decode: handshake_sealed,
            seeds: handshake_sealed_seeds,
            memory: MEMORY,
        },
    ]
}

/// What a stream decodes to.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    payloads: Vec<Bytes>,
    /// No frame is invalid, and the last one is complete.
    is_whole: bool,
}

fn read(stream: &[u8], piece: usize) -> Decoded {
    let mut decoder = Decoder::new(LIMIT);
    let mut payloads = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let space = decoder.space();
        let size = piece.min(rest.len()).min(space.chunk_mut().len());
        assert!(size > 0, "the decoder has no space");
        space.put_slice(&rest[..size]);
        rest = &rest[size..];
        loop {
            match decoder.next() {
                Ok(Some(payload)) => payloads.push(payload),
                Ok(None) => break,
                Err(_) => return Decoded { payloads, is_whole: false },
            }
        }
    }
    Decoded { payloads, is_whole: !decoder.is_inside_frame() }
}

/// The input is a byte that determines the size of reads, then the stream itself.
fn raw(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let piece = 1 + usize::from(input.byte());
    let stream = input.rest();
    let found = read(stream, piece);
    let is_whole = found.is_whole;
    let stream = stream.to_vec();
    let check = move || {
        assert_eq!(read(&stream, usize::MAX), found, "reads of {piece} give other payloads than one read");
        let sealed: Vec<u8> = found.payloads.iter().flat_map(|payload| seal(payload)).collect();
        assert!(stream.starts_with(&sealed), "payloads that are not in the stream");
    };
    if is_whole {
        return Some(Box::new(check));
    }
    check();
    None
}

/// The input is a byte that determines the size of reads, then payloads: each a byte that determines how often it is
/// repeated, and a slice. They are encoded as in an outbox, large ones shared. Refused if there are none.
fn sealed(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let piece = match input.byte() {
        255 => usize::MAX,
        piece => 1 + usize::from(piece) * 257,
    };
    let mut batch = Batch::default();
    let mut sent = Vec::new();
    let mut total = 0;
    while !input.is_empty() && total < 4 * LIMIT {
        let times = 1 + 32 * usize::from(input.byte());
        let payload = Bytes::from(input.slice().repeat(times));
        if payload.is_empty() || payload.len() > LIMIT {
            continue;
        }
        total += payload.len();
        let mut frame = batch.begin();
        // A copied head before shared bytes, like a message before its entry.
        let head = payload.len() / 8;
        frame.bytes().extend_from_slice(&payload[..head]);
        frame.share(&payload.slice(head..));
        frame.seal();
        sent.push(payload);
    }
    if sent.is_empty() {
        return None;
    }
    let mut stream = Vec::new();
    while !batch.is_sent() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let taken = batch.slices(&mut slices).first().map_or(&[][..], |slice| slice);
        let taken = taken[..taken.len().min(piece)].to_vec();
        assert!(!taken.is_empty(), "a batch that is not sent and has no bytes");
        batch.advance(taken.len());
        stream.extend_from_slice(&taken);
    }
    let found = read(&stream, piece);
    Some(Box::new(move || assert_eq!(found, Decoded { payloads: sent, is_whole: true })))
}

/// Accepts every valid hello.
struct AcceptAny;

impl ConnectionHandler for AcceptAny {
    fn hello(&self, _lane: Lane, _side: Side<'_>) -> Bytes {
        codec::sample_hello().encode().into()
    }

    fn check_hello(&self, hello: &[u8], _lane: Lane, _side: Side<'_>) -> Result<PeerKey, Bytes> {
        match Hello::decode(Bytes::copy_from_slice(hello)) {
            Ok(hello) => Ok(PeerKey(hello.node.0)),
            Err(error) => Err(error.to_string().into()),
        }
    }

    fn refused(&self, _side: Side<'_>, _reason: &[u8]) {}

    fn connected(&self, _peer: PeerKey, _lane: Lane, _side: Side<'_>) {}

    fn disconnected(&self, _peer: PeerKey, _lane: Lane, _side: Side<'_>, _why: &CloseReason) {}
}

/// Runs the acceptor's end of a handshake, and the dialler's for both lanes, against a peer that sends this stream.
fn both_ends(stream: &[u8]) -> Option<Check> {
    let accepted = answered(stream);
    let dialled = Lane::ALL.map(|lane| dialled(stream, lane));
    let is_accepted = accepted.is_some() || dialled.iter().any(Option::is_some);
    let stream = stream.to_vec();
    is_accepted.then(|| -> Check { Box::new(move || assert_eq!(answered(&stream), accepted)) })
}

fn answered(stream: &[u8]) -> Option<(PeerKey, Lane)> {
    let side = Side::Accepted { from: ([127, 0, 0, 1], 4321).into() };
    let mut both = tokio::io::join(stream, Vec::new());
    let mut decoder = Decoder::new(HANDSHAKE_LIMIT);
    let answer = answer(&mut both, &mut decoder, &AcceptAny, side, HANDSHAKE_LIMIT);
    outcome(answer)
}

fn dialled(stream: &[u8], lane: Lane) -> Option<PeerKey> {
    let side = Side::Dialled { link: LinkId(0), address: "host1:4321" };
    let mut both = tokio::io::join(stream, Vec::new());
    outcome(dial(&mut both, &AcceptAny, side, lane, HANDSHAKE_LIMIT))
}

/// The outcome of a handshake. It never waits: the peer's stream is complete.
fn outcome<T>(shake: impl Future<Output = Result<T, CloseReason>>) -> Option<T> {
    match pin!(shake).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(peer)) => Some(peer),
        Poll::Ready(Err(closed)) => {
            assert!(!closed.to_string().is_empty(), "{closed:?} has no message");
            None
        }
        Poll::Pending => panic!("the handshake waits for a peer that has closed"),
    }
}

/// The input is the stream itself.
fn handshake(bytes: &[u8]) -> Option<Check> {
    both_ends(bytes)
}

/// The input is a number of payloads with their tags, which are sealed, then the rest of the stream.
fn handshake_sealed(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let mut stream = Vec::new();
    for _ in 0..input.byte() % 4 {
        stream.extend_from_slice(&seal(input.slice()));
    }
    stream.extend_from_slice(input.rest());
    both_ends(&stream)
}

fn raw_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let two = [&[2][..], &seal(b"one"), &seal(&[7; 40])].concat();
    vec![("nothing", vec![0]), ("two", two)]
}

fn sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut small = vec![3];
    let mut large = vec![255];
    for (times, payload) in [(0, &b"one"[..]), (1, b"two")] {
        small.push(times);
        put_slice(&mut small, payload);
    }
    for (times, payload) in [(200, &b"a large payload, "[..]), (0, b"small"), (70, &[9; 100])] {
        large.push(times);
        put_slice(&mut large, payload);
    }
    vec![("small", small), ("large", large)]
}

/// What a dialler sends, for each lane, and what an acceptor answers.
fn payloads() -> [(&'static str, Vec<Vec<u8>>); 3] {
    let tagged = |tag: u8| [&[tag], &codec::sample_hello().encode()[..]].concat();
    [("control", vec![tagged(1), vec![5]]), ("bulk", vec![tagged(2), vec![5]]), ("welcome", vec![tagged(3)])]
}

fn handshake_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let stream = |frames: Vec<Vec<u8>>| frames.iter().flat_map(|payload| seal(payload)).collect();
    payloads().into_iter().map(|(name, frames)| (name, stream(frames))).collect()
}

fn handshake_sealed_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let input = |frames: Vec<Vec<u8>>| {
        let mut input = vec![frames.len() as u8];
        frames.iter().for_each(|payload| put_slice(&mut input, payload));
        input
    };
    payloads().into_iter().map(|(name, frames)| (name, input(frames))).collect()
}
