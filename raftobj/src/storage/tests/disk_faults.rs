//! A call to the disk fails, and the process sees the error.

use super::script::{Step, random_script, run, short_script};
use super::*;

const FAULTS: [DiskFault; 3] = [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short];

/// After the fault the node is started again on the same machine. Then the power is cut, and only what was synced
/// survives. What the first start found must be among it, because it may have been acknowledged.
fn check_survives(script: &[Step], call: u64, fault: DiskFault, context: &dyn Fn() -> String) {
    let disk = SimDisk::new();
    disk.fail_at(call, fault);
    let mut expected = run(&disk, script);
    disk.restart();
    drop(expected.check_start(&disk, context));
    disk.cut_power(&mut |_| false);
    expected.check_start(&disk, context);
}

// Breaks: a failing or full disk loses what was acknowledged. Rule *an error closes the log*.
#[test]
fn every_call_may_fail_in_every_way() {
    let script = short_script();
    let disk = SimDisk::new();
    run(&disk, &script);
    for call in 0..disk.calls() {
        for fault in FAULTS {
            check_survives(&script, call, fault, &|| format!("{fault:?} at call {call}"));
        }
    }
}

#[test]
fn random_scripts_survive_a_random_fault() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let script = random_script(&mut random, 40);
        let fault = FAULTS[random.below(3) as usize];
        check_survives(&script, random.below(170), fault, &|| format!("seed {seed}"));
    }
}

// SIGKILL at any moment: the page cache survives, but is not the disk. Breaks: what a node shows after a kill is lost
// in a power cut. Rule *sync before reading*.
#[test]
fn the_process_may_be_killed_at_every_call() {
    let script = short_script();
    let disk = SimDisk::new();
    run(&disk, &script);
    for call in 0..disk.calls() {
        let context = || format!("killed at call {call}");
        let disk = SimDisk::new();
        disk.power_off_at(call);
        let mut expected = run(&disk, &script);
        disk.restart();
        let mut started = expected.check_start(&disk, &context);
        assert_eq!(started.recovered.torn_tail, None, "{}: a kill leaves no torn tail", context());
        for _ in 0..3 {
            let next = started.wal.last_index().next().0;
            let batch = vec![entry(next, 9, 2500)];
            started.wal.append(&batch).unwrap();
            started.wal.sync().unwrap();
            expected.appended.push(batch);
            expected.synced += 1;
        }
        disk.cut_power(&mut |_| false);
        expected.check_start(&disk, &context);
    }
}

// Breaks: a sync is retried and succeeds, but the data is lost. Rule *an error closes the log*.
#[test]
fn a_failed_sync_closes_the_log_and_the_file_stays_unchanged() {
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

// The page cache shows what a failed sync did not write to the disk. It is written again before it counts. Rule *sync
// before reading*.
#[test]
fn a_start_makes_durable_what_a_failed_sync_left_in_the_page_cache() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 2000), vote(1, Some(2))]).unwrap();
    disk.fail_at(disk.calls(), DiskFault::Io);
    started.wal.sync().unwrap_err();
    disk.restart();
    let shown = NaiveLog::of(&start(&disk).unwrap().recovered);
    assert_eq!(shown.entries.len(), 1);
    disk.cut_power(&mut |_| false);
    assert_eq!(NaiveLog::of(&start(&disk).unwrap().recovered), shown);
}

#[test]
fn a_failed_prepare_job_is_no_error_until_the_segment_is_needed() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 3000)]).unwrap();
    let job = started.wal.prepare_next().unwrap();
    disk.fail_at(disk.calls() + 2, DiskFault::Io);
    let prepared = job.run();
    assert!(prepared.result.is_err());
    started.wal.install_prepared(prepared).unwrap();
    assert!(started.wal.prepare_next().is_none(), "it is not retried in the background");
    started.wal.append(&[entry(2, 1, 3000)]).unwrap();
    started.wal.sync().unwrap();
    assert!(started.wal.prepare_next().is_some());
    let names = disk.list(dir()).unwrap().unwrap();
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
}

// Breaks: an error is ignored, and the node believes to be on disk what is not.
#[test]
fn every_failure_is_reported() {
    /// Makes each call of `act` fail once, after `before`. Returns how many calls there are.
    fn check_reported<T>(before: impl Fn(&SimDisk) -> T, act: impl Fn(&SimDisk, &mut T) -> bool) -> u64 {
        let disk = SimDisk::new();
        let mut with = before(&disk);
        let (first, succeeded) = (disk.calls(), act(&disk, &mut with));
        let calls = disk.calls() - first;
        assert!(succeeded && calls > 0);
        for call in 0..calls {
            let disk = SimDisk::new();
            let mut with = before(&disk);
            disk.fail_at(first + call, DiskFault::Io);
            assert!(!act(&disk, &mut with), "call {call} of {calls} failed, but no error was returned");
        }
        calls
    }
    let nearly_full = |disk: &SimDisk| {
        let mut started = start(disk).unwrap();
        started.wal.append(&[entry(1, 1, 3000)]).unwrap();
        started
    };
    check_reported(|_| (), |disk, ()| start(disk).is_ok());
    check_reported(|disk| drop(nearly_full(disk)), |disk, ()| start(disk).is_ok());
    let calls = check_reported(nearly_full, |_, started| started.directory.begin_boot().is_ok());
    assert_eq!(calls, 6, "remove an old temporary file, create, write, sync, rename, sync the directory");
    let calls = check_reported(nearly_full, |_, started| started.wal.append(&[entry(2, 1, 3000)]).is_ok());
    assert_eq!(
        calls, 11,
        "sync; remove, create, header, zeros, sync; rename, sync the directory, open; opening, batch"
    );
}
