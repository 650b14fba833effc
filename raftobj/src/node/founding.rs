//! How a cluster is founded: once, by all nodes of its list, never by fewer.
//!
//! ```text
//!         is connected to all others         all have announced this proposal
//!  Waiting ─────────────────────────▶ Proposed ──────────────────────────────────▶ Formed
//!                 (proposal durable,         (or a node reports that it formed)
//!                  never changed)
//! ```
//!
//! 1. Every node is started with the same list of addresses. A *proposal* is a membership: for each address of the list, the
//!    node and the incarnation (the disk) that answered there.
//! 2. A node that is connected to all others, at one time, makes a proposal durable, then announces it. Its disk never
//!    announces another.
//! 3. A proposal forms the cluster when all of its nodes have announced it.
//! 4. Until then a node gives no vote and counts for no majority.
//!
//! **At most one cluster forms.** Two proposals that have a disk in common cannot both form: each needs the announcement of
//! that disk, and a disk makes one.
//!
//! **A majority is not enough.** A wiped node and a node that was never met could found a second cluster beside the first.
//!
//! **A proposal cannot change**, even if another disk appears at an address: announcements of the old proposal may still be
//! in flight, and both could form.
//!
//! **A peer that has gone does not count.** A proposal names only disks that are there: a node forgets a peer when its
//! last connection to it ends. Otherwise a disk that was met, and is wiped before all others have come, would be named in
//! proposals, and each disk that announces one would have to be wiped, too.
//!
//! **The price.** If a disk is lost after a node has proposed it, and before the cluster forms moments later, the other
//! nodes wait for that disk. They report this, and what to do. The same holds for a disk that is lost while a connection
//! to its machine has not ended yet.

use crate::codec::message::Announcement;
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::membership::{Member, Membership};
use crate::raft::types::{Incarnation, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// One node's part in the founding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Founding {
    own: NodeId,
    /// All addresses of the list, this node's own too.
    addresses: BTreeSet<String>,
    /// The node and the disk that answered last at each address.
    met: BTreeMap<String, (NodeId, Incarnation)>,
    /// The nodes that are there: this node, and the peers that it is connected to.
    present: BTreeSet<NodeId>,
    proposal: Option<Proposal>,
    /// The membership that forms is being written. No message changes it any more, or causes another write.
    forming: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Proposal {
    membership: Membership,
    durable: bool,
    announced_by: BTreeSet<NodeId>,
}

/// What the caller must do next; the steps come in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoundingStep {
    /// Nothing.
    Wait,
    /// Write this proposal durably, then call [`Founding::proposal_written`].
    WriteProposal(Membership),
    /// Send the announcement to all: the proposal is durable.
    Announce,
    /// All nodes of this membership have announced it. Write durably that it has formed; then the founding is over.
    Form(Membership),
}

impl Founding {
    /// A node that starts before its cluster has formed. `proposal` is the one on its disk.
    pub(crate) fn new(
        own: NodeId,
        incarnation: Incarnation,
        address: &str,
        list: &[String],
        proposal: Option<Membership>,
    ) -> Founding {
        let mut met = BTreeMap::new();
        met.insert(address.to_owned(), (own, incarnation));
        let proposal =
            proposal.map(|membership| Proposal { membership, durable: true, announced_by: BTreeSet::new() });
        let addresses = list.iter().cloned().collect();
        Founding { own, addresses, met, present: BTreeSet::from([own]), proposal, forming: false }
    }

    /// The first step. It may be the last: a list of one needs no other node.
    pub(crate) fn start(&mut self) -> FoundingStep {
        match self.propose() {
            FoundingStep::Wait => self.form_if_all_announced(),
            step => step,
        }
    }

    /// A node has answered at `address`. It counts once it is [`connected`](Self::connected).
    pub(crate) fn meet(&mut self, address: &str, id: NodeId, incarnation: Incarnation) {
        if self.addresses.contains(address) && id != self.own {
            self.met.insert(address.to_owned(), (id, incarnation));
        }
    }

    /// There is a connection to this peer.
    pub(crate) fn connected(&mut self, peer: NodeId) -> FoundingStep {
        self.present.insert(peer);
        self.propose()
    }

    /// The last connection to this peer has ended.
    pub(crate) fn disconnected(&mut self, peer: NodeId) {
        mark!(FounderForgotten if self.proposal.is_none());
        if !planted!(GoneFounderCounts) {
            self.present.remove(&peer);
        }
    }

    /// The addresses at which no node is now.
    fn absent(&self) -> impl Iterator<Item = &String> {
        let is_present = |address: &&String| self.met(address).is_some_and(|id| self.present.contains(&id));
        self.addresses.iter().filter(move |address| !is_present(address))
    }

    /// Proposes the nodes that are present, once: this disk announces no other proposal.
    fn propose(&mut self) -> FoundingStep {
        let has_proposed = self.proposal.is_some() && !planted!(ListChanges);
        if has_proposed || self.absent().next().is_some() {
            return FoundingStep::Wait;
        }
        let member = |(address, &(id, incarnation)): (&String, &(NodeId, Incarnation))| {
            (id, Member { incarnation, address: address.clone() })
        };
        let membership = Membership { members: self.met.iter().map(member).collect() };
        if membership.members.len() < self.addresses.len() {
            // One node answers at two addresses of the list. It would count twice.
            return FoundingStep::Wait;
        }
        self.proposal =
            Some(Proposal { membership: membership.clone(), durable: false, announced_by: BTreeSet::new() });
        FoundingStep::WriteProposal(membership)
    }

    /// The proposal is durable.
    pub(crate) fn proposal_written(&mut self, written: &Membership) -> FoundingStep {
        match &mut self.proposal {
            Some(proposal) if proposal.membership == *written => {
                proposal.durable = true;
                match self.form_if_all_announced() {
                    FoundingStep::Wait => FoundingStep::Announce,
                    step => step,
                }
            }
            _ => FoundingStep::Wait,
        }
    }

    /// The announcement of a peer.
    pub(crate) fn receive(&mut self, from: NodeId, announcement: &Announcement) -> FoundingStep {
        match announcement {
            Announcement::Waiting => FoundingStep::Wait,
            Announcement::Proposed(membership) => match &mut self.proposal {
                Some(proposal) if proposal.membership == *membership => {
                    proposal.announced_by.insert(from);
                    self.form_if_all_announced()
                }
                _ => FoundingStep::Wait,
            },
            // A formed membership was announced by all its disks. So it is this disk's own proposal, or it is false.
            Announcement::Formed(membership) if planted!(FormedAdoptedByAnyone | WipedDiskReturns) => {
                self.form(membership.clone())
            }
            Announcement::Formed(membership) => match &self.proposal {
                Some(proposal) if proposal.durable && proposal.membership == *membership => {
                    mark!(FormedListAdopted if !self.forming);
                    self.form(membership.clone())
                }
                _ => FoundingStep::Wait,
            },
        }
    }

    fn form_if_all_announced(&mut self) -> FoundingStep {
        match &self.proposal {
            Some(Proposal { membership, durable: true, announced_by }) => {
                let all = membership.members.keys().all(|id| *id == self.own || announced_by.contains(id));
                if all { self.form(membership.clone()) } else { FoundingStep::Wait }
            }
            _ => FoundingStep::Wait,
        }
    }

    /// Forms the membership: it is written once.
    fn form(&mut self, membership: Membership) -> FoundingStep {
        if std::mem::replace(&mut self.forming, true) {
            return FoundingStep::Wait;
        }
        FoundingStep::Form(membership)
    }

    /// What this node announces to the others.
    pub(crate) fn announcement(&self) -> Announcement {
        match &self.proposal {
            Some(proposal) if proposal.durable || planted!(FoundingListSentEarly) => {
                Announcement::Proposed(proposal.membership.clone())
            }
            _ => Announcement::Waiting,
        }
    }

    /// Whether this node has proposed another disk at `address`, and so waits for that one.
    pub(crate) fn waits_for_another_disk(&self, address: &str, id: NodeId, incarnation: Incarnation) -> bool {
        let proposal = self.proposal.as_ref().filter(|_| !planted!(ListChanges));
        let named = proposal.and_then(|p| p.membership.members.iter().find(|(_, m)| m.address == address));
        named.is_some_and(|(named, member)| (*named, member.incarnation) != (id, incarnation))
    }

    /// The node that answered at an address, if one has.
    pub(crate) fn met(&self, address: &str) -> Option<NodeId> {
        self.met.get(address).map(|(id, _)| *id)
    }

    /// The addresses whose nodes are not connected yet; once there is a proposal, those whose nodes have not announced it.
    /// Empty while only a write of this node is missing.
    pub(crate) fn waiting_for(&self) -> Vec<String> {
        let Some(proposal) = &self.proposal else { return self.absent().cloned().collect() };
        let has_announced = |id: NodeId| id == self.own || proposal.announced_by.contains(&id);
        let members = proposal.membership.members.iter();
        let silent = members.filter(|(id, _)| !has_announced(**id));
        silent.map(|(_, member)| member.address.clone()).collect()
    }

    /// Whether this node has proposed a membership, durable or not.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn has_proposed(&self) -> bool {
        self.proposal.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::{Bug, with};
    use std::panic::catch_unwind;

    fn list(size: u64) -> Vec<String> {
        (1..=size).map(address).collect()
    }

    fn address(id: u64) -> String {
        format!("n{id}:1")
    }

    fn founding(id: u64, size: u64) -> Founding {
        Founding::new(NodeId(id), Incarnation(id), &address(id), &list(size), None)
    }

    /// Meets a disk at the address of node `id`, and is connected to it.
    fn meet(founding: &mut Founding, id: u64, incarnation: u64) -> FoundingStep {
        founding.meet(&address(id), NodeId(incarnation), Incarnation(incarnation));
        founding.connected(NodeId(incarnation))
    }

    #[test]
    fn a_list_of_one_forms_after_its_own_write() {
        let addresses = list(1);
        let mut alone = founding(1, 1);
        let FoundingStep::WriteProposal(proposal) = alone.start() else { panic!("it has met all") };
        assert_eq!(alone.announcement(), Announcement::Waiting);
        assert_eq!(alone.proposal_written(&proposal), FoundingStep::Form(proposal.clone()));
        let mut again =
            Founding::new(NodeId(1), Incarnation(1), &address(1), &addresses, Some(proposal.clone()));
        assert_eq!(again.start(), FoundingStep::Form(proposal), "killed between the two writes");
    }

    /// Breaks: a node proposes a disk that was wiped before the last node came, and must itself be wiped by hand.
    #[test]
    fn only_disks_that_are_present_at_one_time_are_proposed() {
        let mut first = founding(1, 3);
        assert_eq!(meet(&mut first, 2, 2), FoundingStep::Wait);
        first.disconnected(NodeId(2));
        assert_eq!(meet(&mut first, 3, 3), FoundingStep::Wait, "n2 has gone");
        assert_eq!(first.waiting_for(), [address(2)]);
        // Another disk answers, and the connection is not made yet.
        first.meet(&address(2), NodeId(9), Incarnation(9));
        assert_eq!(first.waiting_for(), [address(2)]);
        let FoundingStep::WriteProposal(proposal) = first.connected(NodeId(9)) else {
            panic!("all are there")
        };
        assert_eq!(proposal.members.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 3, 9]);
    }

    /// Breaks: the test above does not notice that peers which have gone are proposed.
    #[test]
    fn planted_founders_that_have_gone_and_count_are_found() {
        let check = || with(Bug::GoneFounderCounts, only_disks_that_are_present_at_one_time_are_proposed);
        assert!(catch_unwind(check).is_err(), "it was not found");
    }

    #[test]
    fn nothing_forms_before_all_have_announced_the_same_proposal() {
        let mut first = founding(1, 3);
        assert_eq!(first.start(), FoundingStep::Wait);
        assert_eq!(meet(&mut first, 2, 2), FoundingStep::Wait);
        assert_eq!(first.waiting_for(), [address(3)]);
        let FoundingStep::WriteProposal(proposal) = meet(&mut first, 3, 3) else { panic!("it has met all") };
        assert_eq!(first.proposal_written(&proposal), FoundingStep::Announce);
        let announcement = Announcement::Proposed(proposal.clone());
        assert_eq!(first.receive(NodeId(2), &announcement), FoundingStep::Wait);
        assert_eq!(first.receive(NodeId(2), &announcement), FoundingStep::Wait, "twice is not two");
        assert_eq!(first.waiting_for(), [address(3)]);
        assert_eq!(first.receive(NodeId(3), &announcement), FoundingStep::Form(proposal));
    }

    /// Breaks: two proposals of one disk form, because an announcement of the first is still in flight.
    #[test]
    fn a_durable_proposal_never_changes() {
        let mut first = founding(1, 2);
        let FoundingStep::WriteProposal(old) = meet(&mut first, 2, 2) else { panic!("it has met all") };
        assert_eq!(meet(&mut first, 2, 9), FoundingStep::Wait, "another disk at the address");
        assert!(first.waits_for_another_disk(&address(2), NodeId(9), Incarnation(9)));
        assert!(!first.waits_for_another_disk(&address(2), NodeId(2), Incarnation(2)));
        assert_eq!(first.proposal_written(&old), FoundingStep::Announce);
        assert_eq!(first.announcement(), Announcement::Proposed(old.clone()));
        let mut again = Founding::new(NodeId(1), Incarnation(1), &address(1), &list(2), Some(old.clone()));
        assert_eq!(meet(&mut again, 2, 9), FoundingStep::Wait, "the same after a restart");
        assert_eq!(again.receive(NodeId(2), &Announcement::Proposed(old.clone())), FoundingStep::Form(old));
    }

    // Breaks: nodes with different proposals count each other, and two clusters form.
    #[test]
    fn only_announcements_of_the_same_proposal_count() {
        let mut first = founding(1, 2);
        let FoundingStep::WriteProposal(proposal) = meet(&mut first, 2, 2) else { panic!("it has met all") };
        let FoundingStep::WriteProposal(other) = meet(&mut founding(1, 2), 2, 8) else {
            panic!("it has met all")
        };
        assert_eq!(first.proposal_written(&other), FoundingStep::Wait);
        assert_eq!(first.announcement(), Announcement::Waiting, "another proposal is on the disk");
        assert_eq!(first.proposal_written(&proposal), FoundingStep::Announce);
        assert_eq!(first.receive(NodeId(2), &Announcement::Proposed(other)), FoundingStep::Wait);
        assert_eq!(first.waiting_for(), [address(2)]);
        assert_eq!(
            first.receive(NodeId(2), &Announcement::Proposed(proposal.clone())),
            FoundingStep::Form(proposal)
        );
    }

    // Breaks: a node that answers at two addresses counts twice; or a node at an unlisted address is waited for.
    #[test]
    fn each_address_of_the_list_has_a_node_of_its_own() {
        let mut first = founding(1, 3);
        assert_eq!(meet(&mut first, 9, 9), FoundingStep::Wait, "not in the list");
        assert_eq!(first.met(&address(9)), None);
        assert_eq!(meet(&mut first, 2, 1), FoundingStep::Wait, "itself");
        assert_eq!(first.waiting_for(), [address(2), address(3)]);
        assert_eq!(meet(&mut first, 2, 5), FoundingStep::Wait);
        assert_eq!(meet(&mut first, 3, 5), FoundingStep::Wait, "the same node again");
        assert_eq!(first.met(&address(3)), Some(NodeId(5)));
        assert!(matches!(meet(&mut first, 3, 6), FoundingStep::WriteProposal(_)));
    }

    #[test]
    fn a_formed_membership_is_adopted_only_if_this_disk_has_announced_it() {
        let proposal_with = |incarnation| {
            let mut first = founding(1, 2);
            let FoundingStep::WriteProposal(proposal) = meet(&mut first, 2, incarnation) else {
                panic!("it has met all")
            };
            proposal
        };
        let formed = |incarnation| Announcement::Formed(proposal_with(incarnation));
        let mut second = founding(2, 2);
        assert_eq!(second.receive(NodeId(1), &formed(2)), FoundingStep::Wait, "this disk has no proposal");
        assert_eq!(meet(&mut second, 1, 1), FoundingStep::WriteProposal(proposal_with(2)));
        assert_eq!(second.receive(NodeId(1), &formed(2)), FoundingStep::Wait, "its proposal is not durable");
        second.proposal_written(&proposal_with(2));
        assert_eq!(second.receive(NodeId(1), &formed(8)), FoundingStep::Wait, "formed with another disk");
        assert_eq!(second.receive(NodeId(1), &formed(2)), FoundingStep::Form(proposal_with(2)));
    }

    /// Breaks: the test above does not notice that any node adopts a formed membership.
    #[test]
    fn planted_memberships_adopted_by_anyone_are_found() {
        let check = a_formed_membership_is_adopted_only_if_this_disk_has_announced_it;
        let planted = || with(Bug::FormedAdoptedByAnyone, check);
        assert!(catch_unwind(planted).is_err(), "it was not found");
    }
}
