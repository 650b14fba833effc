//! The power is cut between any two calls, and any subset of what was not synced survives.

use super::script::{Step, Told, random_life, run, short_life};
use super::*;

/// Up to so many unsynced units every subset is tried; beyond, a sample.
const UNITS_EXHAUSTIVE: usize = 11;

/// How many calls a life makes when nothing fails.
fn calls_of(life: &[Step]) -> u64 {
    let disk = SimDisk::new();
    run(&disk, life);
    disk.calls()
}

/// The subsets to try of so many units.
fn subsets(units: usize, random: &mut Random) -> Vec<Vec<bool>> {
    if units <= UNITS_EXHAUSTIVE {
        return (0..1_u32 << units)
            .map(|mask| (0..units).map(|unit| mask >> unit & 1 == 1).collect())
            .collect();
    }
    let mut subsets = vec![vec![false; units], vec![true; units]];
    for _ in 0..60 {
        // One lost of all, one kept of all, and a coin each.
        let one = random.below(units as u64) as usize;
        subsets.push((0..units).map(|unit| unit != one).collect());
        subsets.push((0..units).map(|unit| unit == one).collect());
        subsets.push((0..units).map(|_| random.below(2) == 0).collect());
    }
    subsets
}

fn again(told: &Told) -> Told {
    Told { appended: told.appended.clone(), ..*told }
}

/// Goes on after a recovery: what is written then must be durable as ever.
fn goes_on(disk: &SimDisk, told: &mut Told, mut started: Started, context: &dyn Fn() -> String) {
    let term = started.recovered.hard_state.term.0 + 100;
    let next = started.wal.last_index().next().0;
    let batch = vec![vote(term, Some(5)), entry(next, term, 60)];
    started.wal.append(&batch).unwrap();
    started.wal.sync().unwrap();
    told.appended.push(batch);
    told.synced = told.appended.len();
    drop(started);
    disk.cut_power(&mut |_| false);
    told.check_start(disk, context);
}

// STORAGE.md rule 19. If it breaks, acknowledged writes or votes are lost, or made up, by a power cut.
#[test]
fn at_every_call_any_subset_of_what_was_unsynced_may_survive() {
    let life = short_life();
    let mut random = Random(1);
    let mut cases = 0;
    for call in 0..=calls_of(&life) {
        let disk = SimDisk::new();
        disk.power_off_at(call);
        let told = run(&disk, &life);
        for keep in subsets(disk.unsynced_units(), &mut random) {
            let context = || format!("power off at call {call}, kept {keep:?}");
            let (disk, mut told) = (disk.fork(), again(&told));
            disk.cut_power(&mut |unit| keep[unit]);
            let started = told.check_start(&disk, &context);
            // What was shown may be acknowledged now: a second cut must not take it back.
            drop(started);
            disk.cut_power(&mut |_| false);
            let started = told.check_start(&disk, &context);
            goes_on(&disk, &mut told, started, &context);
            cases += 1;
        }
    }
    assert!(cases > 1500, "only {cases} cases");
}

// If it breaks, a second power cut while the first is being repaired loses what the first did not.
#[test]
fn the_power_may_fail_again_during_recovery() {
    let life = short_life();
    let calls = calls_of(&life);
    for seed in 0..1500 {
        let mut random = Random(seed);
        let context = || format!("seed {seed}");
        let disk = SimDisk::new();
        disk.power_off_at(random.below(calls));
        let mut told = run(&disk, &life);
        disk.cut_power(&mut |_| random.below(2) == 0);
        for _ in 0..3 {
            disk.power_off_at(disk.calls() + random.below(40));
            // It may succeed: then what it shows is told.
            if let Ok(started) = start(&disk) {
                let batches =
                    told.check(&started.recovered).unwrap_or_else(|error| panic!("{}: {error}", context()));
                told.appended.truncate(batches);
                told.synced = batches;
                told.boot = started.directory.identity().boot;
            }
            disk.cut_power(&mut |_| random.below(2) == 0);
        }
        let started = told.check_start(&disk, &context);
        goes_on(&disk, &mut told, started, &context);
    }
}

#[test]
fn random_lives_survive_random_power_cuts() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let life = random_life(&mut random, 40);
        let context = || format!("seed {seed}");
        let disk = SimDisk::new();
        disk.power_off_at(20 + random.below(150));
        let mut told = run(&disk, &life);
        let bias = 1 + random.below(4);
        disk.cut_power(&mut |_| random.below(bias + 1) < bias);
        let started = told.check_start(&disk, &context);
        goes_on(&disk, &mut told, started, &context);
    }
}

// Rule 6. If it breaks, every crash under load makes a node that refuses to start.
#[test]
fn a_lost_batch_under_a_later_one_of_the_same_commit_is_a_torn_tail() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 10)]).unwrap();
    started.wal.sync().unwrap();
    started.wal.append(&[entry(2, 1, 1000)]).unwrap();
    started.wal.append(&[entry(3, 1, 1000)]).unwrap();
    let units = disk.unsynced_units();
    // The first sectors go, with the head of the second batch; the third batch is whole.
    disk.cut_power(&mut |unit| unit >= units - 3);
    let report = inspect::inspect(&disk, dir(), &mut |_| {}).unwrap();
    assert!(report.problems.is_empty());
    let started = start(&disk).unwrap();
    assert_eq!(started.wal.last_index(), Index(1));
    let cut = started.recovered.torn_tail.unwrap();
    assert_eq!(Some(&cut), report.torn_tail.as_ref());
    assert_eq!((cut.file, cut.batch), (dir().join(segment_name(1)), 3));
    drop(started.directory);
    assert_eq!(start(&disk).unwrap().recovered.torn_tail, None, "a tail is cut once");
}
