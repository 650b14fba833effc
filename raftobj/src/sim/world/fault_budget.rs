//! The fault atlas: what has gone wrong where, so that no more goes wrong than a cluster survives.
//!
//! A minority of disks may be lost for good. Everything else (power, processes, links, clocks, full or failing disks)
//! may go wrong everywhere at once, because nothing of it takes away what was synced.

use super::server::{Loss, Server};
use crate::object::Object;
use crate::sim::violation::hold;
use crate::storage::disk::sim::{DiskFault, SimDisk};

/// What is lost.
#[derive(Clone, Debug)]
pub(crate) struct Atlas {
    nodes: usize,
    lost: usize,
    /// The machine whose object has differed from the others'.
    astray: Option<usize>,
}

impl Atlas {
    pub(crate) fn new(nodes: u8) -> Atlas {
        Atlas { nodes: nodes.into(), lost: 0, astray: None }
    }

    /// Whether one more disk may go: a majority stays, and somebody else remembers that the cluster was formed. (While it
    /// is being founded every disk is needed, as the README says.)
    pub(crate) fn may_lose<T: Object>(&self, servers: &[Server<T>], at: usize) -> bool {
        let formed =
            servers.iter().any(|other| other.number != at && other.lost.is_none() && other.durable.formed);
        servers[at].lost.is_none() && self.gone(servers) < (self.nodes - 1) / 2 && formed
    }

    /// Whether a machine's object may differ from the others': a majority stays that agrees. It is the same machine each
    /// time: what another told before it was started again might agree on what is wrong.
    pub(crate) fn may_diverge<T: Object>(&self, servers: &[Server<T>], at: usize) -> bool {
        let server = &servers[at];
        let agrees = server.process.as_ref().is_some_and(|process| process.divergence.is_none());
        let first = self.astray.is_none_or(|astray| astray == at);
        agrees && first && server.lost.is_none() && self.gone(servers) < (self.nodes - 1) / 2
    }

    pub(crate) fn go_astray(&mut self, at: usize) {
        self.astray = Some(at);
    }

    /// Machines that are lost, and those whose objects are.
    fn gone<T: Object>(&self, servers: &[Server<T>]) -> usize {
        let diverges = |server: &&Server<T>| {
            server.lost.is_none()
                && server.process.as_ref().is_some_and(|process| process.divergence.is_some())
        };
        self.lost + servers.iter().filter(diverges).count()
    }

    pub(crate) fn lose(&mut self) {
        self.lost += 1;
        assert!(self.lost <= (self.nodes - 1) / 2, "{} of {} disks are lost", self.lost, self.nodes);
    }

    /// Plants a fault into a disk's next calls.
    pub(crate) fn fail_disk(&self, disk: &SimDisk, call: u64, how: u8) {
        let fault = [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short][usize::from(how) % 3];
        disk.fail_at(disk.calls() + call, fault);
    }

    /// Whether a fault that was brought about explains what a machine's disk said. One that was met explains one error.
    pub(crate) fn explains<T: Object>(&self, server: &Server<T>, reason: &str) -> bool {
        let said = |text: &str| reason.contains(text);
        let met = match server.disk.take_triggered_fault() {
            None => false,
            Some(DiskFault::Io) => said("input/output error"),
            Some(DiskFault::NoSpace | DiskFault::Short) => said("no storage space"),
        };
        met || (server.full && said("no storage space")) || server.lost == Some(Loss::Damaged)
    }

    /// A disk that was lost is not let in again under its old address, once the cluster is formed.
    pub(crate) fn check_stranger<T: Object>(
        &self,
        servers: &[Server<T>],
        from: usize,
        to: usize,
        accepted: bool,
    ) {
        for (stranger, member) in [(from, to), (to, from)] {
            let wiped = servers[stranger].lost == Some(Loss::Wiped);
            let formed =
                servers[member].process.as_ref().is_some_and(|process| process.node.raft().is_some());
            hold!(
                !(wiped && formed && accepted),
                "a node whose disk was lost is refused under its old address",
                "n{stranger} and n{member} are connected"
            );
        }
    }
}
