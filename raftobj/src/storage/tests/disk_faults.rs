//! The disk fails a call, and the process learns of it.

use super::script::{Step, random_life, run, short_life};
use super::*;

const FAULTS: [DiskFault; 3] = [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short];

/// After any fault the node is started again on the same machine; then the power is cut, and nothing that was
/// not synced since survives. What the first start showed must be there (it may have been acknowledged).
fn survives(life: &[Step], call: u64, fault: DiskFault, context: &dyn Fn() -> String) {
    let disk = SimDisk::new();
    disk.fail_at(call, fault);
    let mut told = run(&disk, life);
    disk.restart();
    drop(told.check_start(&disk, context));
    disk.cut_power(&mut |_| false);
    told.check_start(&disk, context);
}

// Rules 3, 4 and 19. If it breaks, a bad disk loses what was acknowledged, or a full one does.
#[test]
fn every_call_may_fail_in_every_way() {
    let life = short_life();
    let disk = SimDisk::new();
    run(&disk, &life);
    for call in 0..disk.calls() {
        for fault in FAULTS {
            survives(&life, call, fault, &|| format!("{fault:?} at call {call}"));
        }
    }
}

#[test]
fn random_lives_survive_a_random_fault() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let life = random_life(&mut random, 40);
        let fault = FAULTS[random.below(3) as usize];
        survives(&life, random.below(170), fault, &|| format!("seed {seed}"));
    }
}

// SIGKILL at any moment: the page cache lives on, and is not the disk. If it breaks, what a node shows after a
// kill is gone after a power cut.
#[test]
fn the_process_may_be_killed_at_every_call() {
    let life = short_life();
    let disk = SimDisk::new();
    run(&disk, &life);
    for call in 0..disk.calls() {
        let context = || format!("killed at call {call}");
        let disk = SimDisk::new();
        disk.power_off_at(call);
        let mut told = run(&disk, &life);
        disk.restart();
        let mut started = told.check_start(&disk, &context);
        assert_eq!(started.recovered.torn_tail, None, "{}: a kill tears nothing", context());
        for _ in 0..3 {
            let next = started.wal.last_index().next().0;
            let batch = vec![entry(next, 9, 2500)];
            started.wal.append(&batch).unwrap();
            started.wal.sync().unwrap();
            told.appended.push(batch);
            told.synced += 1;
        }
        disk.cut_power(&mut |_| false);
        told.check_start(&disk, &context);
    }
}

// Planted bug 22: a sync that is tried again succeeds, and the data is gone.
#[test]
fn after_a_failed_sync_the_log_is_closed_and_the_file_not_touched() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 100)]).unwrap();
    disk.fail_at(disk.calls(), DiskFault::Io);
    let error = started.wal.sync().unwrap_err();
    assert!(matches!(error, WalError::Failed(_)));
    assert!(error.to_string().contains("/data/wal-0000000000000001"), "{error}");
    let before = (disk.calls(), disk.snapshot());
    for _ in 0..3 {
        assert!(matches!(started.wal.sync(), Err(WalError::Closed(_))));
        assert!(matches!(started.wal.append(&[entry(2, 1, 100)]), Err(WalError::Closed(_))));
    }
    assert_eq!((disk.calls(), disk.snapshot()), before);
}

// The page cache shows what a failed sync did not bring to the disk: it is written once more before it counts.
#[test]
fn what_a_failed_sync_left_in_the_page_cache_is_durable_once_a_start_has_shown_it() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 2000), vote(1, Some(2))]).unwrap();
    disk.fail_at(disk.calls(), DiskFault::Io);
    started.wal.sync().unwrap_err();
    disk.restart();
    let shown = Model::of(&start(&disk).unwrap().recovered);
    assert_eq!(shown.entries.len(), 1);
    disk.cut_power(&mut |_| false);
    assert_eq!(Model::of(&start(&disk).unwrap().recovered), shown);
}

#[test]
fn a_job_that_fails_costs_nothing_until_the_segment_is_needed() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 3000)]).unwrap();
    let job = started.wal.prepare_next().unwrap();
    disk.fail_at(disk.calls() + 2, DiskFault::NoSpace);
    let prepared = job.run();
    assert!(prepared.result.is_err());
    started.wal.install_prepared(prepared).unwrap();
    assert!(started.wal.prepare_next().is_none(), "it is not tried over and over");
    started.wal.append(&[entry(2, 1, 3000)]).unwrap();
    started.wal.sync().unwrap();
    assert!(started.wal.prepare_next().is_some());
    let names = disk.list(dir()).unwrap().unwrap();
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
}

// Breaks: an error that was passed over; what the disk has is then not what the node believes.
#[test]
fn whatever_fails_is_told() {
    /// Every call that `act` makes after `before` fails once.
    fn told<T>(before: impl Fn(&SimDisk) -> T, act: impl Fn(&SimDisk, &mut T) -> bool) -> u64 {
        let disk = SimDisk::new();
        let mut with = before(&disk);
        let (first, held) = (disk.calls(), act(&disk, &mut with));
        let calls = disk.calls() - first;
        assert!(held && calls > 0);
        for call in 0..calls {
            let disk = SimDisk::new();
            let mut with = before(&disk);
            disk.fail_at(first + call, DiskFault::Io);
            assert!(!act(&disk, &mut with), "call {call} of {calls} failed, and nobody was told");
        }
        calls
    }
    let nearly_full = |disk: &SimDisk| {
        let mut started = start(disk).unwrap();
        started.wal.append(&[entry(1, 1, 3000)]).unwrap();
        started
    };
    told(|_| (), |disk, ()| start(disk).is_ok());
    told(|disk| drop(nearly_full(disk)), |disk, ()| start(disk).is_ok());
    let calls = told(nearly_full, |_, started| started.directory.begin_boot().is_ok());
    assert_eq!(calls, 6, "remove what an earlier try left, create, write, sync, rename, sync the name");
    let calls = told(nearly_full, |_, started| started.wal.append(&[entry(2, 1, 3000)]).is_ok());
    assert_eq!(
        calls, 11,
        "sync; remove, create, header, zeros, sync; rename, sync the name, open; opening, batch"
    );
}
