//! Looking into a directory: what is told, and that nothing is touched.

use super::inspect::{InspectError, Report, inspect};
use super::*;

fn look(disk: &SimDisk) -> Report {
    inspect(disk, dir(), &mut |_| {}).unwrap()
}

// Breaks: a person who names the wrong directory is told of damage.
#[test]
fn a_directory_of_something_else_is_not_looked_into() {
    let disk = SimDisk::new();
    disk.create_dir(dir()).unwrap();
    disk.set_bytes(&dir().join("thesis.tex"), b"years of work");
    assert!(matches!(inspect(&disk, dir(), &mut |_| {}), Err(InspectError::NoNode { .. })));
    disk.set_bytes(&dir().join("identity"), b"Elvis");
    assert_eq!(look(&disk).problems.len(), 2, "it is none of ours, and there is no log");
}

#[test]
fn a_new_log_has_no_entries() {
    let disk = SimDisk::new();
    drop(start(&disk).unwrap());
    assert_eq!(look(&disk).entries, None);
}

// Breaks: a copy cannot be looked into; or a directory is, although nobody could see whether a node uses it.
#[test]
fn a_lock_may_be_missing_and_must_be_readable() {
    let disk = SimDisk::new();
    drop(start(&disk).unwrap());
    disk.fail_at(disk.calls() + 2, DiskFault::Io);
    assert!(matches!(inspect(&disk, dir(), &mut |_| {}), Err(InspectError::Disk(_))));
    disk.remove(&dir().join("LOCK")).unwrap();
    assert!(look(&disk).problems.is_empty());
}

// Breaks: after a look, what nothing had synced survives a power cut, so that a look changes what is there.
#[test]
fn a_look_makes_nothing_durable() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 5)]).unwrap();
    drop(started);
    assert_eq!(look(&disk).entries, Some((Index(1), Index(1))));
    disk.cut_power(&mut |_| false);
    assert_eq!(look(&disk).entries, None);
}

// What the example `inspect verify` prints.
#[test]
fn a_report_says_all_that_was_found() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    assert_eq!(
        look_text(&disk),
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
        look_text(&disk),
        "node 0000000000001111, incarnation 0000000000002222, started 1 times, cluster 0000000000000009\n\
         1 segments, 2 batches, 1 entries written\n\
         entries 1 to 1, term 3, vote for 0000000000000007\n\
         torn tail (harmless, the next start cuts it): /data/wal-0000000000000001 at byte 4240: batch 3 was being \
         written, and never synced\n\
         DAMAGED: /data/wal-0000000000000003 at byte 0: the file before it, number 2 of the log, is missing\n\
         DAMAGED: /data/wal-0000000000000003 at byte 0: by its header it is file number 1 of the log, which is not \
         what its name says\n"
    );
}

/// Looks at a copy: the original is in use.
fn look_text(disk: &SimDisk) -> String {
    let copy = disk.fork();
    copy.restart();
    look(&copy).to_string()
}
