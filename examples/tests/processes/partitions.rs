//! Nodes with addresses of their own, and a network that is cut.

use crate::cluster::Cluster;
use crate::harness::{assert_tells, say};
use crate::network::Network;
use std::collections::BTreeSet;

/// Three running nodes in a network, or nothing where there can be none, which is said.
fn three_in_a_network() -> Option<Cluster> {
    match Network::new(3) {
        Ok(network) => Some(Cluster::of(3, &["--deadline", "1"], network)),
        Err(why) => {
            say(&format!("no network can be made here, so nothing is cut: {why}"));
            None
        }
    }
}

/// If it fails, a leader that nobody hears acknowledges what is lost, or reads what is stale.
#[test]
fn a_leader_that_is_cut_off_acknowledges_nothing_and_follows_afterwards() {
    let Some(mut cluster) = three_in_a_network() else { return };
    let leader = cluster.start_all();
    cluster.node(leader).change("set k before");
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.cut(others.iter().flat_map(|other| [(leader, *other), (*other, leader)]).collect());

    let during = cluster.node(leader).ask("set k during");
    assert!(
        during.starts_with("error: outcome unknown: ") || during.starts_with("error: not applied: "),
        "{during}"
    );
    cluster.insist(others[0], "set k meanwhile");
    let read = cluster.node(leader).ask("get --linearizable k");
    assert_tells(&read, &["error: not read: "]);

    cluster.cut(BTreeSet::new());
    let read = cluster.insist(leader, "get --linearizable k");
    // What was unknown may take effect late; what was before may not come back.
    assert!([r#"value="meanwhile""#, r#"value="during""#].contains(&&*read), "{read}");
    cluster.wait_until_level();
}

/// Jensen, Howard and Mortier, "Examining Raft's behaviour during partial network failures", 2021. If it fails, a leader
/// that is heard but hears nobody stays in office, and nothing is ever committed.
#[test]
fn a_leader_that_hears_nobody_is_replaced() {
    let Some(mut cluster) = three_in_a_network() else { return };
    let leader = cluster.start_all();
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.cut(others.iter().map(|other| (*other, leader)).collect());
    cluster.insist(others[1], "set k meanwhile");
    cluster.cut(BTreeSet::new());
    assert_eq!(cluster.insist(leader, "get --linearizable k"), r#"value="meanwhile""#);
    cluster.wait_until_level();
}
