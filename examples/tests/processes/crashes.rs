//! SIGKILL while writes flow.
//!
//! Every write has a value of its own, so that what a node has says which writes took effect. A writer sets two
//! kinds of keys: some of its own, which must be found on every node afterwards, and one that all share. A write to
//! that one prints the value that it replaced; a write that took effect twice, with another in between, makes it
//! another value than that of the naive twin, which replays the log.

use crate::cluster::Cluster;
use crate::harness::{Changed, Process, wait_until};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const ROUNDS: usize = 20;
/// Acknowledged writes of a node before somebody is killed, and of a survivor afterwards.
const WRITES_MIN: usize = 10;

/// A write that was acknowledged.
#[derive(Clone, Debug)]
struct Write {
    key: String,
    value: String,
    changed: Changed,
}

/// The key that all write.
const SHARED: &str = "shared";

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victims {
    Leader,
    Follower,
    All,
}

/// If it fails, an acknowledged write is lost, is not where it was said to be, or took effect twice.
#[test]
fn what_was_acknowledged_survives_sigkill_at_its_index_once() {
    // Only a dead majority may let a command fail; elections on a busy machine may not.
    let mut cluster = Cluster::of_three(&["--deadline", "60"]);
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
    assert!(writes.len() >= ROUNDS * 3 * WRITES_MIN, "writes were flowing: {}", writes.len());
}

/// If it fails, a crash at the wrong moment of the first start leaves nodes that never form a cluster.
#[test]
fn a_cluster_forms_although_its_nodes_are_killed_while_they_found_it() {
    for round in 0..6 {
        let mut cluster = Cluster::new(3, &["--deadline", "60"]);
        (0..3).for_each(|node| cluster.start(node));
        // From its first file on, a node may die at any point of the founding.
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
        cluster.wait_until_level();
    }
}

/// Writes on all nodes, kills some of them meanwhile, and goes on for a while on the others.
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
                scope.spawn(move || write(process, Name { node, round, number: 0 }, survives, stop, count))
            })
            .collect();
        wait_until("writes flow on all nodes", || (0..3).all(|node| count(node) >= WRITES_MIN).then_some(()));
        // All signals are sent before any end is waited for.
        victims.iter().for_each(|signal| signal(Signal::SIGKILL));
        for survivor in (0..3).filter(|node| !killed.contains(node)) {
            let before = count(survivor);
            wait_until("writes go on", || (count(survivor) >= before + WRITES_MIN).then_some(()));
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer's check failed")).collect()
    });

    for (node, process) in processes.into_iter().enumerate() {
        match killed.contains(&node) {
            // Dropping it waits for its end: its port and its directory are free then.
            true => drop(process),
            false => cluster.put(node, process),
        }
    }
    written
}

/// Writes until it is told to stop, or the process is gone. What was acknowledged.
fn write(
    process: &mut Process,
    first: Name,
    survives: bool,
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = Name { number, ..first };
        let value = name.to_string();
        let key = if number % 4 == 0 { format!("own-{value}") } else { SHARED.to_owned() };
        process.type_in(&format!("set {key} {value}"));
        let Some(answer) = process.next_answer() else {
            assert!(!survives, "{name} is gone:\n{}", process.told());
            break;
        };
        // The last line of a process that is killed may be cut.
        match Changed::parse(&answer) {
            Some(changed) => writes.push(Write { key, value, changed }),
            None => assert!(!survives, "{name}: {answer}; it told:\n{}", process.told()),
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    writes
}

fn check(cluster: &mut Cluster, writes: &[Write], round: usize) {
    // A linearizable read on each node: after it, it has whatever was acknowledged before.
    for node in 0..3 {
        let read = cluster.node(node).ask("get --linearizable shared");
        assert!(read.starts_with("value="), "round {round}: {read}");
    }
    cluster.wait_until_level();
    for node in 0..3 {
        let process = cluster.node(node);
        let twin = Twin::replay(&process.log());
        for Write { key, value, changed } in writes {
            let at = format!("round {round}, node {node}, index {}", changed.index);
            let effect = twin.effects.get(&changed.index);
            assert_eq!(effect, Some(&(key.clone(), value.clone(), changed.previous.clone())), "{at}");
            if key != SHARED {
                assert_eq!(process.ask(&format!("get {key}")), format!("value=\"{value}\""), "{at}");
            }
        }
        let shared = twin.data.get(SHARED).expect("all write it");
        assert_eq!(process.ask("get shared"), format!("value=\"{shared}\""), "round {round}, node {node}");
    }
}

/// What the entries of a log amount to, if each write takes effect once.
///
/// An entry that was sent again is in the log twice. A writer waits for each answer, so its writes are numbered as
/// they take effect: what does not come after the last one is there again, or is of an earlier life of its process.
#[derive(Default)]
struct Twin {
    data: BTreeMap<String, String>,
    /// At which index, which key got which value, instead of which.
    effects: BTreeMap<u64, (String, String, Option<String>)>,
}

impl Twin {
    fn replay(log: &[(u64, String)]) -> Twin {
        let mut twin = Twin::default();
        let mut last: BTreeMap<usize, Name> = BTreeMap::new();
        for (index, what) in log.iter().filter(|(_, what)| what != "no-op") {
            let arguments = what.strip_prefix("set(\"").and_then(|rest| rest.strip_suffix("\")"));
            let arguments = arguments.and_then(|arguments| arguments.split_once("\", \""));
            let (key, value) = arguments.unwrap_or_else(|| panic!("{index}: nobody wrote {what}"));
            let name = Name::parse(value);
            if last.get(&name.node).is_none_or(|last| *last < name) {
                last.insert(name.node, name);
                let previous = twin.data.insert(key.to_owned(), value.to_owned());
                twin.effects.insert(*index, (key.to_owned(), value.to_owned(), previous));
            }
        }
        twin
    }
}

/// The name of a write, which is also its value. Ordered as its writer makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    node: usize,
    round: usize,
    number: usize,
}

impl Name {
    fn parse(value: &str) -> Name {
        let mut parts = value.split('-').map(|part| part.parse().expect("names have numbers"));
        let mut part = || parts.next().expect("names have three parts");
        Name { node: part(), round: part(), number: part() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.node, self.round, self.number)
    }
}
