//! A network that the tests make and can cut: a namespace for each node, joined by a bridge in one more.
//!
//! ```text
//!  raftobj-PID-N-0        raftobj-PID-N-hub        raftobj-PID-N-1
//!  eth0 10.0.0.1/24 ────── v0 ─ bridge ─ v1 ────── eth0 10.0.0.2/24
//! ```
//!
//! Nothing of it is in the machine's own namespace, so no address, no rule and no packet meets anything else. It needs
//! root, a kernel with namespaces, and `ip` of iproute2; nothing more, because a cut is a rule of routing: a node that is
//! not to hear another one has a rule that swallows what comes from there, without a word, connections that exist
//! included.
//!
//! [`Undo`] removes the namespaces, a signal included. What tests left behind that were killed outright, the
//! next network sweeps away: the names tell whose they are.

use crate::cleanup::Undo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Nodes with addresses of their own, and the links between them. Gone when it is dropped, which should be after the
/// processes in it have ended.
pub(crate) struct Network {
    prefix: String,
    size: usize,
    /// Who does not hear whom: (from, to).
    cuts: BTreeSet<(usize, usize)>,
    unplugged: BTreeSet<usize>,
    _undo: Undo,
}

/// Where `ip` keeps the names of namespaces.
const NAMES: &str = "/run/netns";
const PREFIX: &str = "raftobj-";
/// As in the documentation: each node is alone in its namespace and has no other port to avoid.
const PORT: u16 = 4321;

impl Network {
    /// A whole network for so many nodes, or why there is none here.
    pub(crate) fn new(size: usize) -> Result<Network, String> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{number}-", std::process::id());
        sweep();
        let own = prefix.clone();
        let undo =
            Undo::with(move || named(|name| name.starts_with(&own)).iter().for_each(|name| remove(name)));
        let network =
            Network { prefix, size, cuts: BTreeSet::new(), unplugged: BTreeSet::new(), _undo: undo };
        network.build()?;
        Ok(network)
    }

    fn build(&self) -> Result<(), String> {
        let hub = self.namespace("hub");
        let hub = hub.as_str();
        ip(&["netns", "add", hub])?;
        ip(&["-n", hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", hub, "link", "set", "bridge", "up"])?;
        for node in 0..self.size {
            let (space, port) = (self.namespace(&node.to_string()), format!("v{node}"));
            let (space, port) = (space.as_str(), port.as_str());
            ip(&["netns", "add", space])?;
            ip(&["-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space])?;
            ip(&["-n", hub, "link", "set", port, "master", "bridge", "up"])?;
            ip(&["-n", space, "link", "set", "lo", "up"])?;
            ip(&["-n", space, "address", "add", &format!("{}/24", host(node)), "dev", "eth0"])?;
            ip(&["-n", space, "link", "set", "eth0", "up"])?;
            // The rule that finds the node's own addresses is the very first; make room for cuts before it.
            ip(&["-n", space, "rule", "add", "pref", "100", "lookup", "local"])?;
            ip(&["-n", space, "rule", "del", "pref", "0"])?;
        }
        Ok(())
    }

    /// A node's address.
    pub(crate) fn address(&self, node: usize) -> String {
        format!("{}:{PORT}", host(node))
    }

    /// What to put before a program and its arguments, so that it runs as this node. `ip` becomes the program: its id,
    /// its pipes and its signals are the program's.
    pub(crate) fn launcher(&self, node: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(&node.to_string())].map(str::to_owned).into()
    }

    /// Cuts exactly these, each pair from one node to another, and mends all else.
    pub(crate) fn cut(&mut self, cuts: BTreeSet<(usize, usize)>) {
        for (from, to) in self.cuts.symmetric_difference(&cuts) {
            let done = if cuts.contains(&(*from, *to)) { "add" } else { "del" };
            let (space, from) = (self.namespace(&to.to_string()), host(*from));
            self.must(&["-n", &space, "rule", done, "pref", "10", "from", &from, "blackhole"]);
        }
        self.cuts = cuts;
    }

    /// Pulls the cables of exactly these nodes, and puts all others in.
    pub(crate) fn unplug(&mut self, unplugged: BTreeSet<usize>) {
        let hub = self.namespace("hub");
        for node in self.unplugged.symmetric_difference(&unplugged) {
            let state = if unplugged.contains(node) { "down" } else { "up" };
            self.must(&["-n", &hub, "link", "set", &format!("v{node}"), state]);
        }
        self.unplugged = unplugged;
    }

    fn must(&self, arguments: &[&str]) {
        ip(arguments)
            .unwrap_or_else(|why| panic!("a network of {} nodes was made, but then {why}", self.size));
    }

    fn namespace(&self, who: &str) -> String {
        format!("{}{who}", self.prefix)
    }
}

fn host(node: usize) -> String {
    format!("10.0.0.{}", node + 1)
}

/// Which process made a namespace of this name, if it is one of ours.
fn owner(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.split('-').next().filter(|owner| owner.parse::<u32>().is_ok())
}

/// Removes what was made by processes that are no more, and ends whatever still runs there, as what is stopped does.
fn sweep() {
    let is_left = |name: &str| owner(name).is_some_and(|owner| !Path::new("/proc").join(owner).exists());
    for name in named(is_left) {
        let pids = ip(&["netns", "pids", &name]).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.trim().parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        remove(&name);
    }
}

/// The namespaces of these names.
fn named(concerns: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(NAMES) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| concerns(name)).collect()
}

/// Removes a namespace. What runs in it keeps it, without a name, until it ends.
fn remove(name: &str) {
    // Another process may sweep at the same time.
    let _ = ip(&["netns", "delete", name]);
}

/// Runs `ip`: what it says, or why it does not.
fn ip(arguments: &[&str]) -> Result<String, String> {
    let command = format!("`ip {}`", arguments.join(" "));
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command} cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command} says: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}
