//! Which faults a cluster must survive: no others are injected.
//!
//! A minority of disks may be lost for good. All other faults (power, processes, links, clocks, full or failing disks) may
//! hit every machine at once, because none of them removes what was synced.

use super::server::{Loss, Server};
use crate::object::Object;
use crate::sim::violation::ensure;
use crate::storage::disk::sim::{DiskFault, SimDisk};

/// The faults injected so far that cannot be undone.
#[derive(Clone, Debug)]
pub(crate) struct FaultBudget {
    nodes: usize,
    lost: usize,
    /// The machine whose replica has diverged.
    diverged: Option<usize>,
}

impl FaultBudget {
    pub(crate) fn new(nodes: u8) -> FaultBudget {
        FaultBudget { nodes: nodes.into(), lost: 0, diverged: None }
    }

    /// Whether one more disk may be lost: a majority remains, and another disk records that the cluster was formed. (Founding
    /// needs every disk, as the README states.)
    pub(crate) fn can_lose_disk<T: Object>(&self, servers: &[Server<T>], at: usize) -> bool {
        let formed =
            servers.iter().any(|other| other.number != at && other.lost.is_none() && other.durable.formed);
        servers[at].lost.is_none() && self.used(servers) < (self.nodes - 1) / 2 && formed
    }

    /// Whether a machine's replica may diverge: a majority that agrees remains. It is the same machine each time: two machines
    /// that diverge alike, one after the other, could form a majority with digests sent before a restart.
    pub(crate) fn can_diverge<T: Object>(&self, servers: &[Server<T>], at: usize) -> bool {
        let server = &servers[at];
        let agrees = server.process.as_ref().is_some_and(|process| process.divergence.is_none());
        let first = self.diverged.is_none_or(|diverged| diverged == at);
        agrees && first && server.lost.is_none() && self.used(servers) < (self.nodes - 1) / 2
    }

    pub(crate) fn record_divergence(&mut self, at: usize) {
        self.diverged = Some(at);
    }

    /// The number of machines with a lost disk or a diverged replica.
    fn used<T: Object>(&self, servers: &[Server<T>]) -> usize {
        let diverges = |server: &&Server<T>| {
            server.lost.is_none()
                && server.process.as_ref().is_some_and(|process| process.divergence.is_some())
        };
        self.lost + servers.iter().filter(diverges).count()
    }

    pub(crate) fn record_lost_disk(&mut self) {
        self.lost += 1;
        assert!(self.lost <= (self.nodes - 1) / 2, "{} of {} disks are lost", self.lost, self.nodes);
    }

    /// Injects a fault into one of a disk's next calls.
    pub(crate) fn inject_disk_fault(&self, disk: &SimDisk, call: u64, how: u8) {
        let fault = [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short][usize::from(how) % 3];
        disk.fail_at(disk.calls() + call, fault);
    }

    /// Whether an injected fault explains an error of a machine's disk. An injected failure of a call explains one error.
    pub(crate) fn explains<T: Object>(&self, server: &Server<T>, reason: &str) -> bool {
        let mentions = |text: &str| reason.contains(text);
        let met = match server.disk.take_triggered_fault() {
            None => false,
            Some(DiskFault::Io) => mentions("input/output error"),
            Some(DiskFault::NoSpace | DiskFault::Short) => mentions("no storage space"),
        };
        met || (server.full && mentions("no storage space")) || server.lost == Some(Loss::Damaged)
    }

    /// A member of a formed cluster refuses a machine whose disk was wiped, under its old address.
    pub(crate) fn check_wiped_is_refused<T: Object>(
        &self,
        servers: &[Server<T>],
        from: usize,
        to: usize,
        accepted: bool,
    ) {
        for (wiped, member) in [(from, to), (to, from)] {
            let is_wiped = servers[wiped].lost == Some(Loss::Wiped);
            let formed =
                servers[member].process.as_ref().is_some_and(|process| process.node.raft().is_some());
            ensure!(
                !(is_wiped && formed && accepted),
                "a node whose disk was lost is refused under its old address",
                "n{wiped} and n{member} are connected"
            );
        }
    }
}
