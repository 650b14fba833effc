//! How a scenario's cluster is made.

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
    let size = line.number("nodes").unwrap_or(3);
    let hosts: Vec<Host> = (1..=size).map(Host).collect();
    let founders: Vec<String> = hosts.iter().map(Host::to_string).collect();
    let member = |host: &Host| {
        let member = Member { incarnation: incarnation(print::node_id(*host, 0)), address: host.to_string() };
        (print::node_id(*host, 0), member)
    };
    let formed = Membership { members: hosts.iter().map(member).collect() };
    let older = line.value("older").map(host);
    let skewed = line.value("skew").map(host);
    let lacks = line.value("lacks").unwrap_or("large");
    let lacks = Tally::METHODS.iter().find(|method| method.name == lacks).copied();
    let size_of = |option, default| usize::try_from(line.number(option).unwrap_or(default)).expect("64 bits");
    let limits = RaftLimits {
        append_bytes_max: size_of("append_bytes", 1 << 20),
        window_messages_max: size_of("window", 256),
        log_bytes_max: size_of("log_bytes", 1 << 30),
        apply_entries_max: line.number("apply_entries").unwrap_or(65_536),
    };
    let make = |host: Host| {
        let options = ServerOptions {
            seed: line.number("seed").unwrap_or(1),
            founders: founders.clone(),
            lacks: lacks.filter(|_| older == Some(host)),
            skew: if skewed == Some(host) { 7 } else { 0 },
            limits: limits.clone(),
        };
        let node = print::node_id(host, 0);
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

/// A disk for a machine that has lost the one it had.
pub(super) fn new_disk(old: &ScriptedDisk) -> ScriptedDisk {
    let node = NodeId(old.node.0 + 100);
    ScriptedDisk::new(node, incarnation(node), None)
}

fn incarnation(node: NodeId) -> Incarnation {
    Incarnation(node.0 * 100)
}

/// `remember n1 [term=8] [vote=n2] [log=1,1,4+]`: the disk has this term, this vote, entries of these terms: no-ops,
/// and with a `+` calls of a node that is not there, each of which takes effect.
pub(super) fn remember(disk: &mut ScriptedDisk, line: &CommandLine) {
    if let Some(log) = line.value("log") {
        let entry = |(index, word): (u64, &str)| {
            let term = word.trim_end_matches('+').parse().expect("terms are numbers");
            let command = fixture::command(fixture::session(9, 1), index, index, ADD, term);
            match word.ends_with('+') {
                true => fixture::entry(term, index, &command),
                false => fixture::noop(term, index),
            }
        };
        disk.entries = (1..).zip(log.split(',')).map(entry).collect();
    }
    let last = disk.entries.last().map_or(Term(0), |entry| entry.id.term);
    disk.hard_state.term = line.number("term").map_or(last, Term);
    disk.hard_state.voted_for = line.value("vote").map(|vote| print::node_id(host(vote), 0));
}
