//! Who is a member, and what a quorum of the members is.
//!
//! Everything that counts votes, acknowledgements or answers uses this file, so learners and joint quorums (§6) will
//! change this file only.

use super::types::{Incarnation, NodeId};
use std::collections::BTreeMap;

/// A member, as all others know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    /// The member's disk. Messages from another disk do not count.
    pub(crate) incarnation: Incarnation,
    /// `host:port` as the user spelled it; resolved anew at every connection.
    pub(crate) address: String,
}

/// The members, all of them voters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Membership {
    /// By id.
    pub(crate) members: BTreeMap<NodeId, Member>,
}

impl Membership {
    /// Whether `node` is a voter: its votes and acknowledgements count.
    pub(crate) fn is_voter(&self, node: NodeId) -> bool {
        self.members.contains_key(&node)
    }

    /// The voters other than `node`, in the order of their ids.
    pub(crate) fn peers_of(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.members.keys().copied().filter(move |&id| id != node)
    }

    /// Whether the voters for which `agrees` holds are a majority: more than half of all.
    pub(crate) fn is_quorum(&self, mut agrees: impl FnMut(NodeId) -> bool) -> bool {
        let agreeing = self.members.keys().filter(|&&id| agrees(id)).count();
        agreeing > self.members.len() / 2
    }

    /// The highest value that a majority of the voters has reached: the highest `v` with
    /// `is_quorum(|id| value(id) >= v)`.
    pub(crate) fn quorum_value<V: Ord>(&self, value: impl FnMut(NodeId) -> V) -> Option<V> {
        let mut values: Vec<V> = self.members.keys().copied().map(value).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        let quorum_size = values.len() / 2 + 1;
        values.into_iter().nth(quorum_size - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(size: u64) -> Membership {
        let member = |id| Member { incarnation: Incarnation(id), address: format!("n{id}:1") };
        Membership { members: (1..=size).map(|id| (NodeId(id), member(id))).collect() }
    }

    #[test]
    fn a_quorum_is_more_than_half() {
        for (size, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
            let membership = membership(size);
            assert!(membership.is_quorum(|id| id.0 <= needed), "{needed} of {size}");
            assert!(!membership.is_quorum(|id| id.0 < needed), "{} of {size}", needed - 1);
        }
        assert!(!Membership::default().is_quorum(|_| true), "no voters are no quorum");
    }

    /// Compared with a naive computation: the highest value such that more than half are at or above it.
    #[test]
    fn the_quorum_value_is_what_more_than_half_have_reached() {
        let mut state = 1_u64;
        for size in 1..=7 {
            let membership = membership(size);
            for _ in 0..200 {
                let values: BTreeMap<NodeId, u64> = membership
                    .members
                    .keys()
                    .map(|&id| {
                        state = crate::hash::mix(state, id.0);
                        (id, state % 5)
                    })
                    .collect();
                let naive = (0..5).rev().find(|v| membership.is_quorum(|id| values[&id] >= *v));
                assert_eq!(membership.quorum_value(|id| values[&id]), naive, "{values:?}");
            }
        }
        assert_eq!(Membership::default().quorum_value(|_| 1), None);
    }
}
