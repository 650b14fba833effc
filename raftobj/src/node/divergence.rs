//! Compares the replicas: finds the first entry after which two of them differ, and which of them the majority agrees with.
//!
//! From time to time every node sends the running digest of its last applied entry to all peers. Where a peer's digest of
//! an index differs from this node's, a *dispute* opens: this node asks all members for their earlier digests. The
//! replies show the first index at which replicas differ, and which members agree.
//!
//! A member that has not applied the entries in question, because it replays its log after a restart or is slow, decides
//! nothing yet. While it is connected the dispute waits for it, for a number of rounds that grows with the entries that it
//! lacks. So with a majority of correct replicas, only wrong ones stop.

use crate::codec::message::Message;
use crate::codec::method::MethodId;
use crate::marks::mark;
use crate::object::digest::{Checkpoint, DIGEST_RING_MAX, DigestMismatch, DigestRing};
use crate::planted::planted;
use crate::raft::membership::Membership;
use crate::raft::types::{Index, NodeId};
use std::collections::BTreeMap;

/// The digests of this node's last entries, and those that peers have sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct DivergenceDetector {
    ring: DigestRing,
    /// Digests of indexes that are not applied here yet.
    early: BTreeMap<NodeId, (Index, u64)>,
    /// While a dispute is open: the digests that each peer has replied with, oldest first.
    replies: BTreeMap<NodeId, Vec<Checkpoint>>,
    /// While a dispute is open: how many rounds of gossip it has lasted.
    dispute_rounds: Option<u32>,
    /// While a dispute is open: how long it has waited for each member.
    waits: BTreeMap<NodeId, Wait>,
}

/// A member whose digests do not decide the dispute yet.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// For how many rounds of gossip it was waited for.
    rounds: u32,
    /// For how many of them, since its last reply that showed progress.
    idle_rounds: u32,
    /// The last index that it has applied, as far as its replies show; `None` before the first.
    applied: Option<Index>,
    /// How many entries it lacked at its first reply.
    distance: u64,
}

impl Wait {
    /// Its reply shows that it has applied the entries up to `applied`, and this node up to `own`.
    fn replied(&mut self, applied: Index, own: Index) {
        if self.applied.is_none() {
            self.distance = own.0.saturating_sub(applied.0);
        }
        if self.applied.is_none_or(|before| before < applied) {
            self.idle_rounds = 0;
            self.applied = Some(applied);
        }
    }

    /// A round of gossip has passed. Returns whether the dispute still waits for the member.
    fn round(&mut self) -> bool {
        self.rounds += 1;
        self.idle_rounds += 1;
        let rounds_max = match self.applied {
            None => DISPUTE_ROUNDS_MAX,
            Some(_) => {
                let growing = u32::try_from(self.distance / REPLAY_ENTRIES_PER_ROUND_MIN).unwrap_or(u32::MAX);
                growing.saturating_add(IDLE_ROUNDS_MAX)
            }
        };
        self.rounds < rounds_max && self.idle_rounds < IDLE_ROUNDS_MAX
    }
}

/// How a dispute was decided: where replicas differ, and whom the majority agrees with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DisputeResult {
    /// The first index at which this node and a peer differ, as far back as both keep digests.
    pub(crate) index: Index,
    /// Whether they were equal right before it. If not, they differ from an earlier index on, whose digest is not kept.
    pub(crate) exact: bool,
    /// The method called at that index.
    pub(crate) method: Option<MethodId>,
    /// Whether a quorum agrees on another digest.
    pub(crate) outvoted: bool,
    /// Whether a quorum agrees with this node.
    pub(crate) confirmed: bool,
}

impl DivergenceDetector {
    /// Entries were applied here. Returns a question for all members, as [`receive_digest`](Self::receive_digest) does.
    pub(crate) fn applied(&mut self, checkpoints: &[Checkpoint]) -> Option<Message> {
        self.ring.extend(checkpoints);
        let upto = self.last_index();
        let (due, early): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.early).into_iter().partition(|(_, (index, _))| *index <= upto);
        self.early = early;
        due.into_iter().filter_map(|(peer, (index, digest))| self.receive_digest(peer, index, digest)).next()
    }

    /// The digest after the last entry applied here.
    pub(crate) fn latest(&self) -> Option<Checkpoint> {
        self.ring.last()
    }

    /// A peer has sent its digest. Returns a question for all members where a dispute opens.
    pub(crate) fn receive_digest(&mut self, from: NodeId, index: Index, digest: u64) -> Option<Message> {
        if index > self.last_index() {
            mark!(DigestEarly);
            self.early.insert(from, (index, digest));
            return None;
        }
        let own = self.ring.at(index)?;
        if own.digest == digest || self.dispute_rounds.is_some() {
            return None;
        }
        mark!(DivergenceAsked);
        self.dispute_rounds = Some(0);
        self.replies.clear();
        self.waits.clear();
        Some(Message::DigestsWanted { upto: index })
    }

    /// The reply to a peer's question: the digests up to `upto`, as far as they are kept.
    pub(crate) fn reply(&self, upto: Index) -> Message {
        let checkpoints = self.ring.before(upto, DIGEST_RING_MAX);
        let first = checkpoints.first().map_or(Index(0), |checkpoint| checkpoint.index);
        Message::Digests { first, digests: checkpoints.iter().map(|checkpoint| checkpoint.digest).collect() }
    }

    /// A peer has replied with its digests from `first` on.
    pub(crate) fn receive_digests(
        &mut self,
        from: NodeId,
        first: Index,
        digests: &[u64],
        members: &Membership,
        own: NodeId,
    ) -> Option<DisputeResult> {
        self.dispute_rounds?;
        let theirs = Index((first.0 + digests.len() as u64).saturating_sub(1));
        let own_last = self.last_index();
        self.waits.entry(from).or_default().replied(theirs, own_last);
        let numbered = (first.0..).zip(digests);
        let checkpoint = |(index, &digest)| Checkpoint { index: Index(index), digest, method: None };
        self.replies.insert(from, numbered.map(checkpoint).collect());
        self.decide(false, members, own)
    }

    /// The question of an open dispute, to ask again: a message may be lost, and a member may have applied more since.
    pub(crate) fn question(&self) -> Option<Message> {
        self.dispute_rounds
            .filter(|_| !planted!(DisputeAskedOnce))
            .map(|_| Message::DigestsWanted { upto: self.last_index() })
    }

    /// A round of gossip has passed. After [`DISPUTE_ROUNDS_MAX`] a dispute is decided with the replies that have arrived: an
    /// unreachable member, which may have stopped because of the same divergence, does not keep it open. A connected one
    /// that is behind does, within the bounds of [`Wait`].
    pub(crate) fn gossip_round(
        &mut self,
        members: &Membership,
        own: NodeId,
        is_connected: impl Fn(NodeId) -> bool,
    ) -> Option<DisputeResult> {
        let rounds = self.dispute_rounds.as_mut()?;
        *rounds += 1;
        let is_late = *rounds >= DISPUTE_ROUNDS_MAX;
        let mut waits = false;
        for peer in members.peers_of(own).filter(|peer| is_connected(*peer)) {
            if self.is_behind(peer) {
                waits |= self.waits.entry(peer).or_default().round();
            }
        }
        let waits = waits && !planted!(BehindNotWaitedFor);
        mark!(DisputeWaits if is_late && waits);
        let is_last = is_late && !waits;
        let result = self.decide(is_last, members, own);
        if is_last {
            self.dispute_rounds = None;
        }
        result
    }

    /// The first index at which this node and a peer differ, as far as both keep digests, with that peer.
    fn mismatch(&self) -> Option<(NodeId, DigestMismatch)> {
        let mismatches = self.replies.iter().filter_map(|(peer, theirs)| {
            let mismatch = self.ring.first_mismatch(theirs)?;
            Some((mismatch.ours.index, *peer, mismatch))
        });
        mismatches.min_by_key(|(index, peer, _)| (*index, *peer)).map(|(_, peer, mismatch)| (peer, mismatch))
    }

    /// A peer's digests from an index on. A peer that is far ahead may not keep the digest of that index any more. A later
    /// one will do: each digest covers all entries before it, so replicas with one equal digest were equal before.
    fn digests_from(&self, id: NodeId, index: Index) -> &[Checkpoint] {
        let theirs = self.replies.get(&id).map_or(&[][..], Vec::as_slice);
        &theirs[theirs.partition_point(|their| their.index < index)..]
    }

    /// Whether a member's digests can be compared with this node's, from the index on at which replicas differ.
    fn is_comparable(&self, id: NodeId, index: Index) -> bool {
        self.digests_from(id, index).iter().any(|their| self.ring.at(their.index).is_some())
            || planted!(AnyAnswerCounts if self.replies.contains_key(&id))
    }

    /// Whether replicas differ, and this member's digests do not say yet whom it agrees with.
    fn is_behind(&self, id: NodeId) -> bool {
        self.mismatch().is_some_and(|(_, mismatch)| !self.is_comparable(id, mismatch.ours.index))
    }

    /// Decides the dispute if a quorum agrees with this node or on another digest, if every member has sent its digest, or
    /// if this is the `last` chance.
    fn decide(&mut self, last: bool, members: &Membership, own: NodeId) -> Option<DisputeResult> {
        let (peer, DigestMismatch { ours, exact }) = self.mismatch()?;
        let index = ours.index;
        let digests_of = |id| self.digests_from(id, index);
        let ours_at = |index| self.ring.at(index).map(|ours| ours.digest);
        let other = digests_of(peer);
        let other_at = |index| {
            let position = other.binary_search_by_key(&index, |their| their.index).ok()?;
            Some(other[position].digest)
        };
        let agrees_with_other =
            |id| digests_of(id).iter().any(|their| other_at(their.index) == Some(their.digest));
        let agrees_with_us =
            |id| digests_of(id).iter().any(|their| ours_at(their.index) == Some(their.digest));
        let outvoted = members.is_quorum(|id| id != own && agrees_with_other(id));
        let confirmed = members.is_quorum(|id| id == own || agrees_with_us(id));
        let all = members.peers_of(own).all(|id| self.is_comparable(id, index));
        if !outvoted && !confirmed && !all && !last {
            return None;
        }
        self.dispute_rounds = None;
        Some(DisputeResult { index, exact, method: ours.method, outvoted, confirmed })
    }

    fn last_index(&self) -> Index {
        self.ring.last().map_or(Index(0), |checkpoint| checkpoint.index)
    }
}

/// How many rounds of gossip a dispute lasts at most, unless a connected member is behind: a second, with the default
/// options.
const DISPUTE_ROUNDS_MAX: u32 = 5;

/// How many rounds of gossip a dispute waits for a connected member that is behind and makes no progress: ten seconds.
const IDLE_ROUNDS_MAX: u32 = 50;

/// A member that is behind is waited for as long as it needs if it applies this many entries in a round of gossip: a
/// hundred in a second.
const REPLAY_ENTRIES_PER_ROUND_MIN: u64 = 20;

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
    fn an_outvoted_node_finds_the_first_index_and_its_method() {
        let mut alone = with_digests(&[1, 2, 30, 40]);
        assert_eq!(alone.receive_digest(NodeId(2), Index(2), 2), None);
        let question = alone.receive_digest(NodeId(2), Index(4), 4);
        assert_eq!(question, Some(Message::DigestsWanted { upto: Index(4) }));
        let others = with_digests(&[1, 2, 3, 4, 5]);
        let Message::Digests { first, digests } = others.reply(Index(4)) else { panic!("a reply") };
        assert_eq!((first, digests.len()), (Index(1), 4));
        let result = alone.receive_digests(NodeId(2), first, &digests, &three(), NodeId(1));
        assert_eq!(result, None, "one against one is no majority");
        let result = alone.receive_digests(NodeId(3), first, &digests, &three(), NodeId(1)).unwrap();
        assert_eq!((result.index, result.outvoted, result.confirmed), (Index(3), true, false));
        assert_eq!(result.method, Some(MethodId(30)));
    }

    /// Breaks: a member that has restarted and applied nothing yet counts as one that disagrees, and nodes in the majority
    /// stop.
    #[test]
    fn a_member_that_has_not_applied_the_index_yet_is_waited_for() {
        let mut node = with_digests(&[1, 2]);
        node.receive_digest(NodeId(3), Index(2), 9);
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        assert_eq!(node.receive_digests(NodeId(2), Index(0), &[], &three(), NodeId(1)), None);
        assert_eq!(node.receive_digests(NodeId(2), Index(1), &[1], &three(), NodeId(1)), None);
        let result = node.receive_digests(NodeId(2), Index(1), &[1, 2], &three(), NodeId(1)).unwrap();
        assert_eq!((result.index, result.exact, result.confirmed), (Index(2), true, true));
    }

    /// Breaks: a message blames a method that did nothing wrong, because the digest of the wrong one is not kept.
    #[test]
    fn a_divergence_before_the_first_kept_digest_is_not_exact() {
        let mut node = with_digests(&[1, 2, 3]);
        node.receive_digest(NodeId(3), Index(3), 30);
        assert_eq!(node.receive_digests(NodeId(3), Index(2), &[20, 30], &three(), NodeId(1)), None);
        let result = node.receive_digests(NodeId(2), Index(2), &[2, 3], &three(), NodeId(1)).unwrap();
        assert_eq!((result.index, result.exact, result.confirmed), (Index(2), false, true));
    }

    /// Breaks: under load, where members are thousands of entries apart, a node that agrees with the majority stops.
    #[test]
    fn a_member_that_dropped_the_digest_counts_by_later_ones() {
        let mut node = with_digests(&[1, 2, 3, 4]);
        node.receive_digest(NodeId(3), Index(4), 40);
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &[1, 20, 30, 40], &three(), NodeId(1)), None);
        let result = node.receive_digests(NodeId(2), Index(3), &[3, 4], &three(), NodeId(1)).unwrap();
        assert_eq!((result.index, result.outvoted, result.confirmed), (Index(2), false, true));

        let mut alone = with_digests(&[1, 20, 30, 40]);
        alone.receive_digest(NodeId(3), Index(4), 4);
        assert_eq!(alone.receive_digests(NodeId(3), Index(1), &[1, 2, 3, 4], &three(), NodeId(1)), None);
        let result = alone.receive_digests(NodeId(2), Index(3), &[3, 4], &three(), NodeId(1)).unwrap();
        assert_eq!((result.index, result.outvoted, result.confirmed), (Index(2), true, false));
    }

    /// Breaks: a lost question has no reply, and the dispute ends without it.
    #[test]
    fn a_question_is_repeated_while_its_dispute_is_open() {
        let mut node = with_digests(&[1, 2]);
        assert_eq!(node.question(), None);
        node.receive_digest(NodeId(3), Index(1), 9);
        assert_eq!(node.question(), Some(Message::DigestsWanted { upto: Index(2) }));
        for _ in 0..DISPUTE_ROUNDS_MAX {
            node.gossip_round(&three(), NodeId(1), |_| false);
        }
        assert_eq!(node.question(), None);
    }

    #[test]
    fn planted_disputes_ended_without_a_reply_are_found() {
        use crate::planted::{Bug, with};
        let mut node = with_digests(&[1, 2]);
        node.receive_digest(NodeId(3), Index(2), 9);
        with(Bug::DisputeAskedOnce, || assert_eq!(node.question(), None));
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        let found = with(Bug::AnyAnswerCounts, || {
            node.receive_digests(NodeId(2), Index(1), &[1], &three(), NodeId(1))
        });
        assert!(!found.unwrap().confirmed, "the tests above fail with this bug");
    }

    #[test]
    fn an_early_digest_is_compared_once_its_index_is_applied() {
        let mut node = with_digests(&[1]);
        assert_eq!(node.receive_digest(NodeId(2), Index(2), 9), None);
        let dispute = node.applied(&[checkpoint(2, 2)]);
        assert_eq!(dispute, Some(Message::DigestsWanted { upto: Index(2) }));
    }

    #[test]
    fn a_node_that_agrees_with_the_majority_is_confirmed() {
        let mut node = with_digests(&[1, 2]);
        node.receive_digest(NodeId(3), Index(2), 9);
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        let result = node.receive_digests(NodeId(2), Index(1), &[1, 2], &three(), NodeId(1)).unwrap();
        assert_eq!((result.index, result.outvoted, result.confirmed), (Index(2), false, true));
    }

    /// Breaks: replicas of which no two agree go on acknowledging, because one has stopped and never replies.
    #[test]
    fn a_dispute_without_a_majority_ends() {
        let mut node = with_digests(&[1, 2]);
        node.receive_digest(NodeId(3), Index(2), 9);
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &[1, 9], &three(), NodeId(1)), None);
        for _ in 1..DISPUTE_ROUNDS_MAX {
            assert_eq!(node.gossip_round(&three(), NodeId(1), |_| false), None);
        }
        let found = node.gossip_round(&three(), NodeId(1), |_| false).unwrap();
        assert_eq!((found.index, found.outvoted, found.confirmed), (Index(2), false, false));
        assert_eq!(node.gossip_round(&three(), NodeId(1), |_| false), None);
    }

    /// Breaks: every correct node stops, because a member replays its log for longer than a second after a restart.
    #[test]
    fn a_connected_member_that_is_behind_is_waited_for() {
        let digests: Vec<u64> = (1..=3_000).collect();
        let mut node = with_digests(&digests);
        node.receive_digest(NodeId(3), Index(3_000), 9);
        let wrong = [&digests[..2_999], &[9]].concat();
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &wrong, &three(), NodeId(1)), None);
        let mut rounds = 0;
        for applied in (0..3_000).step_by(20) {
            let found = node.receive_digests(NodeId(2), Index(1), &digests[..applied], &three(), NodeId(1));
            assert_eq!(found, None, "n2 has applied {applied}");
            assert_eq!(node.gossip_round(&three(), NodeId(1), |_| true), None, "n2 has applied {applied}");
            rounds += 1;
        }
        assert!(rounds > DISPUTE_ROUNDS_MAX, "{rounds} rounds");
        let found = node.receive_digests(NodeId(2), Index(1), &digests, &three(), NodeId(1)).unwrap();
        assert_eq!((found.index, found.outvoted, found.confirmed), (Index(3_000), false, true));
    }

    /// Breaks: the test above does not notice that nobody waits for a member that is behind.
    #[test]
    fn planted_members_behind_that_are_not_waited_for_are_found() {
        use crate::planted::{Bug, with};
        let check = || with(Bug::BehindNotWaitedFor, a_connected_member_that_is_behind_is_waited_for);
        assert!(std::panic::catch_unwind(check).is_err(), "it was not found");
    }

    /// For how many rounds a dispute lasts that node 2 is connected to and does not decide.
    fn rounds_of_a_dispute(distance: u64, mut reply: impl FnMut(&mut DivergenceDetector, u32)) -> u32 {
        let digests: Vec<u64> = (1..=distance).collect();
        let mut node = with_digests(&digests);
        node.receive_digest(NodeId(3), Index(distance), 9);
        let wrong = [&digests[..digests.len() - 1], &[9]].concat();
        assert_eq!(node.receive_digests(NodeId(3), Index(1), &wrong, &three(), NodeId(1)), None);
        for round in 1..10_000 {
            reply(&mut node, round);
            if let Some(found) = node.gossip_round(&three(), NodeId(1), |_| true) {
                assert_eq!((found.outvoted, found.confirmed), (false, false));
                return round;
            }
        }
        panic!("the dispute has no end");
    }

    /// Breaks: a member that hangs, or replays for ever, keeps replicas acknowledging that differ.
    #[test]
    fn the_wait_for_a_member_that_is_behind_has_a_bound() {
        assert_eq!(rounds_of_a_dispute(1_000, |_, _| {}), DISPUTE_ROUNDS_MAX, "it never replies");
        let stands_still = |node: &mut DivergenceDetector, _| {
            node.receive_digests(NodeId(2), Index(1), &[1], &three(), NodeId(1));
        };
        assert_eq!(rounds_of_a_dispute(4_000, stands_still), IDLE_ROUNDS_MAX);
        let one_entry_a_round = |node: &mut DivergenceDetector, round: u32| {
            let applied: Vec<u64> = (1..=u64::from(round)).collect();
            node.receive_digests(NodeId(2), Index(1), &applied, &three(), NodeId(1));
        };
        assert_eq!(rounds_of_a_dispute(2_001, one_entry_a_round), IDLE_ROUNDS_MAX + 100);
        assert_eq!(rounds_of_a_dispute(4_001, one_entry_a_round), IDLE_ROUNDS_MAX + 200);
    }
}
