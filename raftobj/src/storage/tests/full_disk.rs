//! A disk without free space: the log neither closes nor loses anything, and continues when there is space again.

use super::*;
use crate::marks::{Counts, Mark};

/// A log with a reserve of the size of a segment, with the next segment prepared and the reserve made.
fn start_with_reserve(disk: &SimDisk) -> StartedStorage {
    let options = WalOptions { reserve_bytes: SMALL.segment_bytes, ..SMALL };
    let mut directory = Directory::open(disk.clone(), dir(), options, new_identity()).unwrap();
    let owner = directory.begin_boot().unwrap();
    let (mut wal, recovered) = Wal::open(disk.clone(), dir(), owner, options).unwrap();
    prepare_all(&mut wal);
    StartedStorage { directory, wal, recovered }
}

/// Runs the background jobs that are due, each once.
fn prepare_all(wal: &mut Wal<SimDisk>) {
    for _ in 0..2 {
        if let Some(job) = wal.prepare_next() {
            wal.install_prepared(job.run()).unwrap();
        }
    }
}

/// Appends and syncs entries from `next` on, one at a time, until the disk has no space for one. Returns its index.
fn append_until_full(wal: &mut Wal<SimDisk>, mut next: u64) -> u64 {
    loop {
        match wal.append(&[entry(next, 1, 900)]) {
            Ok(()) => wal.sync().unwrap(),
            Err(WalError::NoSpace { written: 0, source }) => {
                assert!(source.is_no_space(), "{source}");
                return next;
            }
            other => panic!("{other:?}"),
        }
        prepare_all(wal);
        next += 1;
        assert!(next < 1_000, "the disk never gets full");
    }
}

// Breaks: a node on a full disk stops, and equal nodes stop together; or a part of a batch is written and acknowledged.
#[test]
fn a_full_disk_leaves_the_log_open_and_it_continues_when_there_is_space() {
    let disk = SimDisk::new();
    let mut started = start_with_reserve(&disk);
    let wal = &mut started.wal;
    wal.append(&[entry(1, 1, 100)]).unwrap();
    prepare_all(wal);
    assert!(!wal.is_short_of_space());
    disk.set_full(true);
    let next = append_until_full(wal, 2);
    assert!(wal.is_short_of_space());
    assert_eq!(segments(&disk).len(), 3, "the active segment, the prepared one, and the reserve");
    for _ in 0..3 {
        let before = disk.snapshot();
        assert!(matches!(wal.append(&[entry(next, 1, 900)]), Err(WalError::NoSpace { written: 0, .. })));
        wal.sync().unwrap();
        prepare_all(wal);
        assert_eq!(disk.snapshot(), before, "a try leaves nothing behind");
    }
    disk.set_full(false);
    prepare_all(wal);
    assert!(!wal.is_short_of_space());
    wal.append(&[entry(next, 1, 900)]).unwrap();
    wal.sync().unwrap();
    drop(started);
    disk.cut_power(&mut |_| false);
    assert_eq!(start(&disk).unwrap().recovered.entries.len() as u64, next);
}

// Breaks: records of a write that was taken in part are written twice, or not at all.
#[test]
fn a_write_that_was_taken_in_part_continues_behind_it() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 100)]).unwrap();
    disk.set_full(true);
    // Two frames: the first is as long as frames get, and too long for the disk.
    let records = [entry(2, 1, 100), entry(3, 1, 100), entry(4, 1, 9_000)];
    let Err(WalError::NoSpace { written, .. }) = started.wal.append(&records) else { panic!("it has space") };
    assert_eq!(started.wal.last_index(), Index(1 + written as u64));
    disk.set_full(false);
    started.wal.append(&records[written..]).unwrap();
    started.wal.sync().unwrap();
    drop(started);
    disk.cut_power(&mut |_| false);
    assert_eq!(start(&disk).unwrap().recovered.entries.len(), 4);
}

// Breaks: a node whose disk is full cannot be started, so a full disk takes the cluster down at the next restart.
#[test]
fn a_node_starts_again_and_again_on_a_full_disk() {
    let disk = SimDisk::new();
    let mut started = start_with_reserve(&disk);
    started.wal.append(&[entry(1, 1, 100)]).unwrap();
    disk.set_full(true);
    append_until_full(&mut started.wal, 2);
    drop(started);
    Counts::take();
    for boot in 2..10 {
        disk.restart();
        let started = start(&disk).unwrap();
        assert_eq!(started.directory.identity().boot, Boot(boot));
        assert!(started.directory.was_full());
    }
    assert_eq!(Counts::take().of(Mark::ReserveReleased), 8);
}

// Breaks: in the middle of taking the reserve, a power cut loses acknowledged entries or leaves a log that is refused.
#[test]
fn a_power_cut_at_every_call_while_the_reserve_is_taken_loses_nothing() {
    let prepared = || {
        let disk = SimDisk::new();
        let mut started = start_with_reserve(&disk);
        started.wal.append(&[entry(1, 1, 2_900)]).unwrap();
        started.wal.sync().unwrap();
        prepare_all(&mut started.wal);
        started.wal.append(&[entry(2, 1, 2_900)]).unwrap();
        started.wal.sync().unwrap();
        disk.set_full(true);
        (disk, started)
    };
    let take = |started: &mut StartedStorage| {
        started.wal.append(&[entry(3, 1, 2_900)]).and_then(|()| started.wal.sync())
    };
    let (disk, mut started) = prepared();
    let first = disk.calls();
    take(&mut started).unwrap();
    let last = disk.calls();
    assert_eq!(segments(&disk).len(), 3);
    for call in first..=last {
        for keep in [true, false] {
            let (disk, mut started) = prepared();
            disk.power_off_at(call);
            let acknowledged = take(&mut started).is_ok();
            assert_eq!(acknowledged, call == last);
            drop(started);
            disk.cut_power(&mut |_| keep);
            let found = start(&disk).unwrap_or_else(|error| panic!("call {call}: {error}")).recovered.entries;
            assert!(found.len() >= 2 + usize::from(acknowledged), "call {call}: {} entries", found.len());
        }
    }
}

// Breaks: a leader refuses calls for ever, although its disk has space again: nothing is left to be prepared that would
// show it.
#[test]
fn a_log_with_nothing_to_prepare_is_not_short_of_space() {
    let io_error_in_the_background = |disk: &SimDisk, wal: &mut Wal<SimDisk>| {
        let job = wal.prepare_next().unwrap();
        disk.fail_at(disk.calls() + 2, DiskFault::Io);
        wal.install_prepared(job.run()).unwrap();
    };
    let prepare = |_: &SimDisk, wal: &mut Wal<SimDisk>| prepare_all(wal);
    type Prepare = fn(&SimDisk, &mut Wal<SimDisk>);
    let cases: [Prepare; 2] = [prepare, io_error_in_the_background];
    for before in cases {
        let disk = SimDisk::new();
        let mut wal = start(&disk).unwrap().wal;
        wal.append(&[entry(1, 1, 100)]).unwrap();
        before(&disk, &mut wal);
        disk.set_full(true);
        // Larger than the prepared segment.
        assert!(matches!(wal.append(&[entry(2, 1, 9_000)]), Err(WalError::NoSpace { written: 0, .. })));
        assert!(wal.is_short_of_space());
        disk.set_full(false);
        assert!(wal.prepare_next().is_none());
        assert!(!wal.is_short_of_space());
        wal.append(&[entry(2, 1, 9_000)]).unwrap();
    }
}
