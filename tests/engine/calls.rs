//! Calls and reads, from threads and from tasks.

use crate::cluster::{Cluster, PATIENCE, agree, leader, wait_until};
use raftobj::{CallError, NoReplyReason, ReadError, Role, UnknownReason};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const CALLS: u64 = 200;

// Breaks: of calls from many threads one is lost, takes effect twice, or has the outcome of another.
#[test]
fn calls_from_many_threads_take_effect_once_and_in_each_threads_order() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    let indexes: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let caller = |at: usize| {
            let node = &nodes[at % 3];
            move || {
                let name = at.to_string();
                let calls: Vec<_> = (0..CALLS).map(|_| node.add(&name)).collect();
                let done = calls.into_iter().map(|call| call.wait().unwrap());
                done.enumerate()
                    .map(|(i, done)| {
                        assert_eq!(done.value, i as u64 + 1);
                        done.index.0
                    })
                    .collect()
            }
        };
        let threads: Vec<_> = (0..6).map(|at| scope.spawn(caller(at))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(indexes.iter().all(|indexes| indexes.is_sorted()));
    let distinct: BTreeSet<u64> = indexes.into_iter().flatten().collect();
    assert_eq!(distinct.len() as u64, 6 * CALLS);
    agree(&nodes);
    for node in &nodes {
        assert!((0..6).all(|at| node.count(&at.to_string()) == CALLS));
    }
}

#[test]
fn calls_from_tasks_are_awaited() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let read = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..50 {
            let node = nodes[at % 3].clone();
            tasks.spawn(async move {
                let _ = node.add("tasks").await.unwrap();
                // A node has applied what it has acknowledged.
                assert!(node.count("tasks") > 0);
                node.linearizable().await.map(|node| node.count("tasks")).unwrap()
            });
        }
        let mut read = 0;
        while let Some(done) = tasks.join_next().await {
            read = read.max(done.unwrap());
        }
        read
    });
    assert_eq!(read, 50);
}

#[test]
fn a_linearizable_read_sees_what_any_other_node_has_acknowledged() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    for round in 1..=30 {
        let writer = &nodes[round as usize % 3];
        assert_eq!(*writer.add("x").wait().unwrap(), round);
        for reader in &nodes {
            assert_eq!(reader.linearizable().wait().unwrap().count("x"), round);
        }
    }
}

#[test]
fn borrowed_arguments_and_inner_errors_arrive_unchanged() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    nodes[0].cas("k", None, "one").wait().unwrap().into_inner().unwrap();
    let refused = nodes[1].cas("k", Some("two"), "three").wait().unwrap();
    assert_eq!(refused.into_inner(), Err(Some("one".to_owned())));
    assert_eq!(*nodes[2].measure(&[1; 1000]).wait().unwrap(), 1000);
    let text: Vec<_> =
        nodes[2].node().last_entries(2).iter().map(|entry| entry.description.clone()).collect();
    assert_eq!(text[0], r#"cas("k", Some("two"), "three")"#);
    assert!(text[1].starts_with("measure([1, 1,"), "{}", text[1]);
}

#[test]
fn the_context_is_the_same_on_every_node() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    let before = SystemTime::now() - Duration::from_secs(60);
    let done: Vec<_> = nodes.iter().map(|node| node.record_context().wait().unwrap()).collect();
    for done in &done {
        assert_eq!((done.value.index, done.value.term), (done.index.0, done.term.0));
        assert!(done.value.now > before, "{:?}", done.value.now);
    }
    assert_ne!(done[0].random, done[1].random);
    agree(&nodes);
    let seen: Vec<_> = done.into_iter().map(|done| done.value).collect();
    assert!(nodes.iter().all(|node| node.seen() == seen));
}

// Breaks: a method that panics blocks the cluster, or replicas differ after it.
#[test]
fn a_panic_is_the_calls_outcome_and_the_next_call_works() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    match nodes[0].boom("x").wait() {
        Err(CallError::Applied { index, reason: NoReplyReason::Panicked(text) }) => {
            assert!(index.0 > 0);
            assert_eq!(text, "boom x");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(*nodes[1].add("x").wait().unwrap(), 2);
    agree(&nodes);
    assert!(nodes.iter().all(|node| node.node().status().method_panics == 1));
}

// Breaks: a thread waits for itself.
#[test]
fn waiting_under_a_guard_fails_at_once() {
    let (_cluster, nodes) = Cluster::start(1, |_| ());
    let node = &nodes[0];
    let guard = node.read();
    let waited = node.add("x").wait();
    assert!(matches!(waited, Err(CallError::Unknown { reason: UnknownReason::ReadGuardHeld })), "{waited:?}");
    assert_eq!(node.linearizable().wait().err(), Some(ReadError::ReadGuardHeld));
    drop(guard);
    // The first call takes effect all the same, before the second.
    assert_eq!(*node.add("x").wait().unwrap(), 2);
}

// Breaks: a nested read deadlocks with a writer that waits between the two.
#[test]
fn a_thread_reads_under_its_own_guard_while_others_write() {
    let (_cluster, nodes) = Cluster::start(1, |_| ());
    let (node, stop) = (&nodes[0], AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = node.add("x").wait().unwrap();
            }
        });
        for _ in 0..500 {
            let outer = node.read();
            let inner = node.read();
            assert_eq!(outer.count("x"), inner.count("x"));
            assert_eq!(node.count("x"), outer.count("x"));
        }
        let before = node.count("x");
        wait_until("a call is applied", || (node.count("x") > before).then_some(()));
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn watchers_see_the_new_leader_when_the_leader_shuts_down() {
    let (_cluster, mut nodes) = Cluster::start(3, |_| ());
    let old = leader(&nodes);
    let term = nodes[old].node().status().term;
    let mut gone = nodes[old].node().watch_status();
    let stopped = nodes.remove(old);
    let mut watch = nodes[0].node().watch_status();
    drop(stopped);
    loop {
        let status = watch.wait_changed().unwrap();
        if status.term > term && status.leader.is_some() {
            break;
        }
    }
    let mut last = gone.status();
    while let Some(status) = gone.wait_changed() {
        last = status;
    }
    assert_eq!(last.role, Role::Stopped);
    let _ = nodes[0].add("x").deadline(PATIENCE).wait().unwrap();
}

// Breaks: while a guard is held, the calls of its node are appended again and again, and the log grows by thousands of
// entries that have no effect.
#[test]
fn calls_that_wait_for_a_read_guard_have_one_entry_each() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    let at = leader(&nodes);
    let (first, follower) = (nodes[at].node().status(), &nodes[(at + 1) % 3]);
    let mut calls = 0;
    let guard = follower.read();
    let pending: Vec<_> = (0..5_000).map(|_| follower.add("held")).collect();
    // Several times the interval after which calls are sent again.
    let held = Instant::now();
    while held.elapsed() < Duration::from_secs(4) {
        let _ = nodes[at].add("leader").wait().unwrap();
        calls += 1;
    }
    drop(guard);
    calls += pending.len() as u64;
    pending.into_iter().for_each(|call| assert!(call.wait().is_ok()));
    let last = nodes[at].node().status();
    assert_eq!((last.term, last.role), (first.term, Role::Leader), "the leader has changed");
    assert_eq!(last.last_index.0 - first.last_index.0, calls, "entries for {calls} calls");
}
