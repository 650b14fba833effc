//! One cluster, its clients, and what is done to it.
//!
//! A round starts a cluster, does one [`Fault`] after the other while clients go on, ends all faults, waits until every node
//! serves again, reads every key once more, and has the records judged. A panic anywhere in it is a finding: the
//! round then prints what it did, and keeps its files.

use super::check;
use super::client::{Client, Common, End};
use super::faults::{Condition, Fault};
use super::record::{Asked, Record, Told};
use super::summary::Summary;
use crate::cleanup::Undo;
use crate::cluster::Cluster;
use crate::harness::{say, wait_until};
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

/// So many faults make a round.
const FAULTS: usize = 8;
/// How long a fault lasts at least before the next one, in milliseconds. An election timeout is 250 to 500.
const SPAN_MS: (u64, u64) = (300, 1_200);
/// So many answers say that the cluster serves.
const SERVED_MIN: u64 = 5;

pub(crate) struct Round {
    seed: u64,
    random: Random,
    cluster: Cluster,
    condition: Condition,
    common: Arc<Common>,
    lives: Vec<Option<Life>>,
    /// The lives that there were.
    lives_count: u64,
    /// By node: what lets a stopped process go on.
    stopped: BTreeMap<usize, Undo>,
    records: Vec<Record>,
    /// What was done, for whoever has to understand a finding.
    log: String,
    start: Instant,
    summary: Summary,
}

/// A process and its client.
struct Life {
    signal: Arc<dyn Fn(Signal) + Send + Sync>,
    client: JoinHandle<(Client, End)>,
}

impl Round {
    /// Runs the round of this seed, to its end or to a panic; in a network that can be cut, if there can be one.
    pub(crate) fn run(seed: u64, is_networked: bool) -> Summary {
        let mut round = Round::start(seed, is_networked);
        for _ in 0..FAULTS {
            round.next_fault();
        }
        round.end_faults();
        round.read_all();
        round.judge();
        round.summary.clone()
    }

    /// Three to five nodes with a leader, and a client at each.
    fn start(seed: u64, is_networked: bool) -> Round {
        let mut random = Random::new(seed);
        let size = random.between(3, 5) as usize;
        // Short: what cannot be decided in a minority is to be given up before the fault is over.
        let options = ["--deadline", "1"];
        let (cluster, place) = match is_networked.then(|| Network::new(size)) {
            Some(Ok(network)) => (Cluster::of(size, &options, network), "in a network".to_owned()),
            Some(Err(why)) => {
                (Cluster::new(size, &options), format!("on loopback, no network is cut: {why}"))
            }
            None => (Cluster::new(size, &options), "on loopback".to_owned()),
        };
        say(&format!("seed {seed}: {size} nodes {place}"));
        let mut round = Round {
            seed,
            random,
            cluster,
            condition: Condition::sound(size),
            common: Arc::new(Common::new(size)),
            lives: (0..size).map(|_| None).collect(),
            lives_count: 0,
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

    /// Draws a fault, does it, and waits for what has to happen all the same.
    fn next_fault(&mut self) {
        let has_network = self.cluster.network().is_some();
        let fault = Fault::draw(&mut self.random, &self.condition, self.common.leader(), has_network);
        self.carry_out(&fault);
        let span = Duration::from_millis(self.random.between(SPAN_MS.0, SPAN_MS.1));
        let start = Instant::now();
        wait_until("the fault has lasted", || {
            self.assert_alive();
            (start.elapsed() >= span).then_some(())
        });
        if let Some(majority) = self.condition.whole_majority() {
            self.wait_until_served("a majority runs and hears itself", &majority, |counts| {
                counts.iter().sum()
            });
            let waited = start.elapsed() - span;
            self.summary.waited_max = self.summary.waited_max.max(waited);
        }
    }

    /// Waits for more answers at these nodes, counted so.
    fn wait_until_served(&self, why: &str, nodes: &[usize], count: impl Fn(&[u64]) -> u64) {
        let start: Vec<u64> = nodes.iter().map(|node| self.common.served[*node].load(SeqCst)).collect();
        wait_until(&format!("{why}: {nodes:?} serve"), || {
            self.assert_alive();
            let now = nodes.iter().map(|node| self.common.served[*node].load(SeqCst));
            let more: Vec<u64> = now.zip(&start).map(|(now, start)| now - start).collect();
            (count(&more) >= SERVED_MIN).then_some(())
        });
    }

    fn carry_out(&mut self, fault: &Fault) {
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
                let life = self.lives[*node].as_ref().expect("only what runs is stopped");
                let signal = Arc::clone(&life.signal);
                self.stopped.insert(*node, Undo::with(move || signal(Signal::SIGCONT)));
                (life.signal)(Signal::SIGSTOP);
            }
            Fault::Continue(node) => drop(self.stopped.remove(node)),
            Fault::Cut(..) | Fault::Unplug(_) | Fault::Mend => {
                let network = self.cluster.network().expect("only a network is cut");
                network.cut(self.condition.cuts.clone());
                network.unplug(self.condition.unplugged.clone());
            }
        }
    }

    /// Gives a running process a client.
    fn attach(&mut self, node: usize) {
        self.lives_count += 1;
        // Legible in a timeline: client 2007 is at node 2.
        let id = ClientId(node as u64 * 1_000 + self.lives_count);
        let process = self.cluster.take(node);
        let signal = Arc::new(process.signaller());
        let client = Client { id, node, process, records: Vec::new() };
        let (common, random) = (Arc::clone(&self.common), Random::new(self.random.next_u64()));
        let client = thread::spawn(move || client.run(&common, random));
        self.lives[node] = Some(Life { signal, client });
    }

    fn kill(&mut self, nodes: &BTreeSet<usize>) {
        let lives: Vec<(usize, Life)> =
            nodes.iter().filter_map(|node| Some((*node, self.lives[*node].take()?))).collect();
        lives.iter().for_each(|(_, life)| (life.signal)(Signal::SIGKILL));
        for (node, life) in lives {
            // Its id is its own until `detach` waits for its end.
            self.stopped.remove(&node);
            let (mut client, end) = self.detach(life);
            let status = client.process.wait();
            let told = client.process.told();
            assert_eq!(end, End::Gone, "node {node} was to be killed; it told:\n{told}");
            assert_eq!(
                status.signal(),
                Some(9),
                "node {node} has ended by itself: {status}; it told:\n{told}"
            );
        }
    }

    /// Takes the client of a life that ends, and its records.
    fn detach(&mut self, life: Life) -> (Client, End) {
        let (mut client, end) = life.client.join().expect("a client does not panic");
        self.records.append(&mut client.records);
        // Beside the node's directory: it stays if that stays.
        let file = format!("node-{}-client-{}.stderr", client.node, client.id.0);
        fs::write(self.cluster.directory().join(file), client.process.told())
            .expect("there is room for files");
        (client, end)
    }

    /// No process ends, hangs or says what nobody understands.
    fn assert_alive(&self) {
        let ended =
            self.lives.iter().position(|life| life.as_ref().is_some_and(|life| life.client.is_finished()));
        assert!(ended.is_none(), "the process of node {ended:?} or its client has ended by itself");
    }

    /// Puts everything right, waits until every node serves, and ends the clients.
    fn end_faults(&mut self) {
        self.note("all faults end");
        self.stopped.clear();
        self.condition.stopped.clear();
        if self.cluster.network().is_some() {
            self.carry_out(&Fault::Mend);
        }
        if !self.condition.dead.is_empty() {
            self.carry_out(&Fault::Start(self.condition.dead.clone()));
        }
        let all: Vec<usize> = (0..self.condition.size).collect();
        self.wait_until_served("all faults have ended", &all, |counts| {
            counts.iter().copied().min().expect("there are nodes")
        });
        self.common.stop.store(true, SeqCst);
        for node in all {
            let life = self.lives[node].take().expect("all run");
            let (client, end) = self.detach(life);
            assert_eq!(end, End::Stopped, "node {node}; it told:\n{}", client.process.told());
            self.cluster.put(node, client.process);
        }
    }

    /// Reads every key, so that whatever was acknowledged last is asked for too; then all nodes must be the same.
    fn read_all(&mut self) {
        self.note("every key is read");
        let size = self.condition.size;
        self.summary.keys = self.common.keys();
        for node in 0..size {
            self.lives_count += 1;
            let id = ClientId(node as u64 * 1_000 + self.lives_count);
            let process = self.cluster.take(node);
            let mut client = Client { id, node, process, records: Vec::new() };
            for key in (0..self.common.keys()).filter(|key| *key as usize % size == node) {
                let asked = Asked::Get { key, linearizable: true };
                wait_until(&format!("`{asked}` is served at node {node}"), || {
                    let told = client.ask(&self.common, asked).expect("the process runs");
                    matches!(told, Told::Value(_)).then_some(())
                });
            }
            self.records.append(&mut client.records);
            self.cluster.put(node, client.process);
        }
        self.cluster.wait_until_level();
    }

    fn judge(&mut self) {
        self.note("the records are judged");
        self.summary.count(&self.records);
        self.summary.local_reads_judged =
            check::judge(&self.records).unwrap_or_else(|found| panic!("{found}"));
    }

    fn note(&mut self, what: &str) {
        let _ = writeln!(self.log, "{:>8.3} s  {what}", self.start.elapsed().as_secs_f64());
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        // Whatever is stopped must go on, or end, before its client can.
        let lives: Vec<Life> = self.lives.iter_mut().filter_map(Option::take).collect();
        lives.iter().for_each(|life| (life.signal)(Signal::SIGKILL));
        self.stopped.clear();
        for life in lives {
            if let Ok((mut client, end)) = life.client.join() {
                self.records.append(&mut client.records);
                let _ =
                    writeln!(self.log, "node {}: {end:?}; it told:\n{}", client.node, client.process.told());
            }
        }
        if thread::panicking() {
            let files = self.cluster.keep_files();
            let records: String = self.records.iter().map(|record| format!("{record:?}\n")).collect();
            let _ = fs::write(files.join("records"), records);
            say(&format!(
                "what was done in the round of seed {}, {} nodes:\n{}files and records are kept in {}\n\
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
