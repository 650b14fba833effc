//! The processes of one cluster, on loopback or in a network of their own.

use crate::harness::{Process, address, wait_until};
use crate::network::Network;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The processes of one cluster, each with a directory of its own. The directories go when it is dropped.
pub(crate) struct Cluster {
    pub(crate) addresses: Vec<String>,
    nodes: Vec<Option<Process>>,
    options: Vec<String>,
    directory: TempDir,
    /// Where they have addresses of their own. The last field: it goes when the processes in it are gone.
    network: Option<Network>,
}

impl Cluster {
    /// So many nodes on loopback, none of them running.
    pub(crate) fn new(size: usize, options: &[&str]) -> Cluster {
        Cluster::at((0..size).map(|_| address()).collect(), options, None)
    }

    /// The same in a network that can be cut.
    pub(crate) fn of(size: usize, options: &[&str], network: Network) -> Cluster {
        Cluster::at((0..size).map(|node| network.address(node)).collect(), options, Some(network))
    }

    fn at(addresses: Vec<String>, options: &[&str], network: Option<Network>) -> Cluster {
        Cluster {
            nodes: addresses.iter().map(|_| None).collect(),
            addresses,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            directory: tempfile::tempdir().expect("there is room for files"),
            network,
        }
    }

    /// Three running nodes with a leader.
    pub(crate) fn of_three(options: &[&str]) -> Cluster {
        let mut cluster = Cluster::new(3, options);
        cluster.start_all();
        cluster
    }

    /// Starts every node, and waits until they have a leader; which.
    pub(crate) fn start_all(&mut self) -> usize {
        (0..self.nodes.len()).for_each(|node| self.start(node));
        self.wait_for_leader()
    }

    /// Starts a node, on the files that it had.
    pub(crate) fn start(&mut self, node: usize) {
        let arguments = self.arguments(node);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let launcher = self.network.as_ref().map(|network| network.launcher(node)).unwrap_or_default();
        self.nodes[node] = Some(Process::start_by(&launcher, self.directory.path(), &arguments));
    }

    /// The network, where the nodes have one of their own.
    pub(crate) fn network(&mut self) -> Option<&mut Network> {
        self.network.as_mut()
    }

    /// Cuts exactly these links of its network, each from one node to another.
    pub(crate) fn cut(&mut self, cuts: BTreeSet<(usize, usize)>) {
        self.network().expect("it has a network").cut(cuts);
    }

    /// The files stay when it is dropped; where they are.
    pub(crate) fn keep_files(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }

    /// How a node is started: its own address, the others, its directory, the options.
    pub(crate) fn arguments(&self, node: usize) -> Vec<String> {
        let mut arguments = vec![self.addresses[node].clone()];
        arguments.extend(self.addresses.iter().filter(|peer| **peer != self.addresses[node]).cloned());
        arguments.extend(["--data-dir".to_owned(), self.data_dir(node).display().to_string()]);
        arguments.extend(self.options.iter().cloned());
        arguments
    }

    /// Where a node's files are.
    pub(crate) fn data_dir(&self, node: usize) -> PathBuf {
        self.directory.path().join(node.to_string())
    }

    /// Where all is.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A running node.
    pub(crate) fn node(&mut self, node: usize) -> &mut Process {
        self.nodes[node].as_mut().unwrap_or_else(|| panic!("node {node} runs"))
    }

    /// Takes a running node away, as for a thread of its own.
    pub(crate) fn take(&mut self, node: usize) -> Process {
        self.nodes[node].take().unwrap_or_else(|| panic!("node {node} runs"))
    }

    /// Gives it back.
    pub(crate) fn put(&mut self, node: usize, process: Process) {
        self.nodes[node] = Some(process);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
    }

    fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()).collect()
    }

    /// Waits until all running nodes name the same running leader; which.
    pub(crate) fn wait_for_leader(&mut self) -> usize {
        let addresses = self.addresses.clone();
        wait_until("all nodes have one leader", || {
            let running = self.running();
            let leaders: Vec<String> = running
                .iter()
                .map(|node| self.node(*node).status().remove("leader").expect("it is told"))
                .collect();
            let leader = leaders.first()?;
            let all = leaders.iter().all(|other| other == leader);
            all.then(|| running.iter().copied().find(|node| addresses[*node] == *leader))?
        })
    }

    /// Waits until all running nodes have applied their whole logs, all the same; what they say then.
    pub(crate) fn wait_until_level(&mut self) -> BTreeMap<String, String> {
        wait_until("all nodes have the same", || {
            let all: Vec<_> = self.running().into_iter().map(|node| self.node(node).status()).collect();
            let same = |name: &str| all.iter().all(|status| status[name] == all[0][name]);
            let level = all.iter().all(|status| status["applied"] == status["last"]) && same("applied");
            if level {
                assert!(same("digest"), "equal logs, different digests: {all:#?}");
            }
            level.then(|| all[0].clone())
        })
    }

    /// A command that may be given again, as often as it takes; its answer.
    pub(crate) fn insist(&mut self, node: usize, command: &str) -> String {
        wait_until(&format!("node {node} carries out `{command}`"), || {
            let answer = self.node(node).ask(command);
            (!answer.starts_with("error: ")).then_some(answer)
        })
    }

    /// Asks every running node the same.
    pub(crate) fn ask_all(&mut self, command: &str) -> Vec<String> {
        self.running().into_iter().map(|node| self.node(node).ask(command)).collect()
    }
}
