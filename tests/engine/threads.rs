//! Nothing is left of a node after its end. Threads are counted in the whole process, so this test has a process of its
//! own.

#![allow(clippy::disallowed_methods, reason = "waits have bounds")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

#[allow(dead_code, reason = "shared with the other tests of the engine")]
mod cluster;

use cluster::{Cluster, wait_until};
use std::fs::{DirEntry, File, read_dir, read_to_string};
use std::io;
use std::net::TcpListener;

/// The names of the threads of this process that belong to nodes.
fn threads() -> Vec<String> {
    let name = |task: io::Result<DirEntry>| read_to_string(task.ok()?.path().join("comm")).ok();
    let names = read_dir("/proc/self/task").unwrap().filter_map(name);
    names.filter(|name| name.starts_with("raftobj")).collect()
}

#[test]
fn dropping_the_last_clone_frees_threads_locks_and_ports() {
    let (cluster, nodes) = Cluster::start(3, |_| ());
    let clones = nodes.clone();
    drop(nodes);
    assert_eq!(*clones[1].add("x").wait().unwrap(), 1);
    assert!(threads().len() >= 9, "{:?}", threads());
    let locks: Vec<File> = (0..3).map(|at| File::open(cluster.path(at).join("LOCK")).unwrap()).collect();
    assert!(locks.iter().all(|lock| lock.try_lock().is_err()));
    drop(clones);
    // A joined thread is listed for a moment longer.
    wait_until("no thread is left", || threads().is_empty().then_some(()));
    assert!(locks.iter().all(|lock| lock.try_lock().is_ok()));
    for address in &cluster.addresses {
        TcpListener::bind(address).unwrap();
    }
}
