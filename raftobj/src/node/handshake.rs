//! Which peers a node accepts.
//!
//! Both ends of a connection check the other's hello. A refusal is a sentence that both ends log. It names the remedy.

use super::{Formation, Node};
use crate::calls::PeersRefused;
use crate::codec::hello::{Hello, HelloError, MethodSignature};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::NodeId;
use bytes::Bytes;

impl Node {
    /// This node's hello.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            node: self.config.node,
            incarnation: self.config.incarnation,
            cluster: self.cluster(),
            address: self.config.address.clone(),
            founders: self.config.founders.clone(),
            command_bytes_max: self.config.calls.command_bytes_max as u64,
            log_bytes_max: self.config.raft.log_bytes_max as u64,
            object: self.config.object.clone(),
            methods: self.config.methods.clone(),
        }
    }

    /// Accepts or refuses the other end of a connection; returns its id and its address. `dialled` is the address that this
    /// node has dialled, if it has.
    pub(crate) fn check_hello(
        &mut self,
        hello: &[u8],
        dialled: Option<&str>,
    ) -> Result<(NodeId, String), String> {
        let checked = self.identify(hello, dialled);
        match (dialled, &checked) {
            (Some(address), Err(reason)) => self.refused(address, reason),
            (Some(address), Ok(_)) => {
                if self.refusals.remove(address).is_some() {
                    self.report_refusals();
                }
            }
            (None, _) => {}
        }
        checked
    }

    /// A handshake at an address that this node has dialled was refused, by either end. It stays refused until one succeeds.
    pub(crate) fn refused(&mut self, address: &str, reason: &str) {
        if self.refusals.get(address).is_none_or(|before| before != reason) {
            self.refusals.insert(address.to_owned(), reason.to_owned());
            self.report_refusals();
        }
    }

    /// Callers get the reason of a refusal if that keeps this node from its cluster: founding takes all nodes, a leader a
    /// majority.
    pub(super) fn report_refusals(&mut self) {
        let is_refused = |address: &String| self.refusals.contains_key(address);
        let is_kept_out = match self.membership() {
            None => true,
            Some(membership) => {
                let reachable = |id| membership.members.get(&id).is_some_and(|m| !is_refused(&m.address));
                !membership.is_quorum(reachable)
            }
        };
        let first = self.refusals.values().next().filter(|_| is_kept_out);
        let refused = first.map(|reason| {
            let same = self.refusals.iter().filter(|(_, other)| *other == reason);
            PeersRefused { peers: same.map(|(address, _)| address.clone()).collect(), reason: reason.clone() }
        });
        self.calls.peers_refused(refused);
    }

    fn identify(&mut self, hello: &[u8], dialled: Option<&str>) -> Result<(NodeId, String), String> {
        let hello = match Hello::decode(Bytes::copy_from_slice(hello)) {
            Ok(hello) => hello,
            Err(error @ HelloError::Foreign) => return Err(error.to_string()),
            Err(error) => return Err(format!("{error} (reported by {})", self.config.address)),
        };
        self.check_decoded(&hello, dialled)?;
        // A peer whose cluster has formed founds no other: this node is a member of that cluster, or of none.
        if let (Some(address), Formation::Founding(founding), None) =
            (dialled, &mut self.formation, hello.cluster)
        {
            founding.meet(address, hello.node, hello.incarnation);
        }
        Ok((hello.node, hello.address))
    }

    fn check_decoded(&mut self, hello: &Hello, dialled: Option<&str>) -> Result<(), String> {
        let own = &self.config;
        if hello.node == own.node {
            return Err(match dialled {
                Some(address) => {
                    format!("{address} leads back to this node itself: correct the list of peers")
                }
                None => format!("{} dialled itself: correct its list of peers", own.address),
            });
        }
        if let Some(address) = dialled
            && address != hello.address
        {
            return Err(format!(
                "the node reached at {address} calls itself {}: start it with the address that its peers use",
                hello.address
            ));
        }
        if hello.object != own.object {
            return Err(format!(
                "{} replicates `{}`, {} replicates `{}`: run the same program on both",
                hello.address, hello.object, own.address, own.object
            ));
        }
        if hello.command_bytes_max != own.calls.command_bytes_max as u64 {
            return Err(format!(
                "{} takes commands of {} bytes, {} of {}: give all nodes the same command_bytes_max",
                hello.address, hello.command_bytes_max, own.address, own.calls.command_bytes_max
            ));
        }
        match &self.formation {
            Formation::Founding(_) => self.check_founder(hello)?,
            Formation::Formed { .. } => self.check_member(hello)?,
        }
        // Last, so that only a member can cause a warning and use memory for it.
        self.check_methods(&hello.address, &hello.methods)?;
        self.compare_log_limit(&hello.address, hello.log_bytes_max);
        Ok(())
    }

    /// Different limits are no reason to refuse: `log_bytes_max` is raised on one node after the other, and best before a
    /// log is full. Warns once for each limit of a member.
    fn compare_log_limit(&mut self, address: &str, theirs: u64) {
        let ours = self.config.raft.log_bytes_max as u64;
        let known = self.log_limits.insert(address.to_owned(), theirs);
        if theirs != ours && known != Some(theirs) {
            self.effects.warnings.push(format!(
                "log_bytes_max is {theirs} at {address} and {ours} here: the smaller log is full first; give all nodes \
                 the same log_bytes_max"
            ));
        }
    }

    /// Nodes whose methods take other arguments would decode each other's entries wrongly.
    fn check_methods(&mut self, address: &str, theirs: &[MethodSignature]) -> Result<(), String> {
        for their in theirs {
            let Some(ours) = self.config.methods.iter().find(|ours| ours.id == their.id) else { continue };
            let name = self.config.method_name(ours.id);
            if ours.arity != their.arity {
                return Err(format!(
                    "`{name}` takes {} arguments at {address} and {} at {}: give the changed method a new name",
                    their.arity, ours.arity, self.config.address
                ));
            }
            if ours.types != their.types && self.warned_methods.insert((address.to_owned(), ours.id)) {
                self.effects.warnings.push(format!(
                    "the types of `{name}` are spelled differently at {address}: if they are not the same types, \
                     entries will be read wrongly"
                ));
            }
        }
        Ok(())
    }

    fn check_founder(&self, hello: &Hello) -> Result<(), String> {
        let own = &self.config;
        if hello.founders != own.founders {
            return Err(format!(
                "{} was started with the nodes [{}], {} with [{}]: all nodes need the same list",
                hello.address,
                hello.founders.join(", "),
                own.address,
                own.founders.join(", ")
            ));
        }
        if !own.founders.contains(&hello.address) {
            return Err(format!("{} is not in the list [{}]", hello.address, own.founders.join(", ")));
        }
        if let Formation::Founding(founding) = &self.formation
            && founding.waits_for_another_disk(&hello.address, hello.node, hello.incarnation)
        {
            mark!(WipedFounderRefused);
            return Err(format!(
                "{} founds a cluster with another disk at {}: start that node with its own data directory; if it \
                 is lost, and none of the nodes has formed the cluster, start all nodes again with empty directories",
                own.address, hello.address
            ));
        }
        Ok(())
    }

    fn check_member(&self, hello: &Hello) -> Result<(), String> {
        let own = &self.config;
        if let (Some(theirs), Some(ours)) = (hello.cluster, self.cluster())
            && theirs != ours
        {
            return Err(format!(
                "{} is of cluster {theirs:016x}, {} of cluster {ours:016x}: one of them has the wrong peers or \
                 the wrong data directory",
                hello.address, own.address
            ));
        }
        let Some(membership) = self.membership() else { return Ok(()) };
        let ignore_incarnation = planted!(IncarnationIgnored | WipedDiskReturns);
        match membership.members.get(&hello.node) {
            Some(member)
                if (member.incarnation == hello.incarnation || ignore_incarnation)
                    && member.address == hello.address =>
            {
                Ok(())
            }
            _ if membership.members.values().any(|member| member.address == hello.address) => {
                mark!(WipedNodeRefused);
                Err(format!(
                    "the cluster was formed with another disk at {}: start that node with its own data directory (a \
                     node whose directory is lost cannot come back: it has forgotten its votes)",
                    hello.address
                ))
            }
            _ => Err(format!("{} is not a member of the cluster of {}", hello.address, own.address)),
        }
    }
}
