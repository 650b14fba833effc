//! A network that the tests can cut: a namespace for each node, joined by a bridge in one more namespace.
//!
//! ```text
//!  raftobj-PID-N-0        raftobj-PID-N-hub        raftobj-PID-N-1
//!  eth0 10.0.0.1/24 ────── v0 ─ bridge ─ v1 ────── eth0 10.0.0.2/24
//! ```
//!
//! Nothing of it is in the machine's own namespace, so its addresses, rules and packets cannot collide with others. It
//! needs root, a kernel with namespaces, and `ip` of iproute2. A cut link needs nothing more, because it is a routing
//! rule: the receiving node silently drops every packet from the sender, also on connections that exist.
//!
//! [`Cleanup`] removes the namespaces, also after a signal. Tests that were killed with SIGKILL leave theirs behind;
//! the next network removes them: the name of a namespace has the process id of its owner.

use crate::cleanup::Cleanup;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Nodes, each with its own address, and the links between them. Dropping it removes the network; end the processes in
/// it first.
pub(crate) struct Network {
    prefix: String,
    size: usize,
    /// The cut links: (from, to).
    cuts: BTreeSet<(usize, usize)>,
    unplugged: BTreeSet<usize>,
    _cleanup: Cleanup,
}

/// Where `ip` keeps the names of namespaces.
const NAMES: &str = "/run/netns";
const PREFIX: &str = "raftobj-";
/// The port of the documentation. Each node is alone in its namespace, so the port is free.
const PORT: u16 = 4321;

impl Network {
    /// Makes a network for `size` nodes. The error is why this machine does not allow one.
    pub(crate) fn new(size: usize) -> Result<Network, String> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{number}-", std::process::id());
        remove_leftovers();
        let own = prefix.clone();
        let cleanup = Cleanup::new(move || {
            namespaces(|name| name.starts_with(&own)).iter().for_each(|name| remove(name))
        });
        let network =
            Network { prefix, size, cuts: BTreeSet::new(), unplugged: BTreeSet::new(), _cleanup: cleanup };
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
            // The first rule finds the node's own addresses. Move it behind those that cut links.
            ip(&["-n", space, "rule", "add", "pref", "100", "lookup", "local"])?;
            ip(&["-n", space, "rule", "del", "pref", "0"])?;
        }
        Ok(())
    }

    /// A node's address.
    pub(crate) fn address(&self, node: usize) -> String {
        format!("{}:{PORT}", host(node))
    }

    /// Put this in front of a command line to run it as this node. `ip` executes the program in its own process: id,
    /// pipes and signals are the program's.
    pub(crate) fn launcher(&self, node: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(&node.to_string())].map(str::to_owned).into()
    }

    /// Cuts exactly these links (from, to), and restores all others.
    pub(crate) fn cut(&mut self, cuts: BTreeSet<(usize, usize)>) {
        for (from, to) in self.cuts.symmetric_difference(&cuts) {
            let action = if cuts.contains(&(*from, *to)) { "add" } else { "del" };
            let (space, from) = (self.namespace(&to.to_string()), host(*from));
            self.ip(&["-n", &space, "rule", action, "pref", "10", "from", &from, "blackhole"]);
        }
        self.cuts = cuts;
    }

    /// Takes the links of exactly these nodes down, and all others up.
    pub(crate) fn unplug(&mut self, unplugged: BTreeSet<usize>) {
        let hub = self.namespace("hub");
        for node in self.unplugged.symmetric_difference(&unplugged) {
            let state = if unplugged.contains(node) { "down" } else { "up" };
            self.ip(&["-n", &hub, "link", "set", &format!("v{node}"), state]);
        }
        self.unplugged = unplugged;
    }

    /// Runs `ip`, which must succeed once the network is made.
    fn ip(&self, arguments: &[&str]) {
        ip(arguments).unwrap_or_else(|error| panic!("in a network of {} nodes: {error}", self.size));
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn host(node: usize) -> String {
    format!("10.0.0.{}", node + 1)
}

/// The process id in the name of a namespace, if the name is one of ours.
fn owner(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.split('-').next().filter(|owner| owner.parse::<u32>().is_ok())
}

/// Removes the namespaces of tests that have ended, and kills the processes in them: a stopped process does not end.
fn remove_leftovers() {
    let is_leftover = |name: &str| owner(name).is_some_and(|owner| !Path::new("/proc").join(owner).exists());
    for name in namespaces(is_leftover) {
        let pids = ip(&["netns", "pids", &name]).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.trim().parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        remove(&name);
    }
}

/// The names of the namespaces that match.
fn namespaces(matches: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(NAMES) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| matches(name)).collect()
}

/// Removes the name of a namespace. The namespace itself exists until the last process in it ends.
fn remove(name: &str) {
    // Another process may remove it at the same time.
    let _ = ip(&["netns", "delete", name]);
}

/// Runs `ip` and returns what it prints.
fn ip(arguments: &[&str]) -> Result<String, String> {
    let command = format!("`ip {}`", arguments.join(" "));
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command} cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command} fails: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}
