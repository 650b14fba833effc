//! Three nodes as their user sees them.

use crate::cluster::Cluster;
use crate::harness::assert_contains;
use nix::sys::signal::Signal;

/// If it fails, the object differs between nodes, or writes work on the leader only.
#[test]
fn a_set_on_any_node_is_on_every_node_at_the_printed_index() {
    let mut cluster = Cluster::start_three(&[]);
    let leader = cluster.wait_for_leader();
    let mut last = 0;
    for (round, node) in (0..6).map(|round| (round, (leader + round) % 3)) {
        let key = format!("key-{node}");
        let first = cluster.node(node).change(&format!("set {key} 'value {round}'"));
        assert!(first.index > last, "the log grows with every set: {last}, then {}", first.index);
        assert_eq!(first.previous, (round >= 3).then(|| format!("value {}", round - 3)));
        last = first.index;
        let status = cluster.wait_until_equal();
        assert_eq!(status["last"], last.to_string(), "the log has grown everywhere: {status:?}");
        for other in 0..3 {
            let process = cluster.node(other);
            assert_eq!(process.ask(&format!("get {key}")), format!("value=\"value {round}\""));
            let entry = (last, format!("set(\"{key}\", \"value {round}\")"));
            assert_eq!(process.log().last(), Some(&entry));
        }
    }
    let popped = cluster.node((leader + 1) % 3).change("pop key-0");
    assert!(popped.index > last);
    assert!(popped.previous.is_some());
    cluster.wait_until_equal();
    assert_eq!(cluster.ask_all("get key-0"), ["none"; 3]);
}

/// If it fails, a linearizable read misses what another node has acknowledged.
#[test]
fn a_linearizable_get_sees_what_was_set_elsewhere_before() {
    let mut cluster = Cluster::start_three(&[]);
    for round in 0..30 {
        cluster.node(round % 3).change(&format!("set k {round}"));
        let read = cluster.node((round + 1) % 3).ask("get --linearizable k");
        assert_eq!(read, format!("value=\"{round}\""));
    }
}

/// If it fails, a process that hangs blocks the others, or serves stale reads when it continues.
#[test]
fn a_leader_that_hangs_is_replaced_and_reads_nothing_stale_afterwards() {
    let mut cluster = Cluster::start_three(&["--deadline", "60"]);
    for round in 0..3 {
        let leader = cluster.wait_for_leader();
        let other = (leader + 1) % 3;
        cluster.node(leader).change(&format!("set k before-{round}"));
        cluster.node(leader).signal(Signal::SIGSTOP);
        cluster.node(other).change(&format!("set k meanwhile-{round}"));
        cluster.node(leader).signal(Signal::SIGCONT);
        let read = cluster.node(leader).ask("get --linearizable k");
        assert_eq!(read, format!("value=\"meanwhile-{round}\""));
        cluster.wait_for_leader();
        cluster.wait_until_equal();
    }
}

/// If it fails, a user who starts nodes one after the other does not learn why nothing happens.
#[test]
fn the_first_start_prints_which_nodes_are_missing() {
    let mut cluster = Cluster::new(3, &["--deadline", "200ms"]);
    let addresses = cluster.addresses.clone();
    cluster.start(0);
    cluster.node(0).wait_for_stderr(&format!("still missing: {}", addresses[1..].join(", ")));
    cluster.start(1);
    cluster.node(0).wait_for_stderr(&format!("still missing: {}\n", addresses[2]));
    let answer = cluster.node(0).ask("set k v");
    assert_contains(&answer, &["error: not applied: the cluster is not formed yet", &addresses[2]]);
    assert_contains(&cluster.node(0).ask("status"), &["role=founding"]);
    cluster.start(2);
    cluster.wait_for_leader();
    cluster.node(0).wait_for_stderr("the cluster is formed");
}

/// If it fails, commands hang while there is no majority, or the cluster does not recover without a restart.
#[test]
fn without_a_majority_commands_fail_until_it_returns() {
    let mut cluster = Cluster::start_three(&["--deadline", "1"]);
    cluster.node(0).change("set before 1");
    cluster.wait_until_equal();
    cluster.kill(1);
    cluster.kill(2);
    // A leader that has not yet noticed the lost majority appends the call: then its outcome is unknown.
    let first = cluster.node(0).ask("set during 2");
    assert!(
        first.starts_with("error: outcome unknown: ") || first.starts_with("error: not applied: "),
        "{first}"
    );
    let read = cluster.node(0).ask("get --linearizable before");
    assert_contains(&read, &["error: not read: ", "majority"]);
    let second = cluster.node(0).ask("pop before");
    assert_contains(&second, &["error: not applied: ", "majority"]);
    assert_eq!(cluster.node(0).ask("get before"), r#"value="1""#);
    assert_contains(&cluster.node(0).ask("status"), &["leader=none"]);

    cluster.start(2);
    cluster.wait_for_leader();
    cluster.node(0).change("set after 3");
    cluster.node(2).change("set after 4");
    cluster.wait_until_equal();
    assert_eq!(cluster.ask_all("get before"), [r#"value="1""#; 2]);
    assert_eq!(cluster.ask_all("get after"), [r#"value="4""#; 2]);
}

/// If it fails, a cluster of one waits for other nodes.
#[test]
fn one_address_alone_is_a_cluster() {
    let mut cluster = Cluster::new(1, &[]);
    cluster.start(0);
    assert_eq!(cluster.node(0).change("set k v").previous, None);
    cluster.kill(0);
    cluster.start(0);
    assert_eq!(cluster.node(0).change("pop k").previous.as_deref(), Some("v"));
}
