//! What a node reports.

use super::*;
use crate::object::fixture::noop;
use crate::raft::types::{EntryId, HardState};

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
    let indexes = |page| {
        let page = node.log_page(page)?;
        Some(page.iter().map(|entry| entry.id.index.0).collect::<Vec<_>>())
    };
    let last = |count| indexes(LogPage::Last(count)).unwrap();
    assert_eq!((last(0), last(2), last(9)), (vec![], vec![2, 3], vec![1, 2, 3]));
    let id = |term, index| EntryId { term: Term(term), index: Index(index) };
    assert_eq!(indexes(LogPage::After(id(1, 1), 9)), Some(vec![2, 3]));
    assert_eq!(indexes(LogPage::After(id(1, 3), 9)), Some(vec![]));
    assert_eq!(indexes(LogPage::After(id(2, 1), 9)), None, "that entry was replaced");
    assert_eq!(indexes(LogPage::After(id(1, 4), 9)), None, "that entry was removed");
}

/// Breaks: a look at the log holds up heartbeats.
#[test]
fn a_page_of_the_log_is_bounded() {
    let count = 3 * LOG_PAGE_ENTRIES as u64;
    let entries = (1..=count).map(|index| noop(1, index)).collect();
    let hard_state = HardState { term: Term(1), voted_for: None };
    let formed = Some(membership(2));
    let node = Node::new(config(1, 2), PersistentState { formed, hard_state, entries, proposal: None });
    let page = node.log_page(LogPage::Last(usize::MAX)).unwrap();
    assert_eq!((page.len(), page[0].id.index), (LOG_PAGE_ENTRIES, Index(1)));
    let page = node.log_page(LogPage::After(page[LOG_PAGE_ENTRIES - 1].id, usize::MAX)).unwrap();
    assert_eq!((page.len(), page[0].id.index.0), (LOG_PAGE_ENTRIES, 1 + LOG_PAGE_ENTRIES as u64));
    let page = node.log_page(LogPage::Last(5)).unwrap();
    assert_eq!((page.len(), page[4].id.index.0), (5, count));
}
