//! Data directories: new ones, existing ones, and directories that are not ours.

use super::*;
use crate::marks::{Counts, Mark};

fn open(disk: &SimDisk) -> Result<Directory<SimDisk>, DirectoryError> {
    Directory::open(disk.clone(), dir(), SMALL, new_identity())
}

fn membership() -> Membership {
    let member = |n: u64| (NodeId(n), Member { incarnation: Incarnation(n), address: format!("host:{n}") });
    Membership { members: [member(1), member(2), member(3)].into() }
}

// Rule *durable names*.
#[test]
fn a_new_directory_is_durable_with_all_its_ancestors() {
    let disk = SimDisk::new();
    let path = Path::new("/a/b/c");
    let directory = Directory::open(disk.clone(), path, SMALL, new_identity()).unwrap();
    assert_eq!(directory.identity().node, NodeId(0x1111));
    assert_eq!(directory.identity().boot, Boot(0));
    disk.cut_power(&mut |_| false);
    let other = NewIdentity { node: NodeId(9), incarnation: Incarnation(9), ..new_identity() };
    let mut directory = Directory::open(disk, path, SMALL, other).unwrap();
    assert_eq!(directory.identity().incarnation, Incarnation(0x2222), "an existing directory keeps its ids");
    assert_eq!(directory.begin_boot().unwrap().boot, Boot(1));
}

#[test]
fn proposal_and_formed_cluster_are_durable_on_return() {
    let disk = SimDisk::new();
    let mut directory = open(&disk).unwrap();
    directory.begin_boot().unwrap();
    directory.save_proposal(membership()).unwrap();
    disk.cut_power(&mut |_| false);
    let mut directory = open(&disk).unwrap();
    assert_eq!(directory.identity().proposal, Some(membership()));
    assert_eq!(directory.identity().formed, None);
    let formed = FormedCluster { cluster: 4711, membership: membership() };
    directory.save_formed(formed.clone()).unwrap();
    disk.cut_power(&mut |_| false);
    let directory = open(&disk).unwrap();
    assert_eq!(directory.identity().formed, Some(formed));
    assert_eq!(directory.identity().boot, Boot(1));
    assert_eq!(directory.identity().founding, ["a:1", "b:2"]);
}

// Breaks: a node comes back with another identity or none. Rule *durable names*.
#[test]
fn after_every_power_cut_the_identity_is_the_old_or_the_new_one() {
    for unit_mask in 0..32_u32 {
        for call in 0.. {
            let disk = SimDisk::new();
            let mut directory = open(&disk).unwrap();
            directory.begin_boot().unwrap();
            disk.power_off_at(disk.calls() + call);
            let done = directory.save_proposal(membership()).is_ok();
            disk.cut_power(&mut |unit| unit_mask >> unit.min(31) & 1 == 1);
            let again = open(&disk).unwrap();
            assert_eq!(again.identity().node, NodeId(0x1111));
            assert_eq!(again.identity().boot, Boot(1));
            match &again.identity().proposal {
                None => assert!(!done, "call {call}, kept {unit_mask:b}"),
                Some(proposal) => assert_eq!(proposal, &membership()),
            }
            if done {
                break;
            }
        }
    }
}

// Rule *one owner*.
#[test]
fn a_directory_is_used_by_one_process_at_a_time() {
    let disk = SimDisk::new();
    let directory = open(&disk).unwrap();
    let before = disk.snapshot();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, DirectoryError::Locked { .. }));
    assert!(error.to_string().contains("/data is in use"), "{error}");
    assert_eq!(disk.snapshot(), before);
    drop(directory);
    open(&disk).unwrap();
}

#[test]
fn a_directory_that_is_not_ours_is_refused_and_stays_unchanged() {
    for name in ["thesis.tex", "wal-0000000000000001", "LOCK", "identity.tmp", "wal-x.tmp", ".hidden"] {
        let disk = SimDisk::new();
        disk.create_dir(dir()).unwrap();
        disk.set_bytes(&dir().join(name), b"years of work");
        let before = disk.snapshot();
        let error = open(&disk).unwrap_err();
        assert!(
            matches!(&error, DirectoryError::Foreign { name: found, .. } if found == name),
            "{name}: {error}"
        );
        assert_eq!(disk.snapshot(), before, "{name}");
    }
    // A directory that is ours may contain other files, too.
    let disk = SimDisk::new();
    drop(open(&disk).unwrap());
    disk.set_bytes(&dir().join("notes.txt"), b"mine");
    open(&disk).unwrap();
    assert_eq!(disk.bytes(&dir().join("notes.txt")), b"mine");
}

#[test]
fn an_identity_file_that_is_not_ours_is_refused() {
    let disk = SimDisk::new();
    disk.create_dir(dir()).unwrap();
    disk.set_bytes(&dir().join("identity"), b"Elvis");
    let before = disk.snapshot();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, DirectoryError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("/data/identity"), "{error}");
    assert_eq!(disk.snapshot(), before);

    // Beside an identity of ours, a lock file that is not ours is not changed.
    let disk = SimDisk::new();
    drop(open(&disk).unwrap());
    disk.set_bytes(&dir().join("LOCK"), b"?");
    drop(open(&disk).unwrap());
    assert_eq!(disk.bytes(&dir().join("LOCK")), b"?");
}

// Breaks: a node that lost its identity comes back without its votes. Rule *one owner*.
#[test]
fn a_log_without_an_identity_is_refused() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[vote(1, Some(1))]).unwrap();
    started.wal.sync().unwrap();
    drop(started);
    disk.remove(&dir().join("identity")).unwrap();
    let before = disk.snapshot();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, DirectoryError::Refused { .. }), "{error}");
    assert_eq!(disk.snapshot(), before);
    disk.remove(&dir().join("LOCK")).unwrap();
    assert!(matches!(open(&disk).unwrap_err(), DirectoryError::Refused { .. }));
}

#[test]
fn a_newer_identity_is_reported_as_newer() {
    let disk = SimDisk::new();
    drop(open(&disk).unwrap());
    let path = dir().join("identity");
    let mut bytes = disk.bytes(&path);
    bytes[8] = 2;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..]);
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    disk.set_bytes(&path, &bytes);
    let error = open(&disk).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    assert!(error.to_string().contains("a later one"), "{error}");
}

#[test]
fn a_directory_on_the_real_disk_works_like_a_simulated_one() {
    let path = std::env::temp_dir().join(format!("raftobj-founding-{}", std::process::id()));
    let inner = path.join("deep/data");
    for boot in 1..4 {
        let mut directory = Directory::open(RealDisk, &inner, SMALL, new_identity()).unwrap();
        let second = Directory::open(RealDisk, &inner, SMALL, new_identity());
        assert!(matches!(second, Err(DirectoryError::Locked { .. })));
        let owner = directory.begin_boot().unwrap();
        assert_eq!(owner.boot, Boot(boot));
        let (mut wal, recovered) = Wal::open(RealDisk, &inner, owner, SMALL).unwrap();
        assert_eq!(recovered.entries.len() as u64, 3 * (boot - 1));
        for _ in 0..3 {
            let next = wal.last_index().next().0;
            wal.append(&[entry(next, 1, 2000)]).unwrap();
            wal.sync().unwrap();
        }
        wal.mark_idle().unwrap();
    }
    let report = inspect::verify(&inner).unwrap();
    assert!(report.problems.is_empty(), "{report}");
    assert_eq!(report.entries, Some((Index(1), Index(9))));
    let mut records = 0;
    inspect::dump(&inner, |_| records += 1).unwrap();
    assert!(records > 9);
    assert!(inspect::verify(path.join("nowhere")).is_err());
    std::fs::remove_dir_all(&path).unwrap();
}

// Breaks: a copy of a directory without its lock file is refused because of other files in it; a directory in which a
// crash left only the lock file is refused as foreign.
#[test]
fn the_lock_file_may_be_missing_or_the_only_file() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[vote(1, Some(1))]).unwrap();
    started.wal.sync().unwrap();
    drop(started);
    disk.set_bytes(&dir().join("notes.txt"), b"mine");
    disk.remove(&dir().join("LOCK")).unwrap();
    open(&disk).unwrap();

    let disk = SimDisk::new();
    disk.create_dir(dir()).unwrap();
    disk.create(&dir().join("LOCK")).unwrap();
    Counts::take();
    open(&disk).unwrap();
    assert_eq!(Counts::take().of(Mark::DirectoryBegunAgain), 1);
}

// Breaks: while a node runs, the start of a second one reports damaged or foreign files.
#[test]
fn a_directory_in_use_is_reported_before_anything_else() {
    let disk = SimDisk::new();
    let _running = open(&disk).unwrap();
    disk.set_bytes(&dir().join("identity"), b"Elvis");
    assert!(matches!(open(&disk), Err(DirectoryError::Locked { .. })));
    // Another process is just creating the directory.
    disk.remove(&dir().join("identity")).unwrap();
    disk.set_bytes(&dir().join("thesis.tex"), b"years of work");
    assert!(matches!(open(&disk), Err(DirectoryError::Locked { .. })));
}

// Breaks: a log whose first block was lost is taken for an unused one, and begun again.
#[test]
fn a_segment_is_read_to_its_end_before_it_counts_as_unused() {
    let disk = SimDisk::new();
    let mut started = start(&disk).unwrap();
    started.wal.append(&[entry(1, 1, 3900)]).unwrap();
    drop(started);
    disk.remove(&dir().join("identity")).unwrap();
    let path = dir().join(segment_name(1));
    let mut bytes = disk.bytes(&path);
    bytes.resize(4 * SEGMENT_HEADER_BYTES + 512, 0);
    bytes[SEGMENT_HEADER_BYTES..].fill(0);
    bytes[4 * SEGMENT_HEADER_BYTES + 1] = 1;
    disk.set_bytes(&path, &bytes);
    let before = disk.calls();
    assert!(matches!(open(&disk), Err(DirectoryError::Refused { .. })));
    assert!(disk.calls() - before < 30, "it is read block by block");
}
