//! Replicas compared: the first entry after which two of them differ is found, and the one that is alone stops.
//!
//! Every node tells the running digest of what it applied last, now and then. Where a peer's digest of an index
//! differs from the one here, all members are asked for the digests before it; with those the first index of
//! difference is known, and who is on which side.

use crate::codec::message::Message;
use crate::codec::method::MethodId;
use crate::marks::mark;
use crate::object::digest::{Checkpoint, DIGEST_RING_MAX, DigestMismatch, DigestRing};
use crate::planted::planted;
use crate::raft::membership::Membership;
use crate::raft::types::{Index, NodeId};
use std::collections::BTreeMap;

/// The digests of this node's last entries, and what the others said of theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct DivergenceDetector {
    ring: DigestRing,
    /// Digests told by peers of indexes that are not applied here yet.
    claims: BTreeMap<NodeId, (Index, u64)>,
    /// While a dispute is open: what each peer told, oldest first.
    told: BTreeMap<NodeId, Vec<Checkpoint>>,
    /// While a dispute is open: how many rounds of gossip it has lasted.
    disputed: Option<u32>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    /// The first index at which this node and another differ, as far back as both remember.
    pub(crate) index: Index,
    /// Whether they were equal right before it; else the first difference is no longer remembered.
    pub(crate) exact: bool,
    /// The method called there.
    pub(crate) method: Option<MethodId>,
    /// Whether a quorum agrees on another digest than this node's.
    pub(crate) outvoted: bool,
    /// Whether a quorum agrees with this node.
    pub(crate) confirmed: bool,
}

impl DivergenceDetector {
    /// Entries were applied here. Returns the question for all members, as [`DivergenceDetector::claimed`].
    pub(crate) fn applied(&mut self, checkpoints: &[Checkpoint]) -> Option<Message> {
        self.ring.extend(checkpoints);
        let upto = self.last();
        let (due, early) =
            std::mem::take(&mut self.claims).into_iter().partition(|(_, claim)| claim.0 <= upto);
        self.claims = early;
        let due: BTreeMap<NodeId, (Index, u64)> = due;
        due.into_iter().filter_map(|(peer, (index, digest))| self.claimed(peer, index, digest)).next()
    }

    /// The digest after the last entry applied here, to be told.
    pub(crate) fn latest(&self) -> Option<Checkpoint> {
        self.ring.last()
    }

    /// A peer tells its digest. Returns the question for all members, where it differs from ours.
    pub(crate) fn claimed(&mut self, from: NodeId, index: Index, digest: u64) -> Option<Message> {
        if index > self.last() {
            mark!(DigestEarly);
            self.claims.insert(from, (index, digest));
            return None;
        }
        let own = self.ring.at(index)?;
        if own.digest == digest || self.disputed.is_some() {
            return None;
        }
        mark!(DivergenceAsked);
        self.disputed = Some(0);
        self.told.clear();
        Some(Message::DigestsWanted { upto: index })
    }

    /// What a peer that asks is told: the digests up to `upto`, as far as they are kept.
    pub(crate) fn answer(&self, upto: Index) -> Message {
        let checkpoints = self.ring.before(upto, DIGEST_RING_MAX);
        let first = checkpoints.first().map_or(Index(0), |checkpoint| checkpoint.index);
        Message::Digests { first, digests: checkpoints.iter().map(|checkpoint| checkpoint.digest).collect() }
    }

    /// A peer has answered.
    pub(crate) fn told(
        &mut self,
        from: NodeId,
        first: Index,
        digests: &[u64],
        members: &Membership,
        own: NodeId,
    ) -> Option<Divergence> {
        self.disputed?;
        let numbered = (first.0..).zip(digests);
        let checkpoint = |(index, &digest)| Checkpoint { index: Index(index), digest, method: None };
        self.told.insert(from, numbered.map(checkpoint).collect());
        self.decide(false, members, own)
    }

    /// The question of an open dispute, to be put again: it may have been lost, and a member may have applied more since.
    pub(crate) fn question(&self) -> Option<Message> {
        self.disputed
            .filter(|_| !planted!(DisputeAskedOnce))
            .map(|_| Message::DigestsWanted { upto: self.last() })
    }

    /// A round of gossip has passed. A dispute that has lasted long is decided with what was told: a member that is
    /// away, perhaps because it has stopped over the same difference, does not keep it open.
    pub(crate) fn round(&mut self, members: &Membership, own: NodeId) -> Option<Divergence> {
        let rounds = self.disputed.as_mut()?;
        *rounds += 1;
        let long = *rounds >= ROUNDS_MAX;
        let decided = self.decide(long, members, own);
        if long {
            self.disputed = None;
        }
        decided
    }

    /// Decides the dispute where a quorum agrees, with this node or on something else; where every member has told its
    /// digest of the index, or in the `end`, in any case.
    fn decide(&mut self, end: bool, members: &Membership, own: NodeId) -> Option<Divergence> {
        let differences = self.told.iter().filter_map(|(peer, theirs)| {
            let found = self.ring.first_mismatch(theirs)?;
            Some((found.ours.index, *peer, found))
        });
        let (index, peer, DigestMismatch { ours, exact }) =
            differences.min_by_key(|(index, peer, _)| (*index, *peer))?;
        // From the difference on, as far as a peer has told: one that is ahead may keep its digest of the index no more.
        // Digests are of all before them, so those that are equal anywhere later are equal there.
        let says = |id: NodeId| {
            let theirs = self.told.get(&id).map_or(&[][..], Vec::as_slice);
            &theirs[theirs.partition_point(|their| their.index < index)..]
        };
        let ours_at = |index| self.ring.at(index).map(|ours| ours.digest);
        let other = says(peer);
        let other_at = |index| {
            let position = other.binary_search_by_key(&index, |their| their.index).ok()?;
            Some(other[position].digest)
        };
        let as_other = |id| says(id).iter().any(|their| other_at(their.index) == Some(their.digest));
        let as_ours = |id| says(id).iter().any(|their| ours_at(their.index) == Some(their.digest));
        let outvoted = members.is_quorum(|id| id != own && as_other(id));
        let confirmed = members.is_quorum(|id| id == own || as_ours(id));
        let told = |id: &NodeId| {
            says(*id).iter().any(|their| ours_at(their.index).is_some())
                || planted!(AnyAnswerCounts if self.told.contains_key(id))
        };
        let all = members.members.keys().all(|id| *id == own || told(id));
        if !outvoted && !confirmed && !all && !end {
            return None;
        }
        self.disputed = None;
        Some(Divergence { index, exact, method: ours.method, outvoted, confirmed })
    }

    fn last(&self) -> Index {
        self.ring.last().map_or(Index(0), |checkpoint| checkpoint.index)
    }
}

/// Rounds of gossip that a dispute may last: a second, with the defaults.
const ROUNDS_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::membership::Member;
    use crate::raft::types::Incarnation;

    fn checkpoint(index: u64, digest: u64) -> Checkpoint {
        Checkpoint { index: Index(index), digest, method: Some(MethodId(digest as u32)) }
    }

    fn with_digests(digests: &[u64]) -> DivergenceDetector {
        let mut divergence = DivergenceDetector::default();
        let checkpoints: Vec<_> =
            (1..).zip(digests).map(|(index, &digest)| checkpoint(index, digest)).collect();
        divergence.applied(&checkpoints);
        divergence
    }

    fn three() -> Membership {
        let member = Member { incarnation: Incarnation(1), address: String::new() };
        Membership { members: (1..=3).map(|id| (NodeId(id), member.clone())).collect() }
    }

    #[test]
    fn the_node_that_is_alone_learns_the_first_index_and_its_method() {
        let mut alone = with_digests(&[1, 2, 30, 40]);
        assert_eq!(alone.claimed(NodeId(2), Index(2), 2), None);
        let question = alone.claimed(NodeId(2), Index(4), 4);
        assert_eq!(question, Some(Message::DigestsWanted { upto: Index(4) }));
        let others = with_digests(&[1, 2, 3, 4, 5]);
        let Message::Digests { first, digests } = others.answer(Index(4)) else { panic!("an answer") };
        assert_eq!((first, digests.len()), (Index(1), 4));
        let told = alone.told(NodeId(2), first, &digests, &three(), NodeId(1));
        assert_eq!(told, None, "one against one decides nothing");
        let told = alone.told(NodeId(3), first, &digests, &three(), NodeId(1)).unwrap();
        assert_eq!((told.index, told.outvoted, told.confirmed), (Index(3), true, false));
        assert_eq!(told.method, Some(MethodId(30)));
    }

    /// Breaks: a member that was started again and has applied nothing yet counts as one of another opinion, and nodes that
    /// are the majority stop.
    #[test]
    fn a_member_that_has_not_applied_the_index_yet_is_waited_for() {
        let mut node = with_digests(&[1, 2]);
        node.claimed(NodeId(3), Index(2), 9);
        assert_eq!(node.told(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        assert_eq!(node.told(NodeId(2), Index(0), &[], &three(), NodeId(1)), None);
        assert_eq!(node.told(NodeId(2), Index(1), &[1], &three(), NodeId(1)), None);
        let told = node.told(NodeId(2), Index(1), &[1, 2], &three(), NodeId(1)).unwrap();
        assert_eq!((told.index, told.exact, told.confirmed), (Index(2), true, true));
    }

    /// Breaks: a person looks at a method that did nothing wrong, because the one that did is forgotten.
    #[test]
    fn a_difference_older_than_what_is_remembered_is_not_exact() {
        let mut node = with_digests(&[1, 2, 3]);
        node.claimed(NodeId(3), Index(3), 30);
        assert_eq!(node.told(NodeId(3), Index(2), &[20, 30], &three(), NodeId(1)), None);
        let told = node.told(NodeId(2), Index(2), &[2, 3], &three(), NodeId(1)).unwrap();
        assert_eq!((told.index, told.exact, told.confirmed), (Index(2), false, true));
    }

    /// Breaks: under load, where members are thousands of entries apart, a node that agrees with the majority stops.
    #[test]
    fn a_member_that_keeps_the_index_no_more_counts_by_what_it_keeps() {
        let mut node = with_digests(&[1, 2, 3, 4]);
        node.claimed(NodeId(3), Index(4), 40);
        assert_eq!(node.told(NodeId(3), Index(1), &[1, 20, 30, 40], &three(), NodeId(1)), None);
        let told = node.told(NodeId(2), Index(3), &[3, 4], &three(), NodeId(1)).unwrap();
        assert_eq!((told.index, told.outvoted, told.confirmed), (Index(2), false, true));

        let mut alone = with_digests(&[1, 20, 30, 40]);
        alone.claimed(NodeId(3), Index(4), 4);
        assert_eq!(alone.told(NodeId(3), Index(1), &[1, 2, 3, 4], &three(), NodeId(1)), None);
        let told = alone.told(NodeId(2), Index(3), &[3, 4], &three(), NodeId(1)).unwrap();
        assert_eq!((told.index, told.outvoted, told.confirmed), (Index(2), true, false));
    }

    /// Breaks: a question that was lost is never answered, and a node ends its dispute without the answer.
    #[test]
    fn a_question_is_put_again_while_its_dispute_is_open() {
        let mut node = with_digests(&[1, 2]);
        assert_eq!(node.question(), None);
        node.claimed(NodeId(3), Index(1), 9);
        assert_eq!(node.question(), Some(Message::DigestsWanted { upto: Index(2) }));
        for _ in 0..ROUNDS_MAX {
            node.round(&three(), NodeId(1));
        }
        assert_eq!(node.question(), None);
    }

    #[test]
    fn planted_disputes_ended_without_an_answer_are_found() {
        use crate::planted::{Bug, with};
        let mut node = with_digests(&[1, 2]);
        node.claimed(NodeId(3), Index(2), 9);
        with(Bug::DisputeAskedOnce, || assert_eq!(node.question(), None));
        assert_eq!(node.told(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        let found = with(Bug::AnyAnswerCounts, || node.told(NodeId(2), Index(1), &[1], &three(), NodeId(1)));
        assert!(!found.unwrap().confirmed, "the tests before this one see it");
    }

    #[test]
    fn a_claim_about_the_future_is_compared_when_it_has_come() {
        let mut node = with_digests(&[1]);
        assert_eq!(node.claimed(NodeId(2), Index(2), 9), None);
        let dispute = node.applied(&[checkpoint(2, 2)]);
        assert_eq!(dispute, Some(Message::DigestsWanted { upto: Index(2) }));
    }

    #[test]
    fn a_node_with_the_majority_stays() {
        let mut node = with_digests(&[1, 2]);
        node.claimed(NodeId(3), Index(2), 9);
        assert_eq!(node.told(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        let told = node.told(NodeId(2), Index(1), &[1, 2], &three(), NodeId(1)).unwrap();
        assert_eq!((told.index, told.outvoted, told.confirmed), (Index(2), false, true));
    }

    /// Breaks: replicas of which no two agree go on acknowledging, because one has stopped and never answers.
    #[test]
    fn a_dispute_that_nobody_can_win_ends() {
        let mut node = with_digests(&[1, 2]);
        node.claimed(NodeId(3), Index(2), 9);
        assert_eq!(node.told(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        for _ in 1..ROUNDS_MAX {
            assert_eq!(node.round(&three(), NodeId(1)), None);
        }
        let found = node.round(&three(), NodeId(1)).unwrap();
        assert_eq!((found.index, found.outvoted, found.confirmed), (Index(2), false, false));
        assert_eq!(node.round(&three(), NodeId(1)), None);
    }
}
