//! Clients that connect to a node's port and are not peers.

use crate::cluster::Cluster;
use crate::harness::assert_contains;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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
    raise_own_file_limit();
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

/// If it fails, anyone who reaches the port stops nodes: their log finds no file descriptor when it needs one.
#[test]
fn connections_of_strangers_take_no_descriptors_from_the_log() {
    raise_own_file_limit();
    // The last one may be raised by the node itself.
    for (soft, hard) in [(64, 64), (256, 256), (64, 1024)] {
        let mut cluster = Cluster::with_file_limit(soft, hard);
        cluster.start_all();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            // Also when an assertion fails: the threads must end.
            let _stopper = SetOnDrop(&stop);
            for address in cluster.addresses.clone() {
                let stop = &stop;
                scope.spawn(move || keep_connecting(&address, stop));
            }
            let value = "v".repeat(3 << 20);
            for call in 0..24 {
                cluster.node(call % 3).change(&format!("set k{} {value}", call % 10));
            }
            for node in 0..3 {
                let segments = fs::read_dir(cluster.data_dir(node)).unwrap();
                let is_segment = |name: &str| name.starts_with("wal-");
                let segments =
                    segments.filter(|file| is_segment(&file.as_ref().unwrap().file_name().to_string_lossy()));
                assert!(segments.count() > 8, "the log of node {node} began no new segments");
            }
            // A node that starts again meets its peers although unidentified connections wait at their ports.
            cluster.kill(0);
            cluster.start(0);
            cluster.wait_for_leader();
            cluster.node(0).change("set k last");
            cluster.wait_until_equal();
        });
    }
}

/// If it fails, a node starts that cannot work, and stops at the worst time.
#[test]
fn a_limit_of_open_files_that_is_too_low_is_refused_at_the_start() {
    let mut cluster = Cluster::with_file_limit(24, 24);
    cluster.start(0);
    assert_eq!(cluster.node(0).wait().code(), Some(1));
    cluster.node(0).wait_for_stderr("this process may open 24 files");
    assert_contains(&cluster.node(0).stderr(), &["a node with 2 peers needs", "ulimit -n"]);
    assert!(!cluster.data_dir(0).exists(), "it made a directory");
}

/// Sets a flag when it is dropped.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Holds up to a thousand connections, and makes new ones for the oldest. Most send nothing, a few send garbage.
fn keep_connecting(address: &str, stop: &AtomicBool) {
    let mut connections = VecDeque::new();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let target = address.parse().unwrap();
        if let Ok(mut stream) = TcpStream::connect_timeout(&target, Duration::from_millis(100)) {
            if number % 100 == 0 {
                let _ = stream.write_all(&[0xa5; 512]);
            }
            connections.push_back(stream);
        }
        if connections.len() > 1_000 {
            connections.pop_front();
        }
    }
}

/// This process holds the other ends of the connections.
fn raise_own_file_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < 8192 {
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(8192), hard).unwrap();
    }
}
