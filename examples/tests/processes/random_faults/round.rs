//! One cluster, its clients, and its faults.
//!
//! A round starts a cluster, injects one [`Fault`] after the other while clients run, ends all faults, waits until
//! every node serves again, reads every key once more, and checks the records. If anything panics, the round prints
//! what it did and keeps its files.

use super::check;
use super::client::{Client, ClientEnd, Shared};
use super::faults::{Condition, Fault};
use super::record::{Answer, Command, Record};
use super::summary::Summary;
use crate::cleanup::Cleanup;
use crate::cluster::Cluster;
use crate::harness::{print_uncaptured, wait_until};
use crate::network::Network;
use nix::sys::signal::Signal;
use raftobj::sim::Random;
use raftobj::sim::history::ClientId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Faults in a round.
const FAULTS: usize = 8;
/// How long a fault lasts before the next one, at least and at most, in ms. An election timeout is 250 to 500 ms.
const FAULT_MS: (u64, u64) = (300, 1_200);
/// After so many served commands the cluster counts as serving.
const SERVED_MIN: u64 = 5;

pub(crate) struct Round {
    seed: u64,
    random: Random,
    cluster: Cluster,
    condition: Condition,
    shared: Arc<Shared>,
    clients: Vec<Option<AttachedClient>>,
    /// How many clients were attached so far.
    clients_count: u64,
    /// By node: continues a stopped process when dropped.
    stopped: BTreeMap<usize, Cleanup>,
    records: Vec<Record>,
    /// What was done and when, printed on failure.
    log: String,
    start: Instant,
    summary: Summary,
}

/// The client of a running process.
struct AttachedClient {
    signal: Arc<dyn Fn(Signal) + Send + Sync>,
    thread: JoinHandle<(Client, ClientEnd)>,
}

impl Round {
    /// Runs the round of this seed; panics if a check fails. `is_networked`: in a network that can be cut, if possible.
    pub(crate) fn run(seed: u64, is_networked: bool) -> Summary {
        let mut round = Round::start(seed, is_networked);
        for _ in 0..FAULTS {
            round.next_fault();
        }
        round.end_faults();
        round.read_all();
        round.check_records();
        round.summary.clone()
    }

    /// Starts three to five nodes and a client at each.
    fn start(seed: u64, is_networked: bool) -> Round {
        let mut random = Random::new(seed);
        let size = random.between(3, 5) as usize;
        // Short: calls in a minority should end before the fault does.
        let options = ["--deadline", "1"];
        let (cluster, place) = match is_networked.then(|| Network::new(size)) {
            Some(Ok(network)) => (Cluster::in_network(size, &options, network), "in a network".to_owned()),
            Some(Err(reason)) => {
                (Cluster::new(size, &options), format!("on loopback, no network is cut: {reason}"))
            }
            None => (Cluster::new(size, &options), "on loopback".to_owned()),
        };
        print_uncaptured(&format!("seed {seed}: {size} nodes {place}"));
        let mut round = Round {
            seed,
            random,
            cluster,
            condition: Condition::healthy(size),
            shared: Arc::new(Shared::new(size)),
            clients: (0..size).map(|_| None).collect(),
            clients_count: 0,
            stopped: BTreeMap::new(),
            records: Vec::new(),
            log: String::new(),
            start: Instant::now(),
            summary: Summary { rounds: 1, ..Summary::default() },
        };
        round.cluster.start_all();
        (0..size).for_each(|node| round.attach(node));
        round
    }

    /// Draws a fault, injects it, and waits until it has lasted and a connected majority, if there is one, serves.
    fn next_fault(&mut self) {
        let has_network = self.cluster.network().is_some();
        let fault = Fault::draw(&mut self.random, &self.condition, self.shared.leader(), has_network);
        self.inject(&fault);
        let span = Duration::from_millis(self.random.between(FAULT_MS.0, FAULT_MS.1));
        let start = Instant::now();
        wait_until("the fault has lasted", || {
            self.assert_alive();
            (start.elapsed() >= span).then_some(())
        });
        if let Some(majority) = self.condition.connected_majority() {
            self.wait_until_served("a majority runs and is connected", &majority, |counts| {
                counts.iter().sum()
            });
            let waited = start.elapsed() - span;
            self.summary.waited_max = self.summary.waited_max.max(waited);
        }
    }

    /// Waits until these nodes have served [`SERVED_MIN`] more commands, counted by `count`.
    fn wait_until_served(&self, condition: &str, nodes: &[usize], count: impl Fn(&[u64]) -> u64) {
        let start: Vec<u64> = nodes.iter().map(|node| self.shared.served[*node].load(SeqCst)).collect();
        wait_until(&format!("{condition}: {nodes:?} serve"), || {
            self.assert_alive();
            let now = nodes.iter().map(|node| self.shared.served[*node].load(SeqCst));
            let more: Vec<u64> = now.zip(&start).map(|(now, start)| now - start).collect();
            (count(&more) >= SERVED_MIN).then_some(())
        });
    }

    fn inject(&mut self, fault: &Fault) {
        self.note(&fault.to_string());
        *self.summary.faults.entry(fault.kind()).or_default() += 1;
        self.condition = self.condition.clone().after(fault);
        match fault {
            Fault::Kill(nodes) => self.kill(nodes),
            Fault::Start(nodes) => {
                for node in nodes {
                    self.cluster.start(*node);
                    self.attach(*node);
                }
            }
            Fault::Stop(node) => {
                let client = self.clients[*node].as_ref().expect("only running nodes are stopped");
                let signal = Arc::clone(&client.signal);
                self.stopped.insert(*node, Cleanup::new(move || signal(Signal::SIGCONT)));
                (client.signal)(Signal::SIGSTOP);
            }
            Fault::Continue(node) => drop(self.stopped.remove(node)),
            Fault::Cut(..) | Fault::Unplug(_) | Fault::Heal => {
                let network = self.cluster.network().expect("links are only cut in a network");
                network.cut(self.condition.cuts.clone());
                network.unplug(self.condition.unplugged.clone());
            }
        }
    }

    /// Starts a client at a running node.
    fn attach(&mut self, node: usize) {
        self.clients_count += 1;
        // Easy to read in a timeline: client 2007 is at node 2.
        let id = ClientId(node as u64 * 1_000 + self.clients_count);
        let process = self.cluster.take(node);
        let signal = Arc::new(process.signaller());
        let client = Client { id, node, process, records: Vec::new() };
        let (shared, random) = (Arc::clone(&self.shared), Random::new(self.random.next_u64()));
        let thread = thread::spawn(move || client.run(&shared, random));
        self.clients[node] = Some(AttachedClient { signal, thread });
    }

    fn kill(&mut self, nodes: &BTreeSet<usize>) {
        let clients: Vec<(usize, AttachedClient)> =
            nodes.iter().filter_map(|node| Some((*node, self.clients[*node].take()?))).collect();
        clients.iter().for_each(|(_, client)| (client.signal)(Signal::SIGKILL));
        for (node, client) in clients {
            // Before the wait below: until then the process id is not reused.
            self.stopped.remove(&node);
            let (mut client, end) = self.detach(client);
            let status = client.process.wait();
            let stderr = client.process.stderr();
            assert_eq!(end, ClientEnd::ProcessEnded, "node {node} was killed; its stderr:\n{stderr}");
            assert_eq!(
                status.signal(),
                Some(9),
                "node {node} ended before SIGKILL: {status}; its stderr:\n{stderr}"
            );
        }
    }

    /// Waits until a client ends, and takes its records.
    fn detach(&mut self, client: AttachedClient) -> (Client, ClientEnd) {
        let (mut client, end) = client.thread.join().expect("a client does not panic");
        self.records.append(&mut client.records);
        // Beside the node's directory: kept if that is kept.
        let file = format!("node-{}-client-{}.stderr", client.node, client.id.0);
        fs::write(self.cluster.directory().join(file), client.process.stderr())
            .expect("the file can be written");
        (client, end)
    }

    /// Fails if a client has ended: its process ended, hung, or sent an answer that cannot be parsed.
    fn assert_alive(&self) {
        let is_finished = |client: &Option<AttachedClient>| {
            client.as_ref().is_some_and(|client| client.thread.is_finished())
        };
        let ended = self.clients.iter().position(is_finished);
        assert!(ended.is_none(), "the client of node {ended:?} has ended, or its process");
    }

    /// Repairs every fault, waits until every node serves, and ends the clients.
    fn end_faults(&mut self) {
        self.note("end all faults");
        self.stopped.clear();
        self.condition.stopped.clear();
        if self.cluster.network().is_some() {
            self.inject(&Fault::Heal);
        }
        if !self.condition.dead.is_empty() {
            self.inject(&Fault::Start(self.condition.dead.clone()));
        }
        let all: Vec<usize> = (0..self.condition.size).collect();
        self.wait_until_served("all faults have ended", &all, |counts| {
            counts.iter().copied().min().expect("there are nodes")
        });
        self.shared.stop.store(true, SeqCst);
        for node in all {
            let client = self.clients[node].take().expect("all nodes run");
            let (client, end) = self.detach(client);
            assert_eq!(end, ClientEnd::Stopped, "node {node}; its stderr:\n{}", client.process.stderr());
            self.cluster.put(node, client.process);
        }
    }

    /// Reads every key, which also checks the last acknowledged writes; then waits until all nodes are equal.
    fn read_all(&mut self) {
        self.note("read every key");
        let size = self.condition.size;
        self.summary.keys = self.shared.keys();
        for node in 0..size {
            self.clients_count += 1;
            let id = ClientId(node as u64 * 1_000 + self.clients_count);
            let process = self.cluster.take(node);
            let mut client = Client { id, node, process, records: Vec::new() };
            for key in (0..self.shared.keys()).filter(|key| *key as usize % size == node) {
                let command = Command::Get { key, linearizable: true };
                wait_until(&format!("`{command}` is served at node {node}"), || {
                    let answer = client.ask(&self.shared, command).expect("the process runs");
                    matches!(answer, Answer::Value(_)).then_some(())
                });
            }
            self.records.append(&mut client.records);
            self.cluster.put(node, client.process);
        }
        self.cluster.wait_until_equal();
    }

    fn check_records(&mut self) {
        self.note("check the records");
        self.summary.count(&self.records);
        self.summary.local_reads_checked =
            check::check(&self.records).unwrap_or_else(|violation| panic!("{violation}"));
    }

    fn note(&mut self, what: &str) {
        let _ = writeln!(self.log, "{:>8.3} s  {what}", self.start.elapsed().as_secs_f64());
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        // A client ends when its process does. SIGKILL also ends a stopped process.
        let clients: Vec<AttachedClient> = self.clients.iter_mut().filter_map(Option::take).collect();
        clients.iter().for_each(|client| (client.signal)(Signal::SIGKILL));
        self.stopped.clear();
        for client in clients {
            if let Ok((mut client, end)) = client.thread.join() {
                self.records.append(&mut client.records);
                let stderr = client.process.stderr();
                let _ = writeln!(self.log, "node {}: {end:?}; its stderr:\n{stderr}", client.node);
            }
        }
        if thread::panicking() {
            let files = self.cluster.keep_files();
            let records: String = self.records.iter().map(|record| format!("{record:?}\n")).collect();
            let _ = fs::write(files.join("records"), records);
            print_uncaptured(&format!(
                "the round of seed {}, {} nodes:\n{}files and records are kept in {}\n\
                 to draw the same faults again: RAFTOBJ_PROCESS_SEED={} cargo test -p raftobj-examples random_faults",
                self.seed,
                self.condition.size,
                self.log,
                files.display(),
                self.seed,
            ));
        }
    }
}
