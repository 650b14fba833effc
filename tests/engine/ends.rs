//! How nodes end: what stays on disk, what is freed, and how calls and reads in progress end.

use crate::cluster::{Cluster, PATIENCE, Store, agree, wait_until};
use raftobj::{CallError, NotAppliedReason, ReadError, Replica, Role, UnknownReason};
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Runs a closure on its own thread; panics if it does not end.
fn ends<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(run()));
    ended.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} does not end"))
}

#[test]
fn all_nodes_restart_with_what_was_acknowledged() {
    let (cluster, mut nodes) = Cluster::start(3, |_| ());
    for round in 1..=3_u64 {
        for node in &nodes {
            let _ = node.add("x").wait().unwrap();
        }
        drop(nodes);
        nodes = (0..3).map(|at| cluster.restart(at)).collect();
        for node in &nodes {
            assert_eq!(node.linearizable().wait().unwrap().count("x"), 3 * round);
            assert_eq!(node.node().status().boot.0, round + 1);
        }
    }
    agree(&nodes);
}

#[test]
fn a_shutdown_ends_pending_calls_and_rejects_later_ones() {
    let (_cluster, mut nodes) = Cluster::start(3, |_| ());
    let node = nodes.remove(0);
    // Without a majority nothing commits.
    drop(nodes);
    let sent = node.add("x");
    wait_until("the call is sent or queued", || {
        let status = node.node().status();
        (status.calls_in_flight + status.calls_queued > 0).then_some(())
    });
    let read = node.linearizable().into_future();
    node.node().shutdown();
    match sent.wait() {
        Err(CallError::Unknown { reason: UnknownReason::Stopped(_) }) => {}
        Err(CallError::NotApplied { reason: NotAppliedReason::Stopped(_), .. }) => {}
        other => panic!("{other:?}"),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(runtime.block_on(read), Err(ReadError::Stopped(_))));
    match node.add("x").wait() {
        Err(CallError::NotApplied { reason: NotAppliedReason::Stopped(_), .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(node.linearizable().wait(), Err(ReadError::Stopped(_))));
    assert_eq!(node.node().status().role, Role::Stopped);
    assert_eq!(node.node().last_entries(9), []);
    // The object can still be read. A second shutdown does nothing.
    assert_eq!(node.count("x"), 0);
    node.node().shutdown();
}

// Breaks: a program that shuts its node down while it reads the object hangs.
#[test]
fn a_shutdown_under_a_guard_does_not_wait_for_itself() {
    let (_cluster, mut nodes) = Cluster::start(1, |_| ());
    let node = nodes.remove(0);
    ends("a shutdown under a guard", move || {
        let guard = node.read();
        let _queued = node.add("x");
        wait_until("the call is committed", || (node.node().status().commit_index.0 > 1).then_some(()));
        node.node().shutdown();
        drop(guard);
        node.node().shutdown();
    });
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("the user's waker");
    }
}

// Breaks: a panic in one caller's code ends the node for all others.
#[test]
fn a_waker_that_panics_does_not_end_the_node() {
    let (_cluster, mut nodes) = Cluster::start(1, |_| ());
    let node = nodes.remove(0);
    let guard = node.read();
    let mut call = pin!(node.add("x").into_future());
    let mut read = pin!(node.linearizable().into_future());
    let waker = Waker::from(Arc::new(PanickingWaker));
    // Under a guard neither has ended yet.
    assert!(matches!(call.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
    let _ = read.as_mut().poll(&mut Context::from_waker(&waker));
    drop(guard);
    assert_eq!(*node.add("x").wait().unwrap(), 2);
}

// Breaks: replicas of which no two agree go on and acknowledge calls.
#[test]
fn if_no_two_replicas_agree_nothing_is_acknowledged_any_more() {
    let (_cluster, nodes) = Cluster::start(3, |options| options.call_deadline = Duration::from_millis(500));
    let _ = nodes[0].drift().wait();
    let stopped =
        |node: &Replica<Store>| node.node().status().stop_reason.is_some_and(|why| why.contains("`drift`"));
    wait_until("two have stopped", || (nodes.iter().filter(|node| stopped(node)).count() == 2).then_some(()));
    for node in &nodes {
        assert!(node.add("x").wait().is_err());
    }
}
