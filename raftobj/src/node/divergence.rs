//! Replicas compared: the first entry after which two of them differ is found, and the one that is alone stops.
//!
//! Every node tells the running digest of what it applied last, now and then. Where a peer's digest of an index
//! differs from the one here, all members are asked for the digests before it; with those the first index of
//! difference is known, and who is on which side.

use crate::codec::message::{DIGESTS_MAX, Message};
use crate::object::MethodId;
use crate::raft::types::{Index, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// The digest after one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) digest: u64,
    /// The method that the entry called; `None` where it called none.
    pub(crate) method: Option<MethodId>,
}

/// The digests of this node's last entries, and what the others said of theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Divergence {
    /// The index of the first of `steps`.
    first: Index,
    steps: VecDeque<Step>,
    /// Digests told by peers of indexes that are not applied here yet.
    claims: BTreeMap<NodeId, (Index, u64)>,
    /// While a dispute is open: what each peer told.
    told: BTreeMap<NodeId, (Index, Vec<u64>)>,
    disputed: Option<Index>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The first index at which this node and another differ, as far back as both remember.
    pub(crate) index: Index,
    /// The method called there.
    pub(crate) method: Option<MethodId>,
    /// Whether a quorum agrees on another digest than this node's.
    pub(crate) outvoted: bool,
    /// Whether a quorum agrees with this node.
    pub(crate) confirmed: bool,
}

impl Divergence {
    /// Entries were applied here, ending at `upto`. Returns a dispute to open, as [`Divergence::claimed`].
    pub(crate) fn applied(&mut self, upto: Index, steps: &[Step]) -> Option<Message> {
        for step in steps {
            if self.steps.len() == DIGESTS_MAX {
                self.steps.pop_front();
            }
            self.steps.push_back(*step);
        }
        self.first = Index(upto.0 + 1 - self.steps.len() as u64);
        let due: Vec<(NodeId, (Index, u64))> = self
            .claims
            .iter()
            .filter(|(_, (index, _))| *index <= upto)
            .map(|(id, claim)| (*id, *claim))
            .collect();
        let mut dispute = None;
        for (peer, (index, digest)) in due {
            self.claims.remove(&peer);
            dispute = self.claimed(peer, index, digest).or(dispute);
        }
        dispute
    }

    /// A peer tells its digest. Returns the question for all members, where it differs from ours.
    pub(crate) fn claimed(&mut self, from: NodeId, index: Index, digest: u64) -> Option<Message> {
        if index > self.last() {
            self.claims.insert(from, (index, digest));
            return None;
        }
        let own = self.step_at(index)?;
        if own.digest == digest || self.disputed.is_some() {
            return None;
        }
        self.disputed = Some(index);
        self.told.clear();
        Some(Message::DigestsWanted { upto: index })
    }

    /// What a peer that asks is told: the digests up to `upto`, as far as they are kept.
    pub(crate) fn answer(&self, upto: Index) -> Message {
        let end = upto.min(self.last());
        let count = if end < self.first { 0 } else { (end.0 - self.first.0 + 1) as usize };
        let digests = self.steps.iter().take(count).map(|step| step.digest).collect();
        Message::Digests { first: self.first, digests }
    }

    /// A peer has answered. With answers of all `others`, or of enough to outvote this node, the dispute is
    /// decided; `quorum` says whether the nodes for which its argument holds are one.
    pub(crate) fn told(
        &mut self,
        from: NodeId,
        first: Index,
        digests: Vec<u64>,
        others: usize,
        quorum: impl Fn(&dyn Fn(NodeId) -> bool) -> bool,
        own: NodeId,
    ) -> Option<Difference> {
        self.disputed?;
        self.told.insert(from, (first, digests));
        let differing = |(first, digests): &(Index, Vec<u64>)| {
            digests
                .iter()
                .enumerate()
                .map(|(i, digest)| (Index(first.0 + i as u64), *digest))
                .find(|(index, digest)| self.step_at(*index).is_some_and(|step| step.digest != *digest))
        };
        let (index, digest) = self.told.values().filter_map(differing).min()?;
        let says = |id: NodeId| {
            let (first, digests) = self.told.get(&id)?;
            digests.get(usize::try_from(index.0.checked_sub(first.0)?).ok()?).copied()
        };
        let mine = self.step_at(index)?;
        let outvoted = quorum(&|id| says(id) == Some(digest));
        let confirmed = quorum(&|id| id == own || says(id) == Some(mine.digest));
        if !outvoted && !confirmed && self.told.len() < others {
            return None;
        }
        self.disputed = None;
        Some(Difference { index, method: mine.method, outvoted, confirmed })
    }

    /// The dispute takes too long, because a member is away: the next claim opens another.
    pub(crate) fn give_up(&mut self) {
        self.disputed = None;
    }

    fn last(&self) -> Index {
        Index((self.first.0 + self.steps.len() as u64).saturating_sub(1))
    }

    fn step_at(&self, index: Index) -> Option<Step> {
        let offset = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?;
        self.steps.get(offset).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(digests: &[u64]) -> Divergence {
        let mut divergence = Divergence::default();
        let steps: Vec<Step> =
            digests.iter().map(|&digest| Step { digest, method: Some(MethodId(digest as u32)) }).collect();
        divergence.applied(Index(digests.len() as u64), &steps);
        divergence
    }

    fn majority_of_three(agrees: &dyn Fn(NodeId) -> bool) -> bool {
        (1..=3).filter(|&id| agrees(NodeId(id))).count() >= 2
    }

    #[test]
    fn the_node_that_is_alone_learns_the_first_index_and_its_method() {
        let mut alone = with(&[1, 2, 30, 40]);
        assert_eq!(alone.claimed(NodeId(2), Index(2), 2), None);
        let question = alone.claimed(NodeId(2), Index(4), 4);
        assert_eq!(question, Some(Message::DigestsWanted { upto: Index(4) }));
        let others = with(&[1, 2, 3, 4, 5]);
        let Message::Digests { first, digests } = others.answer(Index(4)) else { panic!("an answer") };
        assert_eq!((first, digests.len()), (Index(1), 4));
        let told = alone.told(NodeId(2), first, digests.clone(), 2, majority_of_three, NodeId(1));
        assert_eq!(told, None, "one against one decides nothing");
        let told = alone.told(NodeId(3), first, digests, 2, majority_of_three, NodeId(1)).unwrap();
        assert_eq!((told.index, told.outvoted, told.confirmed), (Index(3), true, false));
        assert_eq!(told.method, Some(MethodId(30)));
    }

    #[test]
    fn a_claim_about_the_future_is_compared_when_it_has_come() {
        let mut node = with(&[1]);
        assert_eq!(node.claimed(NodeId(2), Index(2), 9), None);
        let dispute = node.applied(Index(2), &[Step { digest: 2, method: None }]);
        assert_eq!(dispute, Some(Message::DigestsWanted { upto: Index(2) }));
    }

    #[test]
    fn a_node_with_the_majority_stays() {
        let mut node = with(&[1, 2]);
        node.claimed(NodeId(3), Index(2), 9);
        assert_eq!(node.told(NodeId(3), Index(1), vec![1, 9], 2, majority_of_three, NodeId(1)), None);
        let told = node.told(NodeId(2), Index(1), vec![1, 2], 2, majority_of_three, NodeId(1)).unwrap();
        assert_eq!((told.index, told.outvoted, told.confirmed), (Index(2), false, true));
    }
}
