//! What every disk must do: one suite over the real and the simulated disk. Then what only the simulated one does.

use super::disk::DiskFile;
use super::*;

/// A directory of the real disk, removed with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("raftobj-disk-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on_both(name: &str, real: impl Fn(RealDisk, &Path), sim: impl Fn(SimDisk, &Path)) {
    let scratch = Scratch::new(name);
    real(RealDisk, &scratch.0);
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/scratch")).unwrap();
    sim(disk, Path::new("/scratch"));
}

fn files_keep_what_is_written<D: Disk>(disk: D, dir: &Path) {
    let path = dir.join("a");
    let file = disk.create(&path).unwrap();
    assert!(disk.create(&path).is_err(), "create is exclusive");
    file.write_at(b"hello", 0).unwrap();
    file.write_at(b"world", 1000).unwrap();
    file.sync().unwrap();
    assert_eq!(file.len().unwrap(), 1005);
    let mut buffer = [1; 8];
    file.read_at(&mut buffer, 997).unwrap();
    assert_eq!(&buffer, b"\0\0\0world", "a gap reads as zeros");
    assert!(file.read_at(&mut buffer, 998).is_err(), "a read beyond the end is an error, not a short read");
    let again = disk.open(&path).unwrap();
    again.write_at(b"J", 0).unwrap();
    file.read_at(&mut buffer[..6], 0).unwrap();
    assert_eq!(&buffer[..6], b"Jello\0", "two handles are one file");
    let read_only = disk.open_read(&path).unwrap();
    assert!(read_only.write_at(b"x", 0).is_err());
    read_only.read_at(&mut buffer, 0).unwrap();
}

fn names_are_created_renamed_and_removed<D: Disk>(disk: D, dir: &Path) {
    let inside = dir.join("inside");
    assert_eq!(disk.list(&inside).unwrap(), None);
    disk.create_dir(&inside).unwrap();
    disk.create_dir(&inside).expect("another node may have just created it");
    disk.sync_dir(dir).unwrap();
    assert_eq!(disk.list(&inside).unwrap(), Some(vec![]));
    disk.create(&inside.join("b")).unwrap().write_at(b"b", 0).unwrap();
    disk.create(&inside.join("a")).unwrap().write_at(b"aa", 0).unwrap();
    assert_eq!(disk.list(&inside).unwrap(), Some(vec!["a".to_owned(), "b".to_owned()]));
    disk.rename(&inside.join("a"), &inside.join("b")).unwrap();
    assert_eq!(disk.open(&inside.join("b")).unwrap().len().unwrap(), 2, "rename replaces");
    disk.sync_dir(&inside).unwrap();
    let file = inside.join("b");
    assert!(disk.create_dir(&file).is_err(), "a file is not a directory");
    assert!(disk.list(&file).is_err(), "a file is not a missing directory");
    assert!(!disk.create(&file).err().unwrap().is_missing());
    disk.remove(&file).unwrap();
    assert_eq!(disk.list(&inside).unwrap(), Some(vec![]));
}

fn errors_name_operation_and_path<D: Disk>(disk: D, dir: &Path) {
    let missing = dir.join("missing");
    for (error, operation) in [
        (disk.open(&missing).err().unwrap(), "open"),
        (disk.open_read(&missing).err().unwrap(), "open"),
        (disk.rename(&missing, &dir.join("to")).err().unwrap(), "rename"),
        (disk.remove(&missing).err().unwrap(), "remove"),
        (disk.sync_dir(&missing).err().unwrap(), "sync directory"),
        (disk.create(&missing.join("below")).err().unwrap(), "create"),
        (disk.create_dir(&missing.join("below")).err().unwrap(), "create directory"),
    ] {
        assert!(error.is_missing(), "{error}");
        assert_eq!(error.operation, operation);
        assert!(error.path.starts_with(&missing));
        assert!(error.to_string().contains("missing"));
    }
}

fn a_lock_is_held_by_one_handle_until_it_is_dropped<D: Disk>(disk: D, dir: &Path) {
    let path = dir.join("lock");
    let first = disk.create(&path).unwrap();
    let second = disk.open_read(&path).unwrap();
    assert!(first.try_lock().unwrap());
    assert!(!second.try_lock().unwrap());
    drop(first);
    assert!(second.try_lock().unwrap());
}

fn a_full_disk_says_so<F: DiskFile>(file: &F) {
    let error = file.write_at(&[1; 8192], 4096).unwrap_err();
    assert!(error.is_no_space() && !error.is_missing(), "{error}");
}

// `/dev/full` is a disk without space.
#[test]
fn both_disks_report_that_they_are_full() {
    a_full_disk_says_so(&RealDisk.open(Path::new("/dev/full")).unwrap());
    let disk = SimDisk::new();
    let file = disk.create(Path::new("/f")).unwrap();
    file.write_at(&[1; 4096], 0).unwrap();
    disk.set_free_bytes(Some(8191));
    a_full_disk_says_so(&file);
    file.write_at(&[2; 4096], 0).expect("the space of the file is its own");
    disk.remove(Path::new("/f")).unwrap();
    let file = disk.create(Path::new("/g")).unwrap();
    file.write_at(&[1; 8191 + 4096], 0).expect("a removed file frees its space");
    a_full_disk_says_so(&file);
}

#[test]
fn both_disks_read_back_what_was_written() {
    on_both("files", files_keep_what_is_written, files_keep_what_is_written);
}

#[test]
fn both_disks_create_rename_and_remove_names() {
    on_both("names", names_are_created_renamed_and_removed, names_are_created_renamed_and_removed);
}

#[test]
fn both_disks_name_the_failed_operation_and_path() {
    on_both("errors", errors_name_operation_and_path, errors_name_operation_and_path);
}

#[test]
fn both_disks_lock() {
    let check = a_lock_is_held_by_one_handle_until_it_is_dropped::<SimDisk>;
    on_both("locks", a_lock_is_held_by_one_handle_until_it_is_dropped, check);
}

// Breaks: the tests that cut the power prove nothing.
#[test]
fn a_power_cut_keeps_what_was_synced_and_what_the_test_chose() {
    let disk = SimDisk::new();
    let file = disk.create(Path::new("/f")).unwrap();
    file.write_at(&[1; 600], 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_at(&[2; 600], 0).unwrap();
    assert_eq!(disk.unsynced_units(), 2, "a write to two sectors");
    disk.cut_power(&mut |unit| unit == 1);
    let bytes = disk.bytes(Path::new("/f"));
    assert_eq!((&bytes[..512], &bytes[512..]), (&[1; 512][..], &[2; 88][..]));
    assert!(file.write_at(b"x", 0).is_err(), "handles die with their process");
}

#[test]
fn a_name_is_lost_unless_its_directory_was_synced() {
    let disk = SimDisk::new();
    let file = disk.create(Path::new("/tmp")).unwrap();
    file.write_at(b"x", 0).unwrap();
    file.sync().unwrap();
    disk.rename(Path::new("/tmp"), Path::new("/final")).unwrap();
    let all = disk.fork();
    all.cut_power(&mut |_| true);
    assert_eq!(all.bytes(Path::new("/final")), b"x");
    disk.cut_power(&mut |_| false);
    assert_eq!(disk.list(Path::new("/")).unwrap(), Some(vec![]));
}

#[test]
fn after_a_failed_sync_a_later_one_covers_only_later_writes() {
    let disk = SimDisk::new();
    let file = disk.create(Path::new("/f")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_at(b"old", 0).unwrap();
    disk.fail_at(disk.calls(), DiskFault::Io);
    assert!(file.sync().is_err());
    file.write_at(b"new", 3).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.bytes(Path::new("/f")), b"oldnew", "the page cache still shows the old write");
    disk.cut_power(&mut |_| false);
    assert_eq!(disk.bytes(Path::new("/f")), b"\0\0\0new");
}

#[test]
fn a_short_write_writes_half() {
    let disk = SimDisk::new();
    let file = disk.create(Path::new("/f")).unwrap();
    disk.fail_at(disk.calls(), DiskFault::Short);
    assert!(file.write_at(b"12345678", 0).is_err());
    assert_eq!(disk.bytes(Path::new("/f")), b"1234");
    file.write_at(b"12345678", 0).unwrap();
}

// Breaks: a sync does nothing. No test can see what reaches the disk, but this one sees that the operating system is
// called: `/dev/null` cannot be synced, and the call fails.
#[test]
fn the_real_disk_calls_the_operating_system_to_sync() {
    let file = RealDisk.open(Path::new("/dev/null")).unwrap();
    assert_eq!(file.sync().unwrap_err().operation, "sync");
}
