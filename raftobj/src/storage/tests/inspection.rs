//! Inspection of a directory: what it reports, and that it changes nothing.

use super::inspect::{DirectoryReport, InspectError, inspect};
use super::scan::{ScanMode, scan};
use super::*;

fn report_of(disk: &SimDisk) -> DirectoryReport {
    inspect(disk, dir(), &mut |_| {}).unwrap()
}

// Breaks: a wrong directory is reported as damaged.
#[test]
fn a_directory_that_is_not_ours_is_not_inspected() {
    let disk = SimDisk::new();
    disk.create_dir(dir()).unwrap();
    disk.set_bytes(&dir().join("thesis.tex"), b"years of work");
    assert!(matches!(inspect(&disk, dir(), &mut |_| {}), Err(InspectError::NoNode { .. })));
    disk.set_bytes(&dir().join("identity"), b"Elvis");
    assert_eq!(report_of(&disk).problems.len(), 2, "the identity is not ours, and there is no log");
}

// Breaks: a node with more segments than it may open files does not start again.
#[cfg(target_os = "linux")]
#[test]
fn reading_a_long_log_holds_one_file_open() {
    let path = std::env::temp_dir().join(format!("raftobj-long-log-{}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    let path = path.canonicalize().unwrap();
    let owner = Owner { node: NodeId(1), incarnation: Incarnation(2), boot: Boot(1) };
    Wal::create(&RealDisk, &path, owner, SMALL).unwrap();
    let (mut wal, _) = Wal::open(RealDisk, &path, owner, SMALL).unwrap();
    (1..=30).for_each(|index| wal.append(&[entry(index, 1, 6_000)]).unwrap());
    drop(wal);
    let (mut highest, mut records) = (0, 0);
    let found = scan(&RealDisk, &path, None, ScanMode::Start, &mut |_, _| {
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let is_ours =
            |file: &std::path::PathBuf| std::fs::read_link(file).is_ok_and(|to| to.starts_with(&path));
        highest = highest.max(open.filter(|file| is_ours(&file.as_ref().unwrap().path())).count());
        records += 1;
    });
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(found.unwrap().segments.len(), 30);
    assert!(records >= 60, "{records} records");
    assert!(highest <= 1, "{highest} files are open");
}

#[test]
fn a_new_log_has_no_entries() {
    let disk = SimDisk::new();
    drop(start(&disk).unwrap());
    assert_eq!(report_of(&disk).entries, None);
}

// Breaks: a copy cannot be inspected; or a directory is inspected although it is unknown whether a node is using it.
#[test]
fn the_lock_file_may_be_missing_but_not_unreadable() {
    let disk = SimDisk::new();
    drop(start(&disk).unwrap());
    disk.fail_at(disk.calls() + 2, DiskFault::Io);
    assert!(matches!(inspect(&disk, dir(), &mut |_| {}), Err(InspectError::Disk(_))));
    disk.remove(&dir().join("LOCK")).unwrap();
    assert!(report_of(&disk).problems.is_empty());
}

// Breaks: an inspection changes what the next power cut loses. Rule *inspection changes nothing*.
#[test]
fn inspection_makes_nothing_durable() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 5)]).unwrap();
    drop(started);
    assert_eq!(report_of(&disk).entries, Some((Index(1), Index(1))));
    disk.cut_power(&mut |_| false);
    assert_eq!(report_of(&disk).entries, None);
}

// What the example `inspect verify` prints.
#[test]
fn a_report_lists_contents_damage_and_what_to_do() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    assert_eq!(
        report_text_of_copy(&disk),
        "node 0000000000001111, incarnation 0000000000002222, started 1 times, not formed\n\
         1 segments, 0 batches, 0 entries written\n\
         no entries, term 0, no vote\n"
    );
    let member = Member { incarnation: Incarnation(0x2222), address: "a:1".into() };
    let membership = Membership { members: [(NodeId(0x1111), member)].into() };
    started.directory.save_formed(FormedCluster { cluster: 9, membership }).unwrap();
    started.wal.append(&[vote(3, Some(7)), entry(1, 2, 5)]).unwrap();
    started.wal.append(&[entry(1, 3, 5)]).unwrap();
    let path = dir().join(segment_name(1));
    let mut bytes = disk.bytes(&path);
    bytes[4300] = 1;
    disk.set_bytes(&path, &bytes);
    disk.set_bytes(&dir().join(segment_name(3)), &bytes);
    assert_eq!(
        report_text_of_copy(&disk),
        "node 0000000000001111, incarnation 0000000000002222, started 1 times, cluster 0000000000000009\n\
         1 segments, 2 batches, 1 entries written\n\
         entries 1 to 1, term 3, vote for 0000000000000007\n\
         torn tail (harmless, the next start cuts it off): /data/wal-0000000000000001 at byte 4240: batch 3 is \
         incomplete and was never synced\n\
         DAMAGED: /data/wal-0000000000000003 at byte 0: segment 2 of the log, which precedes it, is missing\n\
         DAMAGED: /data/wal-0000000000000003 at byte 0: its header names it segment 1 of the log, but its file name \
         does not\n\
         to do: restore the newest contents of this disk, never an older copy: it lacks votes and entries that this \
         node acknowledged (the other nodes continue without this one)\n"
    );
}

/// Inspects a copy, because the original is in use.
fn report_text_of_copy(disk: &SimDisk) -> String {
    let copy = disk.fork();
    copy.restart();
    report_of(&copy).to_string()
}

// Rule *inspection changes nothing*.
#[test]
fn inspection_lists_the_records_and_changes_nothing() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[vote(3, Some(7)), entry(1, 2, 5), entry(2, 2, 5)]).unwrap();
    started.wal.append(&[entry(2, 3, 6)]).unwrap();
    started.wal.sync().unwrap();
    let locked = inspect(&disk, dir(), &mut |_| {});
    assert!(matches!(locked, Err(InspectError::Locked { .. })));
    drop(started);

    let before = disk.snapshot();
    let mut records = Vec::new();
    let report = inspect(&disk, dir(), &mut |record| records.push(record.to_string())).unwrap();
    assert_eq!(disk.snapshot(), before);
    assert_eq!(report.entries, Some((Index(1), Index(2))));
    assert_eq!((report.entries_written, report.batches, report.term.0), (3, 3, 3));
    assert!(report.problems.is_empty() && report.torn_tail.is_none());
    assert_eq!(
        records,
        [
            "wal-0000000000000001 +4096 batch 1: segment opens at entry 1",
            "wal-0000000000000001 +4096 batch 1: term 0, no vote",
            "wal-0000000000000001 +4160 batch 2: term 3, vote for 00000000",
            "wal-0000000000000001 +4160 batch 2: entry 1@2 command of 5 bytes",
            "wal-0000000000000001 +4160 batch 2: entry 2@2 command of 5 bytes",
            "wal-0000000000000001 +4256 batch 3: entry 2@3 command of 6 bytes",
        ]
    );
}
