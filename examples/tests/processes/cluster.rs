//! The processes of one cluster, on loopback or in a network of their own.

use crate::harness::{Process, address, wait_until};
use crate::network::Network;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The processes of one cluster, each with its own data directory. Dropping it removes the directories.
pub(crate) struct Cluster {
    pub(crate) addresses: Vec<String>,
    nodes: Vec<Option<Process>>,
    options: Vec<String>,
    /// In front of each node's command line.
    launcher: Vec<String>,
    directory: TempDir,
    /// None on loopback. The last field: it must be dropped after the processes in it.
    network: Option<Network>,
}

impl Cluster {
    /// `size` nodes on loopback, not started.
    pub(crate) fn new(size: usize, options: &[&str]) -> Cluster {
        Cluster::with_addresses((0..size).map(|_| address()).collect(), options, None)
    }

    /// The same, in a network that can be cut.
    pub(crate) fn in_network(size: usize, options: &[&str], network: Network) -> Cluster {
        Cluster::with_addresses((0..size).map(|node| network.address(node)).collect(), options, Some(network))
    }

    fn with_addresses(addresses: Vec<String>, options: &[&str], network: Option<Network>) -> Cluster {
        Cluster {
            nodes: addresses.iter().map(|_| None).collect(),
            addresses,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            launcher: Vec::new(),
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            network,
        }
    }

    /// Three nodes on loopback whose processes may open at most `soft` files, not started. They can raise this limit up
    /// to `hard`.
    pub(crate) fn with_file_limit(soft: u64, hard: u64) -> Cluster {
        let script = format!(r#"ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$0" "$@""#);
        let launcher = ["sh", "-c", &script].map(str::to_owned).to_vec();
        Cluster { launcher, ..Cluster::new(3, &[]) }
    }

    /// Starts three nodes on loopback and waits for a leader.
    pub(crate) fn start_three(options: &[&str]) -> Cluster {
        let mut cluster = Cluster::new(3, options);
        cluster.start_all();
        cluster
    }

    /// Starts every node, waits for a leader, and returns it.
    pub(crate) fn start_all(&mut self) -> usize {
        (0..self.nodes.len()).for_each(|node| self.start(node));
        self.wait_for_leader()
    }

    /// Starts a node, on its files if it ran before.
    pub(crate) fn start(&mut self, node: usize) {
        let arguments = self.arguments(node);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let launcher = self.network.as_ref().map(|network| network.launcher(node));
        let launcher = launcher.unwrap_or_else(|| self.launcher.clone());
        self.nodes[node] = Some(Process::start_with_launcher(&launcher, self.directory.path(), &arguments));
    }

    /// The network, unless the nodes are on loopback.
    pub(crate) fn network(&mut self) -> Option<&mut Network> {
        self.network.as_mut()
    }

    /// Cuts exactly these links (from, to) of its network.
    pub(crate) fn cut(&mut self, cuts: BTreeSet<(usize, usize)>) {
        self.network().expect("it has a network").cut(cuts);
    }

    /// Keeps the files when it is dropped, and returns their directory.
    pub(crate) fn keep_files(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }

    /// A node's command line: its own address, the others, its directory, the options.
    pub(crate) fn arguments(&self, node: usize) -> Vec<String> {
        let mut arguments = vec![self.addresses[node].clone()];
        arguments.extend(self.addresses.iter().filter(|peer| **peer != self.addresses[node]).cloned());
        arguments.extend(["--data-dir".to_owned(), self.data_dir(node).display().to_string()]);
        arguments.extend(self.options.iter().cloned());
        arguments
    }

    /// A node's data directory.
    pub(crate) fn data_dir(&self, node: usize) -> PathBuf {
        self.directory.path().join(node.to_string())
    }

    /// The directory of all files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A running node.
    pub(crate) fn node(&mut self, node: usize) -> &mut Process {
        self.nodes[node].as_mut().unwrap_or_else(|| panic!("node {node} does not run"))
    }

    /// Takes a running node out, for example to move it to another thread.
    pub(crate) fn take(&mut self, node: usize) -> Process {
        self.nodes[node].take().unwrap_or_else(|| panic!("node {node} does not run"))
    }

    /// Puts it back.
    pub(crate) fn put(&mut self, node: usize, process: Process) {
        self.nodes[node] = Some(process);
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
    }

    fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()).collect()
    }

    /// Waits until all running nodes report the same running leader, and returns it.
    pub(crate) fn wait_for_leader(&mut self) -> usize {
        let addresses = self.addresses.clone();
        wait_until("all nodes have one leader", || {
            let running = self.running();
            let leaders: Vec<String> = running
                .iter()
                .map(|node| self.node(*node).status().remove("leader").expect("a status line has a leader"))
                .collect();
            let leader = leaders.first()?;
            let all = leaders.iter().all(|other| other == leader);
            all.then(|| running.iter().copied().find(|node| addresses[*node] == *leader))?
        })
    }

    /// Waits until all running nodes have applied their whole logs, to the same index; returns that status.
    pub(crate) fn wait_until_equal(&mut self) -> BTreeMap<String, String> {
        wait_until("all nodes have applied the same log", || {
            let all: Vec<_> = self.running().into_iter().map(|node| self.node(node).status()).collect();
            let same = |name: &str| all.iter().all(|status| status[name] == all[0][name]);
            let equal = all.iter().all(|status| status["applied"] == status["last"]) && same("applied");
            if equal {
                assert!(same("digest"), "equal logs, different digests: {all:#?}");
            }
            equal.then(|| all[0].clone())
        })
    }

    /// Repeats a command until it does not fail; returns its answer.
    pub(crate) fn ask_until_ok(&mut self, node: usize, command: &str) -> String {
        wait_until(&format!("`{command}` succeeds at node {node}"), || {
            let answer = self.node(node).ask(command);
            (!answer.starts_with("error: ")).then_some(answer)
        })
    }

    /// Sends a command to every running node; returns their answers.
    pub(crate) fn ask_all(&mut self, command: &str) -> Vec<String> {
        self.running().into_iter().map(|node| self.node(node).ask(command)).collect()
    }
}
