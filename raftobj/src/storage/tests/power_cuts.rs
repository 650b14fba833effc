//! The power is cut between any two calls, and any subset of the unsynced writes survives.

use super::script::{Expected, Step, random_script, run, short_script};
use super::*;

/// Up to this number of unsynced units every subset is tried; beyond it, a sample.
const UNITS_EXHAUSTIVE: usize = 11;

/// How many calls a script makes if nothing fails.
fn calls_of(script: &[Step]) -> u64 {
    let disk = SimDisk::new();
    run(&disk, script);
    disk.calls()
}

/// The subsets of so many units that are tried.
fn subsets(units: usize, random: &mut Random) -> Vec<Vec<bool>> {
    if units <= UNITS_EXHAUSTIVE {
        return (0..1_u32 << units)
            .map(|mask| (0..units).map(|unit| mask >> unit & 1 == 1).collect())
            .collect();
    }
    let mut subsets = vec![vec![false; units], vec![true; units]];
    for _ in 0..60 {
        // All but one unit, only one unit, and each unit by chance.
        let one = random.below(units as u64) as usize;
        subsets.push((0..units).map(|unit| unit != one).collect());
        subsets.push((0..units).map(|unit| unit == one).collect());
        subsets.push((0..units).map(|_| random.below(2) == 0).collect());
    }
    subsets
}

fn copy(expected: &Expected) -> Expected {
    Expected { appended: expected.appended.clone(), ..*expected }
}

/// After a recovery, what is written and synced is durable as before.
fn check_writes_are_durable(
    disk: &SimDisk,
    expected: &mut Expected,
    mut started: StartedStorage,
    context: &dyn Fn() -> String,
) {
    let term = started.recovered.hard_state.term.0 + 100;
    let next = started.wal.last_index().next().0;
    let batch = vec![vote(term, Some(5)), entry(next, term, 60)];
    started.wal.append(&batch).unwrap();
    started.wal.sync().unwrap();
    expected.appended.push(batch);
    expected.synced = expected.appended.len();
    drop(started);
    disk.cut_power(&mut |_| false);
    expected.check_start(disk, context);
}

// Breaks: a power cut loses acknowledged writes or votes, or makes up others.
#[test]
fn any_subset_of_unsynced_writes_may_survive_a_power_cut_at_every_call() {
    let script = short_script();
    let mut random = Random(1);
    let mut cases = 0;
    for call in 0..=calls_of(&script) {
        let disk = SimDisk::new();
        disk.power_off_at(call);
        let expected = run(&disk, &script);
        for keep in subsets(disk.unsynced_units(), &mut random) {
            let context = || format!("power off at call {call}, kept {keep:?}");
            let (disk, mut expected) = (disk.fork(), copy(&expected));
            disk.cut_power(&mut |unit| keep[unit]);
            let started = expected.check_start(&disk, &context);
            // What a start has shown may be acknowledged: a second power cut must not lose it.
            drop(started);
            disk.cut_power(&mut |_| false);
            let started = expected.check_start(&disk, &context);
            check_writes_are_durable(&disk, &mut expected, started, &context);
            cases += 1;
        }
    }
    assert!(cases > 1500, "only {cases} cases");
}

// Breaks: a power cut during the repair loses what an earlier power cut did not lose.
#[test]
fn the_power_may_fail_again_during_recovery() {
    let script = short_script();
    let calls = calls_of(&script);
    for seed in 0..1500 {
        let mut random = Random(seed);
        let context = || format!("seed {seed}");
        let disk = SimDisk::new();
        disk.power_off_at(random.below(calls));
        let mut expected = run(&disk, &script);
        disk.cut_power(&mut |_| random.below(2) == 0);
        for _ in 0..3 {
            disk.power_off_at(disk.calls() + random.below(40));
            // If the start succeeds, what it shows may be acknowledged.
            if let Ok(started) = start(&disk) {
                let batches = expected
                    .check(&started.recovered)
                    .unwrap_or_else(|error| panic!("{}: {error}", context()));
                expected.appended.truncate(batches);
                expected.synced = batches;
                expected.boot = started.directory.identity().boot;
            }
            disk.cut_power(&mut |_| random.below(2) == 0);
        }
        let started = expected.check_start(&disk, &context);
        check_writes_are_durable(&disk, &mut expected, started, &context);
    }
}

#[test]
fn random_scripts_survive_random_power_cuts() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let script = random_script(&mut random, 40);
        let context = || format!("seed {seed}");
        let disk = SimDisk::new();
        disk.power_off_at(20 + random.below(150));
        let mut expected = run(&disk, &script);
        let bias = 1 + random.below(4);
        disk.cut_power(&mut |_| random.below(bias + 1) < bias);
        let started = expected.check_start(&disk, &context);
        check_writes_are_durable(&disk, &mut expected, started, &context);
    }
}

// Breaks: a node that crashes under load refuses to start. Rule *synced watermark*.
#[test]
fn a_batch_lost_before_a_later_one_of_the_same_sync_is_a_torn_tail() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 10)]).unwrap();
    started.wal.sync().unwrap();
    started.wal.append(&[entry(2, 1, 1000)]).unwrap();
    started.wal.append(&[entry(3, 1, 1000)]).unwrap();
    let units = disk.unsynced_units();
    // The first sectors are lost, with the beginning of the second entry's batch. The third entry's batch is whole.
    disk.cut_power(&mut |unit| unit >= units - 3);
    let report = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap();
    assert!(report.problems.is_empty());
    let started = start(&disk).unwrap();
    assert_eq!(started.wal.last_index(), Index(1));
    let tail = started.recovered.torn_tail.unwrap();
    assert_eq!(Some(&tail), report.torn_tail.as_ref());
    assert_eq!((tail.file, tail.batch), (dir().join(segment_name(1)), 3));
    drop(started.directory);
    assert_eq!(start(&disk).unwrap().recovered.torn_tail, None, "a tail is cut off once");
}
