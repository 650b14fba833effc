//! Makes the cluster of a scenario.

use super::cluster::Cluster;
use super::command_line::{CommandLine, host};
use super::disk::ScriptedDisk;
use super::network::Host;
use super::options::{RaftLimits, ServerOptions};
use super::print;
use super::server::ScriptedServer;
use crate::object::Object;
use crate::object::fixture::{self, ADD, Tally};
use crate::raft::membership::{Member, Membership};
use crate::raft::types::{Incarnation, NodeId, Term};
use std::collections::BTreeMap;

/// `cluster nodes=3 [leader=n1] [founding] [down] [seed=N] [older=n3 [lacks=METHOD]] [skew=n3]`, and limits of the
/// protocol: `[append_bytes=N] [window=APPENDS] [log_bytes=N] [apply_entries=N]`.
pub(super) fn cluster(line: &CommandLine) -> Cluster {
    let size = line.number_option("nodes").unwrap_or(3);
    let hosts: Vec<Host> = (1..=size).map(Host).collect();
    let founders: Vec<String> = hosts.iter().map(Host::to_string).collect();
    let member = |host: &Host| {
        let member = Member { incarnation: incarnation(print::first_node(*host)), address: host.to_string() };
        (print::first_node(*host), member)
    };
    let formed = Membership { members: hosts.iter().map(member).collect() };
    let older = line.option("older").map(host);
    let skewed = line.option("skew").map(host);
    let lacks = line.option("lacks").unwrap_or("large");
    let lacks = Tally::METHODS.iter().find(|method| method.name == lacks).copied();
    let limit =
        |option, default| usize::try_from(line.number_option(option).unwrap_or(default)).expect("64 bits");
    let limits = RaftLimits {
        append_bytes_max: limit("append_bytes", 1 << 20),
        window_messages_max: limit("window", 256),
        log_bytes_max: limit("log_bytes", 1 << 30),
        apply_entries_max: line.number_option("apply_entries").unwrap_or(65_536),
    };
    let make = |host: Host| {
        let options = ServerOptions {
            seed: line.number_option("seed").unwrap_or(1),
            founders: founders.clone(),
            lacks: lacks.filter(|_| older == Some(host)),
            skew: if skewed == Some(host) { 7 } else { 0 },
            limits: limits.clone(),
        };
        let node = print::first_node(host);
        let formed = (!line.has("founding")).then(|| formed.clone());
        (host, ScriptedServer::new(host, options, ScriptedDisk::new(node, incarnation(node), formed)))
    };
    let servers: BTreeMap<Host, ScriptedServer> = hosts.iter().copied().map(make).collect();
    let mut cluster = Cluster::new(servers);
    cluster.checks.may_diverge = skewed.is_some();
    if !line.has("founding") && !line.has("down") {
        hosts.into_iter().for_each(|host| cluster.start(host));
    }
    cluster
}

/// An empty disk for a server that has lost the one it had.
pub(super) fn new_disk(old: &ScriptedDisk) -> ScriptedDisk {
    let node = print::next_node(old.node);
    ScriptedDisk::new(node, incarnation(node), None)
}

fn incarnation(node: NodeId) -> Incarnation {
    Incarnation(node.0 * 100)
}

/// `preload n1 [term=8] [vote=n2] [log=1,1,4+]`: puts this term, this vote and entries of these terms on the disk. The
/// entries are no-ops; with a `+` they are calls of a node outside the cluster, and each takes effect.
pub(super) fn preload(disk: &mut ScriptedDisk, line: &CommandLine) {
    if let Some(log) = line.option("log") {
        let entry = |(index, text): (u64, &str)| {
            let term = text.trim_end_matches('+').parse().expect("a term is a number");
            let command = fixture::command(fixture::session(9, 1), index, index, ADD, term);
            match text.ends_with('+') {
                true => fixture::entry(term, index, &command),
                false => fixture::noop(term, index),
            }
        };
        disk.entries = (1..).zip(log.split(',')).map(entry).collect();
    }
    let last = disk.entries.last().map_or(Term(0), |entry| entry.id.term);
    disk.hard_state.term = line.number_option("term").map_or(last, Term);
    disk.hard_state.voted_for = line.option("vote").map(|vote| print::first_node(host(vote)));
}
