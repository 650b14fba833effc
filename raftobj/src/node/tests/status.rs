//! What a node reports.

use super::*;

// Breaks: an operator sees connections and match indexes that are wrong.
#[test]
fn a_status_shows_the_peers_their_connections_and_their_logs() {
    let mut founding = Node::new(config(1, 2), PersistentState::default());
    let peer = |node: &Node| {
        let [peer] = &node.status().peers[..] else { panic!("one other") };
        (peer.address.clone(), peer.node, peer.connected, peer.match_index)
    };
    let address = || "n2:1".to_owned();
    assert_eq!(peer(&founding), (address(), None, false, None));
    let hello = Node::new(config(2, 2), PersistentState::default()).hello();
    founding.check_hello(&hello.encode(), Some("n2:1")).unwrap();
    assert_eq!(peer(&founding), (address(), Some(NodeId(2)), false, None));

    let mut node = leader_of_two();
    assert_eq!(peer(&node), (address(), Some(NodeId(2)), false, Some(Index(0))));
    node.connected(NodeId(2));
    node.connected(NodeId(2));
    node.disconnected(NodeId(2));
    assert!(peer(&node).2, "one of two connections is left");
    node.disconnected(NodeId(2));
    assert!(!peer(&node).2);
    let expected =
        "node=n1:1 role=leader leader=n1:1 term=1 commit=0 applied=0 last=1 digest=0000000000000000";
    assert_eq!(node.status().to_string(), expected);
}

#[test]
fn the_last_entries_of_the_log_are_returned() {
    let mut node = leader_of_two();
    node.call(CallId(1), ADD, arguments(3), Ticks(100));
    node.call(CallId(2), ADD, arguments(3), Ticks(100));
    settle(&mut node);
    let last = |count| node.log(count).iter().map(|entry| entry.id.index.0).collect::<Vec<_>>();
    assert_eq!((last(0), last(2), last(9)), (vec![], vec![2, 3], vec![1, 2, 3]));
}
