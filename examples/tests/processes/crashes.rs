//! SIGKILL under load.
//!
//! Every write has a unique value, which identifies the writes that took effect. A writer sets two kinds of keys: its
//! own, which every node must have afterwards, and one that all writers share. A write to the shared key prints the
//! value that it replaced. If a write took effect twice, with another one between, that value differs from the one in
//! the reference model, which replays the log.

use crate::cluster::Cluster;
use crate::harness::{Changed, Process, wait_until};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const ROUNDS: usize = 20;
/// Acknowledged writes at each node before the kill, and at each survivor after it.
const WRITES_MIN: usize = 10;

/// An acknowledged write.
#[derive(Clone, Debug)]
struct Write {
    key: String,
    value: String,
    changed: Changed,
}

/// The key that all writers share.
const SHARED: &str = "shared";

/// Which nodes are killed.
#[derive(Clone, Copy, Debug)]
enum Victims {
    Leader,
    Follower,
    All,
}

/// If it fails, an acknowledged write is lost, is not at its printed index, or took effect twice.
#[test]
fn an_acknowledged_write_survives_sigkill_at_its_index_once() {
    // Commands may fail only while a majority is killed, not because an election is slow on a busy machine.
    let mut cluster = Cluster::start_three(&["--deadline", "60"]);
    let mut writes: Vec<Write> = Vec::new();
    for round in 0..ROUNDS {
        let victims = [Victims::Leader, Victims::Follower, Victims::All][round % 3];
        let leader = cluster.wait_for_leader();
        let killed: Vec<usize> = match victims {
            Victims::Leader => vec![leader],
            Victims::Follower => vec![(leader + 1 + round % 2) % 3],
            Victims::All => vec![0, 1, 2],
        };
        writes.extend(write_and_kill(&mut cluster, round, &killed));
        for node in killed {
            cluster.start(node);
        }
        cluster.wait_for_leader();
        check(&mut cluster, &writes, round);
    }
    assert!(writes.len() >= ROUNDS * 3 * WRITES_MIN, "too few writes: {}", writes.len());
}

/// If it fails, nodes that crash during the first start may never form a cluster.
#[test]
fn a_cluster_forms_although_nodes_are_killed_during_founding() {
    for round in 0..6 {
        let mut cluster = Cluster::new(3, &["--deadline", "60"]);
        (0..3).for_each(|node| cluster.start(node));
        // A node is killed as soon as it has its first file, at a random point of the founding.
        for node in (0..3).filter(|node| round == 5 || round % 3 == *node) {
            let identity = cluster.data_dir(node).join("identity");
            wait_until("the node has an identity", || identity.exists().then_some(()));
            cluster.kill(node);
        }
        for node in (0..3).filter(|node| round == 5 || round % 3 == *node) {
            cluster.start(node);
        }
        cluster.wait_for_leader();
        (0..3).for_each(|node| drop(cluster.node(node).change("set k v")));
        cluster.wait_until_equal();
    }
}

/// Writes on all nodes, kills some of them meanwhile, and continues for a while on the others.
fn write_and_kill(cluster: &mut Cluster, round: usize, killed: &[usize]) -> Vec<Write> {
    let stop = AtomicBool::new(false);
    let counts: [AtomicUsize; 3] = Default::default();
    let count = |node: usize| counts[node].load(Ordering::Relaxed);
    let mut processes: Vec<Process> = (0..3).map(|node| cluster.take(node)).collect();
    let victims: Vec<_> = killed.iter().map(|node| processes[*node].signaller()).collect();

    let written = thread::scope(|scope| {
        let writers: Vec<_> = processes
            .iter_mut()
            .enumerate()
            .map(|(node, process)| {
                let (stop, count) = (&stop, &counts[node]);
                let survives = !killed.contains(&node);
                scope.spawn(move || write(process, WriteId { node, round, number: 0 }, survives, stop, count))
            })
            .collect();
        wait_until("writes are acknowledged at all nodes", || {
            (0..3).all(|node| count(node) >= WRITES_MIN).then_some(())
        });
        // All signals are sent before waiting for any process to end.
        victims.iter().for_each(|signal| signal(Signal::SIGKILL));
        for survivor in (0..3).filter(|node| !killed.contains(node)) {
            let before = count(survivor);
            wait_until("writes are acknowledged at the survivors", || {
                (count(survivor) >= before + WRITES_MIN).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer's check failed")).collect()
    });

    for (node, process) in processes.into_iter().enumerate() {
        match killed.contains(&node) {
            // Dropping it waits until it ends and its port and directory are free.
            true => drop(process),
            false => cluster.put(node, process),
        }
    }
    written
}

/// Writes until `stop` is set or the process ends; returns the acknowledged writes.
fn write(
    process: &mut Process,
    first: WriteId,
    survives: bool,
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = WriteId { number, ..first };
        let value = id.to_string();
        let key = if number % 4 == 0 { format!("own-{value}") } else { SHARED.to_owned() };
        process.send(&format!("set {key} {value}"));
        let Some(answer) = process.next_answer() else {
            assert!(!survives, "the process ended at write {id}; its stderr:\n{}", process.stderr());
            break;
        };
        // The last line of a killed process may be truncated.
        match Changed::parse(&answer) {
            Some(changed) => writes.push(Write { key, value, changed }),
            None => assert!(!survives, "write {id}: {answer}; its stderr:\n{}", process.stderr()),
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    writes
}

fn check(cluster: &mut Cluster, writes: &[Write], round: usize) {
    // After a linearizable read a node has everything that was acknowledged before.
    for node in 0..3 {
        let read = cluster.node(node).ask("get --linearizable shared");
        assert!(read.starts_with("value="), "round {round}: {read}");
    }
    cluster.wait_until_equal();
    for node in 0..3 {
        let process = cluster.node(node);
        let model = ReferenceModel::replay(&process.log());
        for Write { key, value, changed } in writes {
            let at = format!("round {round}, node {node}, index {}", changed.index);
            let effect = model.effects.get(&changed.index);
            assert_eq!(effect, Some(&(key.clone(), value.clone(), changed.previous.clone())), "{at}");
            if key != SHARED {
                assert_eq!(process.ask(&format!("get {key}")), format!("value=\"{value}\""), "{at}");
            }
        }
        let shared = model.data.get(SHARED).expect("all writers set it");
        assert_eq!(process.ask("get shared"), format!("value=\"{shared}\""), "round {round}, node {node}");
    }
}

/// The state and the effects of a log in which each write takes effect once.
///
/// A retried write may be in the log twice. A writer waits for each answer, so its writes take effect in the order of
/// their ids: an entry whose id is not above the writer's last one is a duplicate, or a late write of a killed process.
#[derive(Default)]
struct ReferenceModel {
    data: BTreeMap<String, String>,
    /// By index: key, new value, previous value.
    effects: BTreeMap<u64, (String, String, Option<String>)>,
}

impl ReferenceModel {
    fn replay(log: &[(u64, String)]) -> ReferenceModel {
        let mut model = ReferenceModel::default();
        let mut last: BTreeMap<usize, WriteId> = BTreeMap::new();
        for (index, what) in log.iter().filter(|(_, what)| what != "no-op") {
            let arguments = what.strip_prefix("set(\"").and_then(|rest| rest.strip_suffix("\")"));
            let arguments = arguments.and_then(|arguments| arguments.split_once("\", \""));
            let (key, value) = arguments
                .unwrap_or_else(|| panic!("the entry at index {index} is not one of the writes: {what}"));
            let id = WriteId::parse(value);
            if last.get(&id.node).is_none_or(|last| *last < id) {
                last.insert(id.node, id);
                let previous = model.data.insert(key.to_owned(), value.to_owned());
                model.effects.insert(*index, (key.to_owned(), value.to_owned(), previous));
            }
        }
        model
    }
}

/// Identifies a write, and is also its value. Ordered as its writer sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct WriteId {
    node: usize,
    round: usize,
    number: usize,
}

impl WriteId {
    fn parse(value: &str) -> WriteId {
        let mut parts = value.split('-').map(|part| part.parse().expect("ids are numbers"));
        let mut part = || parts.next().expect("ids have three parts");
        WriteId { node: part(), round: part(), number: part() }
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.node, self.round, self.number)
    }
}
