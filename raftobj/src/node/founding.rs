//! How a cluster comes to be: once, by all of its listed nodes, and never by fewer.
//!
//! ```text
//!            has met all the others           all have announced the same list
//!  Waiting ─────────────────────▶ Proposed ─────────────────────────────────▶ Formed
//!               (list durable,             (or a formed node shows that list)
//!                for ever)
//! ```
//!
//! A list names every address with the node and the incarnation (the disk) that was met there. A node writes the
//! list of all whom it has met, durably, and announces it; from then on this disk never announces another. A list
//! forms only where every one of its nodes has announced it.
//!
//! So of two lists that have a disk in common at most one forms: both would need that disk's announcement, and it
//! makes one. A majority would not be enough: a wiped node and one that was never met could found a second cluster
//! beside the first. Nor would a list that changes when another disk appears at an address: announcements of the old
//! one may still be on their way.
//!
//! The price: where a disk is lost between a node's announcement and the forming, moments later, the others wait
//! for that disk. They say so, and what to do.
//!
//! A node counts and gives no vote before its list is formed.

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
    /// All addresses of the list, this node's too.
    addresses: BTreeSet<String>,
    /// Who answers at each address.
    met: BTreeMap<String, (NodeId, Incarnation)>,
    proposal: Option<Proposal>,
    /// The list that forms is being written: nothing that is heard meanwhile changes it, or is answered with
    /// another write.
    forming: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Proposal {
    membership: Membership,
    durable: bool,
    announced_by: BTreeSet<NodeId>,
}

/// What the owner has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoundingStep {
    /// Nothing.
    Wait,
    /// Write this proposal durably, then call [`Founding::proposal_written`].
    Write(Membership),
    /// Announce to all: the proposal is durable.
    Announce,
    /// Every listed node has announced this list: write it durably as formed; then the founding is over.
    Form(Membership),
}

impl Founding {
    /// A node that starts without a formed cluster; `proposal` is what its disk remembers.
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
        Founding { own, addresses: list.iter().cloned().collect(), met, proposal, forming: false }
    }

    /// Where the founding stands at the start: a list of one needs nobody else.
    pub(crate) fn begin(&mut self) -> FoundingStep {
        match self.propose() {
            FoundingStep::Wait => self.conclude(),
            step => step,
        }
    }

    /// A node of this list answers at `address`.
    pub(crate) fn meet(&mut self, address: &str, id: NodeId, incarnation: Incarnation) -> FoundingStep {
        if !self.addresses.contains(address) || id == self.own {
            return FoundingStep::Wait;
        }
        self.met.insert(address.to_owned(), (id, incarnation));
        self.propose()
    }

    /// Proposes the list of all that were met, once: this disk announces no other.
    fn propose(&mut self) -> FoundingStep {
        let settled = self.proposal.is_some() && !planted!(ListChanges);
        if settled || self.met.len() < self.addresses.len() {
            return FoundingStep::Wait;
        }
        let member = |(address, &(id, incarnation)): (&String, &(NodeId, Incarnation))| {
            (id, Member { incarnation, address: address.clone() })
        };
        let membership = Membership { members: self.met.iter().map(member).collect() };
        if membership.members.len() < self.addresses.len() {
            // One node behind two addresses of the list: it would count twice.
            return FoundingStep::Wait;
        }
        self.proposal =
            Some(Proposal { membership: membership.clone(), durable: false, announced_by: BTreeSet::new() });
        FoundingStep::Write(membership)
    }

    /// The proposal is on disk.
    pub(crate) fn proposal_written(&mut self, written: &Membership) -> FoundingStep {
        match &mut self.proposal {
            Some(proposal) if proposal.membership == *written => {
                proposal.durable = true;
                match self.conclude() {
                    FoundingStep::Wait => FoundingStep::Announce,
                    step => step,
                }
            }
            _ => FoundingStep::Wait,
        }
    }

    /// `from` says how far it is.
    pub(crate) fn heard(&mut self, from: NodeId, announcement: &Announcement) -> FoundingStep {
        match announcement {
            Announcement::Waiting => FoundingStep::Wait,
            Announcement::Proposed(membership) => match &mut self.proposal {
                Some(proposal) if proposal.membership == *membership => {
                    proposal.announced_by.insert(from);
                    self.conclude()
                }
                _ => FoundingStep::Wait,
            },
            // All have announced it, so this disk has: it is this node's own proposal, or a lie.
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

    fn conclude(&mut self) -> FoundingStep {
        match &self.proposal {
            Some(Proposal { membership, durable: true, announced_by }) => {
                let all = membership.members.keys().all(|id| *id == self.own || announced_by.contains(id));
                if all { self.form(membership.clone()) } else { FoundingStep::Wait }
            }
            _ => FoundingStep::Wait,
        }
    }

    /// The list forms: to be written, once.
    fn form(&mut self, membership: Membership) -> FoundingStep {
        if std::mem::replace(&mut self.forming, true) {
            return FoundingStep::Wait;
        }
        FoundingStep::Form(membership)
    }

    /// What this node tells the others.
    pub(crate) fn announcement(&self) -> Announcement {
        match &self.proposal {
            Some(proposal) if proposal.durable || planted!(FoundingListSentEarly) => {
                Announcement::Proposed(proposal.membership.clone())
            }
            _ => Announcement::Waiting,
        }
    }

    /// Whether this node has written a list that names another disk at `address`: then it waits for that one.
    pub(crate) fn waits_for_another(&self, address: &str, id: NodeId, incarnation: Incarnation) -> bool {
        let proposal = self.proposal.as_ref().filter(|_| !planted!(ListChanges));
        let named = proposal.and_then(|p| p.membership.members.iter().find(|(_, m)| m.address == address));
        named.is_some_and(|(named, member)| (*named, member.incarnation) != (id, incarnation))
    }

    /// Who answers at an address, if it was met.
    pub(crate) fn met(&self, address: &str) -> Option<NodeId> {
        self.met.get(address).map(|(id, _)| *id)
    }

    /// The addresses whose nodes were not met, or have not announced the list yet. Empty while only this node's
    /// own write is under way.
    pub(crate) fn waiting_for(&self) -> Vec<String> {
        let unmet = self.addresses.iter().filter(|address| !self.met.contains_key(*address));
        let unmet: Vec<String> = unmet.cloned().collect();
        match &self.proposal {
            Some(proposal) if unmet.is_empty() => {
                let silent = proposal.membership.members.iter();
                let silent = silent.filter(|(id, _)| **id != self.own && !proposal.announced_by.contains(id));
                silent.map(|(_, member)| member.address.clone()).collect()
            }
            _ => unmet,
        }
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

    fn meet(founding: &mut Founding, id: u64, incarnation: u64) -> FoundingStep {
        founding.meet(&address(id), NodeId(incarnation), Incarnation(incarnation))
    }

    #[test]
    fn a_list_of_one_forms_after_its_own_write() {
        let addresses = list(1);
        let mut alone = founding(1, 1);
        let FoundingStep::Write(list) = alone.begin() else { panic!("it has met all") };
        assert_eq!(alone.announcement(), Announcement::Waiting);
        assert_eq!(alone.proposal_written(&list), FoundingStep::Form(list.clone()));
        let mut again = Founding::new(NodeId(1), Incarnation(1), &address(1), &addresses, Some(list.clone()));
        assert_eq!(again.begin(), FoundingStep::Form(list), "killed between the two writes");
    }

    #[test]
    fn nothing_forms_before_all_have_announced_the_same_list() {
        let mut first = founding(1, 3);
        assert_eq!(first.begin(), FoundingStep::Wait);
        assert_eq!(meet(&mut first, 2, 2), FoundingStep::Wait);
        assert_eq!(first.waiting_for(), [address(3)]);
        let FoundingStep::Write(list) = meet(&mut first, 3, 3) else { panic!("it has met all") };
        assert_eq!(first.proposal_written(&list), FoundingStep::Announce);
        let announcement = Announcement::Proposed(list.clone());
        assert_eq!(first.heard(NodeId(2), &announcement), FoundingStep::Wait);
        assert_eq!(first.heard(NodeId(2), &announcement), FoundingStep::Wait, "twice is not two");
        assert_eq!(first.waiting_for(), [address(3)]);
        assert_eq!(first.heard(NodeId(3), &announcement), FoundingStep::Form(list));
    }

    /// Breaks: two lists of one disk form, because an announcement of the first is still on its way.
    #[test]
    fn a_list_that_was_written_is_never_changed() {
        let mut first = founding(1, 2);
        let FoundingStep::Write(old) = meet(&mut first, 2, 2) else { panic!("it has met all") };
        assert_eq!(meet(&mut first, 2, 9), FoundingStep::Wait, "another disk at the address");
        assert!(first.waits_for_another(&address(2), NodeId(9), Incarnation(9)));
        assert!(!first.waits_for_another(&address(2), NodeId(2), Incarnation(2)));
        assert_eq!(first.proposal_written(&old), FoundingStep::Announce);
        assert_eq!(first.announcement(), Announcement::Proposed(old.clone()));
        let mut again = Founding::new(NodeId(1), Incarnation(1), &address(1), &list(2), Some(old.clone()));
        assert_eq!(meet(&mut again, 2, 9), FoundingStep::Wait, "nor after a restart");
        assert_eq!(again.heard(NodeId(2), &Announcement::Proposed(old.clone())), FoundingStep::Form(old));
    }

    // Breaks: two nodes that mean different lists count each other, and two clusters form.
    #[test]
    fn only_what_is_said_of_this_very_list_counts() {
        let mut first = founding(1, 2);
        let FoundingStep::Write(list) = meet(&mut first, 2, 2) else { panic!("it has met all") };
        let FoundingStep::Write(other) = meet(&mut founding(1, 2), 2, 8) else { panic!("it has met all") };
        assert_eq!(first.proposal_written(&other), FoundingStep::Wait);
        assert_eq!(first.announcement(), Announcement::Waiting, "another list is on the disk");
        assert_eq!(first.proposal_written(&list), FoundingStep::Announce);
        assert_eq!(first.heard(NodeId(2), &Announcement::Proposed(other)), FoundingStep::Wait);
        assert_eq!(first.waiting_for(), [address(2)]);
        assert_eq!(first.heard(NodeId(2), &Announcement::Proposed(list.clone())), FoundingStep::Form(list));
    }

    // Breaks: a node that answers at two addresses counts twice; or whoever answers somewhere else is waited for.
    #[test]
    fn each_address_of_the_list_has_a_node_of_its_own() {
        let mut first = founding(1, 3);
        assert_eq!(meet(&mut first, 9, 9), FoundingStep::Wait, "not in the list");
        assert_eq!(first.met(&address(9)), None);
        assert_eq!(first.meet(&address(2), NodeId(1), Incarnation(1)), FoundingStep::Wait, "itself");
        assert_eq!(first.waiting_for(), [address(2), address(3)]);
        assert_eq!(first.meet(&address(2), NodeId(5), Incarnation(5)), FoundingStep::Wait);
        assert_eq!(
            first.meet(&address(3), NodeId(5), Incarnation(5)),
            FoundingStep::Wait,
            "the same once more"
        );
        assert_eq!(first.met(&address(3)), Some(NodeId(5)));
        assert!(matches!(first.meet(&address(3), NodeId(6), Incarnation(6)), FoundingStep::Write(_)));
    }

    #[test]
    fn a_formed_list_is_adopted_only_if_this_disk_has_announced_it() {
        let list_with = |incarnation| {
            let mut first = founding(1, 2);
            let FoundingStep::Write(list) = meet(&mut first, 2, incarnation) else { panic!("met all") };
            list
        };
        let formed = |incarnation| Announcement::Formed(list_with(incarnation));
        let mut second = founding(2, 2);
        assert_eq!(second.heard(NodeId(1), &formed(2)), FoundingStep::Wait, "nothing was announced");
        assert_eq!(meet(&mut second, 1, 1), FoundingStep::Write(list_with(2)));
        assert_eq!(second.heard(NodeId(1), &formed(2)), FoundingStep::Wait, "nor written");
        second.proposal_written(&list_with(2));
        assert_eq!(second.heard(NodeId(1), &formed(8)), FoundingStep::Wait, "formed with another disk");
        assert_eq!(second.heard(NodeId(1), &formed(2)), FoundingStep::Form(list_with(2)));
    }

    /// Breaks: the check above would not see that anybody adopts a formed list.
    #[test]
    fn planted_lists_adopted_by_anyone_are_found() {
        let check = a_formed_list_is_adopted_only_if_this_disk_has_announced_it;
        let planted = || with(Bug::FormedAdoptedByAnyone, check);
        assert!(catch_unwind(planted).is_err(), "it was not found");
    }
}
