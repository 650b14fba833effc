//! A node keeps its data directory although the process changes its working directory. That is one for the whole process,
//! so this test has a process of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use raftobj::{Options, Replica, replicated};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Bytes that were added.
#[replicated]
#[derive(Default)]
struct Sum {
    bytes: usize,
}

#[replicated]
impl Sum {
    /// Adds the length of some bytes.
    #[replicated]
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
}

/// A temporary directory, removed with the test.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A cluster of one with the README's form of a data directory, in small segments.
fn start(address: &str) -> Replica<Sum> {
    let mut options = Options::default();
    options.segment_bytes = 64 << 10;
    // A listener of this test, so that no other program can take the port between two starts.
    let listener = TcpListener::bind(address).unwrap();
    let builder = Replica::builder(address).listener(listener).data_dir("data").options(options);
    builder.start(Sum::default()).unwrap()
}

fn segments(dir: &Path) -> usize {
    let names = fs::read_dir(dir.join("data")).unwrap().map(|name| name.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("wal-")).count()
}

// Breaks: a daemon that changes to `/`, or a program that changes directories, writes its next segments elsewhere, and
// loses them at its next start.
#[test]
fn a_relative_data_directory_stays_where_the_node_was_started() {
    let scratch = Scratch(env::temp_dir().join(format!("raftobj-directory-{}", std::process::id())));
    let [home, with_data, without] = ["home", "with_data", "without"].map(|name| scratch.0.join(name));
    for dir in [&home, &with_data.join("data"), &without] {
        fs::create_dir_all(dir).unwrap();
    }
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    env::set_current_dir(&home).unwrap();
    let node = start(&address);
    let (mut calls, chunk) = (0, vec![7; 16 << 10]);
    for elsewhere in [&with_data, &without] {
        env::set_current_dir(elsewhere).unwrap();
        for _ in 0..20 {
            let _ = node.add(&chunk).wait().unwrap();
            calls += 1;
        }
    }
    drop(node);
    let elsewhere = fs::read_dir(with_data.join("data")).unwrap().count();
    assert!(segments(&home) >= 8, "{} segments, and {elsewhere} files elsewhere", segments(&home));
    assert_eq!(elsewhere, 0, "files were created in another directory");
    env::set_current_dir(&home).unwrap();
    let node = start(&address);
    node.ready().wait().unwrap();
    let bytes = node.linearizable().wait().unwrap().read().bytes;
    assert_eq!(bytes, calls * chunk.len(), "an acknowledged call is lost");
}
