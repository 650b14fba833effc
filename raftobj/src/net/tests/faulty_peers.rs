//! Faulty peers: invalid bytes, silence, floods, and peers that do not read.

use super::super::frame::{Decoder, seal};
use super::super::handshake;
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A connection after its handshake as the peer `key`. The test decides what it sends.
async fn connect_as_peer(to: &Node, key: u64, lane: Lane) -> TcpStream {
    let mut stream = TcpStream::connect(&to.address).await.unwrap();
    let handler = TestHandler::new(key);
    let side = Side::Dialled { link: LinkId(0), address: &to.address };
    handshake::dial(&mut stream, &*handler, side, lane, 4096).await.unwrap();
    stream
}

/// Reads until the other end has closed or reset the connection.
async fn wait_until_closed(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    let _ = bounded("it is closed", stream.read_to_end(&mut bytes)).await;
}

fn broken_frames() -> Vec<(&'static str, Vec<u8>)> {
    let mut wrong_crc = seal(b"some payload");
    wrong_crc[12] ^= 1;
    vec![
        ("an HTTP request", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a length of 4 GiB", [0xff; 8].to_vec()),
        ("a frame without bytes", vec![0; 64]),
        ("a wrong checksum", wrong_crc),
    ]
}

/// Invalid bytes, before or after the handshake, close their connection and no other.
#[test]
fn invalid_frames_close_their_connection_only() {
    run(async {
        let (a, b) = (Node::start(1), Node::start(2));
        let link = a.connect(&b.address).await;
        for (what, bytes) in broken_frames() {
            let mut stream = TcpStream::connect(&b.address).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            wait_until_closed(&mut stream).await;

            let mut peer = connect_as_peer(&b, 9, Lane::Bulk).await;
            peer.write_all(&[seal(b"good"), bytes].concat()).await.unwrap();
            wait_until_closed(&mut peer).await;
            assert_eq!(b.receive().await.payload, "good", "the message before {what}");
            until("only the link of `a` is left", || b.net.status().accepted.len() == 2).await;
            let event = b.handler.events.borrow().last().cloned();
            let Some(Event::Disconnected(9, Lane::Bulk, End::Accepted, why)) = event else {
                panic!("{what}: {event:?}");
            };
            assert!(why.contains("not a stream of frames"), "{what}: {why}");
            b.receives_from(&a, link).await;
        }
        assert_eq!(b.net.status().inbox_bytes, 0);
    });
}

/// Valid frames that the handshake does not allow.
#[test]
fn a_violation_of_the_handshake_closes_the_connection() {
    run(async {
        let b = Node::start(2);
        let key = 9_u64.to_le_bytes();
        let hello = seal(&[&[1], &key[..]].concat());
        let ready = seal(&[5]);
        let long = seal(&[1; 4097]);
        for bytes in [
            ready.clone(),
            seal(b"what is this?"),
            [&hello[..], &hello].concat(),
            [&hello[..], &seal(&[5, 5])].concat(),
            seal(&[1, 2, 3]),
            long,
        ] {
            let mut stream = TcpStream::connect(&b.address).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            wait_until_closed(&mut stream).await;
        }
        assert!(b.handler.events.borrow().is_empty(), "{:?}", b.handler.events.borrow());
        // The same frames in the right order, and a message after them.
        let mut stream = TcpStream::connect(&b.address).await.unwrap();
        stream.write_all(&[hello, ready, seal(b"message")].concat()).await.unwrap();
        assert_eq!(b.receive().await.payload, "message");
    });
}

/// A connection that sends nothing, or stops within a frame, is closed after `handshake_ms_max`.
#[test]
fn a_silent_peer_is_closed() {
    run(async {
        let b = Node::with(2, "127.0.0.1:0", NetOptions { handshake_ms_max: 50, ..quick() });
        for beginning in [&b""[..], &seal(b"\x01introduction")[..10]] {
            let mut stream = TcpStream::connect(&b.address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            wait_until_closed(&mut stream).await;
        }
        until("no handshake is left", || b.net.status().handshakes == 0).await;
    });
}

/// The same on the dialler's side: the acceptor is silent or sends invalid bytes.
#[test]
fn a_dialler_closes_a_connection_without_a_valid_answer() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let a = Node::with(1, "127.0.0.1:0", NetOptions { handshake_ms_max: 50, ..quick() });
        let link = a.net.dial(&address);
        for answer in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0xff; 8]] {
            let (mut stream, _) = bounded("it dials again", listener.accept()).await.unwrap();
            stream.write_all(answer).await.unwrap();
            wait_until_closed(&mut stream).await;
        }
        assert!(!a.is_connected(link));
    });
}

/// Silent connections, many more than `handshakes_max`, must not keep a correct peer out.
#[test]
fn a_thousand_silent_connections_keep_no_peer_out() {
    run(async {
        let b = Node::with(2, "127.0.0.1:0", NetOptions { handshake_ms_max: 60_000, ..quick() });
        let mut unidentified = Vec::new();
        for _ in 0..1000 {
            unidentified.push(TcpStream::connect(&b.address).await.unwrap());
        }
        let a = Node::start(1);
        let link = a.connect(&b.address).await;
        b.receives_from(&a, link).await;
        let handshakes = b.net.status().handshakes;
        assert!(handshakes <= NetOptions::default().handshakes_max, "{handshakes} at once");
    });
}

/// If it fails, a burst of connections takes descriptors beyond `handshakes_max`, and the log finds none.
#[test]
fn a_burst_of_connections_opens_no_more_sockets_than_allowed() {
    run(async {
        let options = NetOptions { handshakes_max: 4, handshake_ms_max: 60_000, ..quick() };
        let b = Node::with(2, "127.0.0.1:0", options);
        // They wait in the listener's queue, so that they are accepted at once.
        let mut unidentified: Vec<_> =
            (0..200).map(|_| std::net::TcpStream::connect(&b.address).unwrap()).collect();
        let accepted = &b.net.state.accepted;
        bounded("all but the last are closed", async {
            let mut highest = 0;
            for stream in &mut unidentified[..196] {
                stream.set_nonblocking(true).unwrap();
                while matches!(std::io::Read::read(stream, &mut [0]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock)
                {
                    highest = highest.max(accepted.sockets());
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(highest, 4);
        })
        .await;
        // The newest are not closed, and a peer needs no luck.
        let a = Node::start(1);
        let link = a.connect(&b.address).await;
        b.receives_from(&a, link).await;
    });
}

/// Connections that completed their handshake are bounded too, and new ones must not close older ones.
#[test]
fn accepted_connections_are_bounded() {
    run(async {
        let b = Node::with(2, "127.0.0.1:0", NetOptions { accepted_max: 4, ..quick() });
        let a = Node::start(1);
        let link = a.connect(&b.address).await;
        let mut streams = Vec::new();
        for key in 10..20 {
            streams.push(connect_as_peer(&b, key, Lane::Control).await);
        }
        for stream in &mut streams[2..] {
            wait_until_closed(stream).await;
        }
        assert_eq!(b.net.status().accepted.len(), 4);
        b.receives_from(&a, link).await;
    });
}

/// A peer that reads nothing: the queue to it is bounded, drops are reported, other peers are served, and at last its
/// connection is closed and redialled.
#[test]
fn a_hung_reader_delays_no_other_peer() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let options = NetOptions {
            frame_bytes_max: 1 << 20,
            outbox_bytes_max: 2 << 20,
            stall_ms_max: 300,
            // TCP must not close the connection before `stall_ms_max`.
            user_timeout_ms: 60_000,
            ..quick()
        };
        let (a, b) = (Node::with(1, "127.0.0.1:0", options), Node::start(2));
        let hung = a.net.dial(&address);
        let mut streams = Vec::new();
        for _ in Lane::ALL {
            let (mut stream, from) = listener.accept().await.unwrap();
            let mut decoder = Decoder::new(4096);
            let handler = TestHandler::new(9);
            let side = Side::Accepted { from };
            handshake::answer(&mut stream, &mut decoder, &*handler, side, 4096).await.unwrap();
            streams.push(stream);
        }
        let good = a.connect(&b.address).await;
        until("the hung peer is connected", || a.is_connected(hung)).await;
        let payload = Bytes::from(vec![7; 500_000]);
        let push = || a.net.send(hung, Lane::Bulk, |out| out.share(&payload));
        bounded("its queue is full", async {
            loop {
                match push() {
                    Ok(()) => tokio::task::yield_now().await,
                    Err(SendError::Full) => return,
                    Err(other) => panic!("{other}"),
                }
            }
        })
        .await;
        let bulk = a.net.status().dialled[1].clone();
        assert!(bulk.bytes_waiting <= 2 << 20 && bulk.dropped == 1, "{bulk:?}");
        b.receives_from(&a, good).await;
        let stalled = |event: &Event| match event {
            Event::Disconnected(9, Lane::Bulk, _, why) => why.contains("stopped receiving"),
            _ => false,
        };
        until("its connection is closed", || a.handler.count(stalled) == 1).await;
        assert_eq!(a.net.status().dialled[1].bytes_waiting, 0);
        bounded("it is redialled", listener.accept()).await.unwrap();
        b.receives_from(&a, good).await;
    });
}

/// A driver that does not take its messages: the queues are bounded, and no message is lost.
#[test]
fn readers_stop_when_the_inbox_is_full() {
    run(async {
        let options = NetOptions { receive_queue_bytes_max: 100_000, inbox_bytes_max: 1_000_000, ..quick() };
        let (a, b) = (Node::start(1), Node::with(2, "127.0.0.1:0", options));
        let link = a.connect(&b.address).await;
        let total = 60_000_u32;
        for number in 0..total {
            let payload = [&number.to_le_bytes()[..], &[0; 500]].concat();
            a.send(link, Lane::Bulk, &payload).unwrap();
        }
        until("the queue is full", || b.net.status().inbox_bytes >= 100_000).await;
        // The other lane is not full.
        a.send(link, Lane::Control, b"heartbeat").unwrap();
        until("the heartbeat arrives", || b.net.status().accepted[0].frames == 1).await;
        let waiting = b.net.status().inbox_bytes;
        assert!(waiting < 100_000 + 2 * frame::READ_BYTES, "{waiting} bytes wait");
        let mut next = 0;
        while next < total {
            let message = b.receive().await;
            if message.lane == Lane::Bulk {
                assert_eq!(message.payload[..4], u32::to_le_bytes(next));
                next += 1;
            }
        }
    });
}
