//! The cluster is formed.

use super::*;

// Breaks: messages pile up for a peer that has no connection.
#[test]
fn only_connected_peers_are_sent_the_formed_membership() {
    for (lost, sent) in [(false, 1), (true, 0)] {
        let mut node = Node::new(config(1, 2), PersistentState::default());
        let hello = Node::new(config(2, 2), PersistentState::default()).hello();
        node.check_hello(&hello.encode(), Some("n2:1")).unwrap();
        node.connected(NodeId(2));
        settle(&mut node);
        if lost {
            node.disconnected(NodeId(2));
        }
        node.receive(NodeId(2), Message::Founding(Announcement::Proposed(membership(2))));
        let formed = Message::Founding(Announcement::Formed(membership(2)));
        let messages = settle(&mut node).0;
        assert!(node.cluster().is_some());
        assert_eq!(messages.iter().filter(|(_, message)| *message == formed).count(), sent);
    }
}
