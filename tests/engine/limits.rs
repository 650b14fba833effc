//! What is too large, too much or too late ends with an error that names the limit.

use crate::cluster::{Cluster, Store, TempDir, listener};
use raftobj::{
    CallError, NoReplyReason, NotAppliedReason, Options, ReadError, Replica, Retry, StartError, UnknownReason,
};
use std::time::Duration;

#[test]
fn a_call_whose_reply_is_too_large_is_applied() {
    let (_cluster, nodes) = Cluster::start(3, |options| options.reply_bytes_max = 1_000);
    assert_eq!(nodes[0].fill(900).wait().unwrap().len(), 900);
    match nodes[0].fill(2_000).wait() {
        Err(CallError::Applied { reason: NoReplyReason::TooLarge { limit: 1_000, .. }, .. }) => {}
        other => panic!("{other:?}"),
    }
    let _ = nodes[0].add("x").wait().unwrap();
}

#[test]
fn a_command_over_the_limit_is_not_applied() {
    let (_cluster, nodes) = Cluster::start(3, |options| options.command_bytes_max = 100_000);
    for node in &nodes {
        match node.measure(&[0; 100_000]).wait() {
            Err(CallError::NotApplied {
                reason: NotAppliedReason::TooLarge { limit: 100_000, .. },
                retry,
            }) => {
                assert_eq!(retry, Retry::Never);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(*node.measure(&[0; 99_000]).wait().unwrap(), 99_000);
    }
}

// Breaks: the error of a call to a full log names a missing majority.
#[test]
fn a_full_log_refuses_calls_with_an_error_of_its_own() {
    let (_cluster, nodes) = Cluster::start(3, |options| {
        options.command_bytes_max = 10_000;
        options.log_bytes_max = 40_000;
        options.call_deadline = Duration::from_millis(500);
    });
    for node in &nodes {
        let refused = (0..20).find_map(|_| node.measure(&[0; 9_000]).wait().err());
        assert_eq!(refused, Some(CallError::Unknown { reason: UnknownReason::LogFull }));
        assert!(node.node().status().log_bytes <= 40_000);
    }
    for node in &nodes {
        node.linearizable().wait().unwrap();
    }
    let statuses: Vec<_> = nodes.iter().map(|node| node.node().status()).collect();
    assert!(statuses.windows(2).all(|two| two[0].digest == two[1].digest), "{statuses:?}");
}

// Breaks: a frame too long for the other end closes the connection, again and again.
#[test]
fn large_commands_and_many_small_ones_share_a_connection() {
    let (_cluster, nodes) = Cluster::start(3, |_| ());
    let large = vec![1; 20 << 20];
    let calls: Vec<_> = nodes
        .iter()
        .map(|node| {
            let small: Vec<_> = (0..300).map(|_| node.add("x")).collect();
            (small, node.measure(&large))
        })
        .collect();
    for (small, large_one) in calls {
        assert!(small.into_iter().all(|call| call.wait().is_ok()));
        assert_eq!(*large_one.wait().unwrap(), large.len());
    }
}

#[test]
fn a_full_queue_refuses_calls_at_once_and_accepts_them_again_later() {
    let (_cluster, mut nodes) = Cluster::start(2, |options| {
        options.queue_calls_max = 4;
        options.in_flight_calls_max = 4;
        options.call_deadline = Duration::from_millis(300);
    });
    // Without a majority no call is decided, so the calls stay.
    nodes.truncate(1);
    let calls: Vec<_> = (0..20).map(|_| nodes[0].add("x")).collect();
    let outcomes: Vec<_> = calls.into_iter().map(|call| call.wait().unwrap_err()).collect();
    let full = |error: &CallError| {
        matches!(
            error,
            CallError::NotApplied { reason: NotAppliedReason::QueueFull { .. }, retry: Retry::Here }
        )
    };
    assert!(!outcomes[..4].iter().any(full), "{outcomes:?}");
    assert!(outcomes[8..].iter().all(full), "{outcomes:?}");
    assert!(!full(&nodes[0].add("x").wait().unwrap_err()));
}

// Breaks: a call without a majority never ends.
#[test]
fn without_a_majority_calls_and_reads_end_at_their_deadline() {
    let (cluster, mut nodes) = Cluster::start(3, |_| ());
    nodes.truncate(1);
    let short = Duration::from_millis(200);
    let mut outcome = nodes[0].add("x").deadline(short).wait();
    while !matches!(outcome, Err(CallError::NotApplied { reason: NotAppliedReason::NoLeader, .. })) {
        // Until the node has noticed that it has no majority.
        assert!(
            matches!(outcome, Err(CallError::Unknown { reason: UnknownReason::Deadline })),
            "{outcome:?}"
        );
        outcome = nodes[0].add("x").deadline(short).wait();
    }
    let read = nodes[0].linearizable().deadline(short).wait().err();
    assert_eq!(read, Some(ReadError::NoLeader));
    nodes.push(cluster.restart(1));
    let sum = nodes[0].add("x").wait().unwrap().into_inner();
    assert_eq!(nodes[1].linearizable().wait().unwrap().count("x"), sum);
}

// Breaks: an invalid option ends the process instead of being refused.
#[test]
fn invalid_options_are_refused() {
    let changes: [fn(&mut Options); 4] = [
        |options| options.in_flight_calls_max = 100_000,
        |options| options.command_bytes_max = 10,
        |options| options.heartbeat_interval_ms = u64::MAX / 2,
        |options| options.log_bytes_max = 1,
    ];
    for change in changes {
        let mut options = Options::default();
        change(&mut options);
        let (directory, listener) = (TempDir::new(), listener());
        let address = listener.local_addr().unwrap().to_string();
        let builder = Replica::builder(address).listener(listener).data_dir(&directory.0).options(options);
        let refused = builder.start(Store::default());
        assert!(matches!(refused, Err(StartError::Options(_))), "{refused:?}");
    }
}
