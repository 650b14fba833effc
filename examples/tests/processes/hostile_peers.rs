//! Clients that connect to a node's port and are not peers.

use crate::cluster::Cluster;
use crate::harness::assert_contains;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;

/// More than such a node ever needs, and far less than these clients make it allocate if a bound is missing.
const RESIDENT_KIB_MAX: u64 = 256 << 10;

/// A frame of the protocol: length, CRC32C of the length's bytes and the payload, payload.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is small").to_le_bytes();
    let crc = crc32c(&[&length, payload].concat());
    [&length, &crc.to_le_bytes(), payload].concat()
}

/// Bit by bit: a second implementation, independent of the code under test.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc)))
}

/// Sends these bytes, reads until the node closes the connection, and returns what it sent.
fn send_and_read(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the node listens");
    // The node may close the connection before it has read all bytes.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// If it fails, any client that reaches the port can stop a node, or fill its memory.
#[test]
fn connections_with_invalid_bytes_are_closed_and_change_nothing() {
    let mut cluster = Cluster::start_three(&[]);
    let leader = cluster.wait_for_leader();
    let term = cluster.node(leader).status()["term"].clone();
    let address = cluster.addresses[leader].clone();

    let mut noise: u64 = 1;
    let garbage: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (noise >> 56) as u8
    })
    .take(1 << 20)
    .collect();
    send_and_read(&address, &garbage);
    send_and_read(&address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    send_and_read(&address, &[0; 4096]);
    // A length of 4 GiB less a byte, and some bytes of it.
    send_and_read(&address, &[&[0xff; 8][..], &garbage[..65_536]].concat());
    // A whole frame with a payload that is no hello.
    send_and_read(&address, &frame(&garbage[..100]));
    // A well-formed hello of protocol version 77.
    let hello = [&[1][..], b"raftobj\0", &[77, 77]].concat();
    let answer = send_and_read(&address, &frame(&hello));
    assert_contains(&String::from_utf8_lossy(&answer), &["it speaks protocol 77 to 77", "upgrade"]);
    // The same, truncated.
    send_and_read(&address, &frame(&hello)[..10]);
    cluster.node(leader).wait_for_stderr("protocol 77 to 77");

    cluster.node(leader).change("set k v");
    let status = cluster.wait_until_equal();
    assert_eq!(status["term"], term, "an election happened: {status:?}");
    let resident_kib = cluster.node(leader).resident_kib();
    assert!(resident_kib < RESIDENT_KIB_MAX, "{resident_kib} KiB");
}

/// If it fails, connections that send nothing keep the cluster's own nodes out.
#[test]
fn a_thousand_idle_connections_do_not_block_peers() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < 4096 {
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(4096), hard).unwrap();
    }
    let mut cluster = Cluster::start_three(&[]);
    let leader = cluster.wait_for_leader();
    let address = cluster.addresses[leader].clone();
    let idle: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for round in 0..10 {
        cluster.node(round % 3).change(&format!("set k {round}"));
    }
    let resident_kib = cluster.node(leader).resident_kib();
    assert!(resident_kib < RESIDENT_KIB_MAX, "{resident_kib} KiB");
    // A node that starts meanwhile can connect.
    let other = (leader + 1) % 3;
    cluster.kill(other);
    cluster.start(other);
    cluster.wait_for_leader();
    cluster.node(other).change("set k last");
    cluster.wait_until_equal();
    // The node closes the idle connections itself.
    for mut stream in idle {
        let _ = stream.read(&mut [0]);
    }
    cluster.node(leader).change("set k done");
}
