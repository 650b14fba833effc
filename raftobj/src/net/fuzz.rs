//! The fuzzers' door to what a connection brings: frames, and the handshake before them.

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

/// The largest payload here: above the shared read buffer, so that large frames are met as well.
const LIMIT: usize = 256 << 10;

/// The limit of a handshake, as in the default options.
const HANDSHAKE_LIMIT: usize = 4096;

/// The read buffer and one for a large frame that is begun, twice each while they grow. What was decoded is
/// held by the fuzzer.
const MEMORY: MemoryBound = MemoryBound { bytes_fixed: 1 << 20, bytes_per_byte: 8 };

/// [`sealed`] repeats a few bytes into large payloads: the decoder holds them, and so does who checks it.
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

/// What a stream gives when it is read in pieces: the payloads, and whether it ends as frames do.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    payloads: Vec<Bytes>,
    is_whole: bool,
}

fn read(stream: &[u8], piece: usize) -> Decoded {
    let mut decoder = Decoder::new(LIMIT);
    let mut payloads = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let space = decoder.space();
        let size = piece.min(rest.len()).min(space.chunk_mut().len());
        assert!(size > 0, "a decoder that takes no more");
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

/// A byte of how reads cut the stream, then the stream as it comes.
fn raw(bytes: &[u8]) -> Option<Check> {
    let mut input = Input::new(bytes);
    let piece = 1 + usize::from(input.byte());
    let stream = input.rest();
    let found = read(stream, piece);
    let is_whole = found.is_whole;
    let stream = stream.to_vec();
    let check = move || {
        assert_eq!(read(&stream, usize::MAX), found, "pieces of {piece} give other payloads than the whole");
        let sealed: Vec<u8> = found.payloads.iter().flat_map(|payload| seal(payload)).collect();
        assert!(stream.starts_with(&sealed), "payloads that were not in the stream");
    };
    if is_whole {
        return Some(Box::new(check));
    }
    check();
    None
}

/// A byte of how reads cut the stream, then payloads: each a byte of how often it is repeated, and a slice. They
/// are sent as an outbox sends them, the larger ones shared. Refused where there is nothing to send.
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
        // A head that is copied before bytes that are shared, as a message and its entry are.
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
        assert!(!taken.is_empty(), "a batch that is not sent and offers nothing");
        batch.advance(taken.len());
        stream.extend_from_slice(&taken);
    }
    let found = read(&stream, piece);
    Some(Box::new(move || assert_eq!(found, Decoded { payloads: sent, is_whole: true })))
}

/// Takes whoever says hello.
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

/// Both ends of a handshake in turn, each against a peer that sends this.
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

/// What a handshake came to. Nothing in it waits: all that the peer sends is there.
fn outcome<T>(shake: impl Future<Output = Result<T, CloseReason>>) -> Option<T> {
    match pin!(shake).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(peer)) => Some(peer),
        Poll::Ready(Err(closed)) => {
            assert!(!closed.to_string().is_empty(), "{closed:?} says nothing");
            None
        }
        Poll::Pending => panic!("a handshake that waits for a peer that has ended"),
    }
}

/// The stream as it comes.
fn handshake(bytes: &[u8]) -> Option<Check> {
    both_ends(bytes)
}

/// Frames' payloads, tags included, then whatever follows.
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

/// What a dialler sends, and what an acceptor answers.
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
