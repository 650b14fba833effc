//! The cluster is formed.

use super::*;

// Breaks: messages pile up for a node that nothing leads to.
#[test]
fn only_those_with_a_connection_are_told_that_the_cluster_is_formed() {
    for (lost, told) in [(false, 1), (true, 0)] {
        let mut node = Node::new(config(1, 2), PersistentState::default());
        let hello = Node::new(config(2, 2), PersistentState::default()).hello();
        node.judge(&hello.encode(), Some("n2:1")).unwrap();
        node.connected(NodeId(2));
        settle(&mut node);
        if lost {
            node.disconnected(NodeId(2));
        }
        node.receive(NodeId(2), Message::Founding(Announcement::Proposed(membership(2))));
        let formed = Message::Founding(Announcement::Formed(membership(2)));
        let messages = settle(&mut node).0;
        assert!(node.cluster().is_some());
        assert_eq!(messages.iter().filter(|(_, message)| *message == formed).count(), told);
    }
}
