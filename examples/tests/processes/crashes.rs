//! SIGKILL while writes flow.
//!
//! Every write has a value of its own, so that what a node has says which writes took effect. Each writer sets
//! two kinds of keys in turn:
//! - a key of its own for each write: it must be found on every node afterwards;
//! - the one key that all share. Each write to it prints the value that it replaced, and no value may be replaced
//!   twice: a write that took effect twice would be.

use crate::harness::{Changed, Cluster, Process, wait_until};
use std::collections::{BTreeMap, BTreeSet, HashSet};
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

/// Writes on all nodes, kills some of them meanwhile, and goes on for a while on the others.
fn write_and_kill(cluster: &mut Cluster, round: usize, killed: &[usize]) -> Vec<Write> {
    let stop = AtomicBool::new(false);
    let counts: [AtomicUsize; 3] = Default::default();
    let count = |node: usize| counts[node].load(Ordering::Relaxed);
    let mut processes: Vec<Process> = (0..3).map(|node| cluster.take(node)).collect();
    let killers: Vec<_> = killed.iter().map(|node| processes[*node].killer()).collect();

    let written = thread::scope(|scope| {
        let writers: Vec<_> = processes
            .iter_mut()
            .enumerate()
            .map(|(node, process)| {
                let (stop, count) = (&stop, &counts[node]);
                let survives = !killed.contains(&node);
                scope.spawn(move || write(process, &format!("{round}-{node}"), survives, stop, count))
            })
            .collect();
        wait_until("writes flow on all nodes", || (0..3).all(|node| count(node) >= WRITES_MIN).then_some(()));
        // All signals are sent before any end is waited for.
        killers.iter().for_each(|kill| kill());
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
    name: &str,
    survives: bool,
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let value = format!("{name}-{number}");
        let key = if number % 2 == 0 { format!("own-{value}") } else { "shared".to_owned() };
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
    // A read through the leader: after it, and level, all nodes have whatever was acknowledged before.
    for node in 0..3 {
        let read = cluster.node(node).ask("get --linearizable shared");
        assert!(read.starts_with("value="), "round {round}: {read}");
    }
    cluster.wait_until_level();
    for node in 0..3 {
        let process = cluster.node(node);
        let log: BTreeMap<u64, String> = process.log().into_iter().collect();
        for Write { key, value, changed } in writes {
            let entry = log.get(&changed.index).map(String::as_str);
            let expected = format!("set(\"{key}\", \"{value}\")");
            assert_eq!(entry, Some(&*expected), "round {round}, node {node}, index {}", changed.index);
        }
        for Write { key, value, .. } in writes.iter().filter(|write| write.key != "shared") {
            assert_eq!(
                process.ask(&format!("get {key}")),
                format!("value=\"{value}\""),
                "round {round}, node {node}"
            );
        }
    }

    let mut indexes = HashSet::new();
    assert!(writes.iter().all(|write| indexes.insert(write.changed.index)), "an index was printed twice");
    for write in writes.iter().filter(|write| write.key != "shared") {
        assert_eq!(write.changed.previous, None, "{write:?} found its own value: it took effect before");
    }
    let mut shared: Vec<&Write> = writes.iter().filter(|write| write.key == "shared").collect();
    shared.sort_by_key(|write| write.changed.index);
    let mut replaced = BTreeSet::new();
    for write in &shared {
        if let Some(previous) = &write.changed.previous {
            assert!(
                replaced.insert(previous),
                "round {round}: {previous} was replaced twice, the second time by {write:?}"
            );
        }
    }
    // What was acknowledged was there to be replaced, by a write that was acknowledged or by one that was not.
    let acknowledged: BTreeSet<&String> = shared.iter().map(|write| &write.value).collect();
    for pair in shared.windows(2) {
        let previous = pair[1].changed.previous.as_ref().expect("somebody wrote before");
        let unacknowledged = !acknowledged.contains(previous);
        assert!(*previous == pair[0].value || unacknowledged, "round {round}: {pair:?}");
    }
}
