//! Network partitions.

use crate::cluster::Cluster;
use crate::harness::{assert_contains, print_uncaptured};
use crate::network::Network;
use std::collections::BTreeSet;

/// Three nodes in a network that can be cut; none if this machine does not allow one, which is printed.
fn three_in_network() -> Option<Cluster> {
    match Network::new(3) {
        Ok(network) => Some(Cluster::in_network(3, &["--deadline", "1"], network)),
        Err(reason) => {
            print_uncaptured(&format!("skipped: no network can be made here: {reason}"));
            None
        }
    }
}

/// If it fails, an isolated leader acknowledges writes that are lost later, or serves stale reads.
#[test]
fn an_isolated_leader_acknowledges_nothing_and_follows_afterwards() {
    let Some(mut cluster) = three_in_network() else { return };
    let leader = cluster.start_all();
    cluster.node(leader).change("set k before");
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.cut(others.iter().flat_map(|other| [(leader, *other), (*other, leader)]).collect());

    let during = cluster.node(leader).ask("set k during");
    assert!(
        during.starts_with("error: outcome unknown: ") || during.starts_with("error: not applied: "),
        "{during}"
    );
    cluster.ask_until_ok(others[0], "set k meanwhile");
    let read = cluster.node(leader).ask("get --linearizable k");
    assert_contains(&read, &["error: not read: "]);

    cluster.cut(BTreeSet::new());
    let read = cluster.ask_until_ok(leader, "get --linearizable k");
    // The call of unknown outcome may take effect late; the value before it must not come back.
    assert!([r#"value="meanwhile""#, r#"value="during""#].contains(&&*read), "{read}");
    cluster.wait_until_equal();
}

/// Jensen, Howard and Mortier, "Examining Raft's behaviour during partial network failures", 2021. If it fails, a
/// leader that sends but receives nothing stays leader, and nothing is ever committed.
#[test]
fn a_leader_that_receives_nothing_is_replaced() {
    let Some(mut cluster) = three_in_network() else { return };
    let leader = cluster.start_all();
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.cut(others.iter().map(|other| (*other, leader)).collect());
    cluster.ask_until_ok(others[1], "set k meanwhile");
    cluster.cut(BTreeSet::new());
    assert_eq!(cluster.ask_until_ok(leader, "get --linearizable k"), r#"value="meanwhile""#);
    cluster.wait_until_equal();
}
