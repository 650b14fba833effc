//! A disk without free space: a file system in memory, of two megabytes. It needs root; where it cannot be mounted, the test
//! prints that it is skipped.

use crate::cluster::{Cluster, TempDir, agree, leader, ready, wait_until};
use raftobj::{CallError, NotAppliedReason, UnknownReason};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::process::Command;
use std::time::Duration;

/// A mounted file system. Its directory is removed by its [`TempDir`], later.
struct Mount<'a>(&'a TempDir);

impl Mount<'_> {
    fn new(directory: &TempDir) -> Result<Mount<'_>, String> {
        fs::create_dir_all(&directory.0).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&directory.0);
        let output = mount.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(Mount(directory)),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0.0).status();
    }
}

/// Takes all space that is left.
fn fill(path: &std::path::Path) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[1; 512]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

// Breaks: a full disk stops its node, and all equal nodes together; or none of them can be started again; or somebody must
// restart them when there is space again.
#[test]
fn nodes_on_a_full_disk_elect_read_and_restart_and_continue_when_there_is_space() {
    let directory = TempDir::new();
    let mount = match Mount::new(&directory) {
        Ok(mount) => mount,
        Err(why) => {
            let _ = writeln!(io::stderr(), "SKIPPED, because no file system can be mounted: {why}");
            return;
        }
    };
    let (cluster, mut nodes) = Cluster::start_in(TempDir(directory.0.join("nodes")), 3, |options| {
        options.segment_bytes = 64 << 10;
        options.disk_reserve_bytes = 64 << 10;
    });
    let mut calls = 0;
    assert_eq!(*nodes[0].add("calls").wait().unwrap(), 1);
    calls += 1;
    let has_reserve = |at| cluster.path(at).join("reserve").exists();
    wait_until("every node has its reserve", || (0..3).all(has_reserve).then_some(()));
    let filler = directory.0.join("filler");
    fill(&filler);

    // Each call of 4 KiB is in each log: what the segments have room for is bounded.
    let refused = loop {
        fill(&filler);
        let at = leader(&nodes);
        match nodes[at].measure(&[7; 4 << 10]).deadline(Duration::from_secs(1)).wait() {
            Ok(_) => calls += 1,
            Err(error) => break error,
        }
        assert!(calls < 100, "the disk never gets full");
    };
    assert!(
        matches!(
            refused,
            CallError::NotApplied { reason: NotAppliedReason::DiskNearlyFull, .. }
                | CallError::Unknown { reason: UnknownReason::DiskNearlyFull }
        ),
        "{refused}"
    );
    let at = leader(&nodes);
    assert!(nodes[at].node().status().disk_nearly_full);
    assert_eq!(nodes[at].linearizable().wait().unwrap().count("calls"), 1);

    // A restart of the leader: the others elect one, and it comes back on the full disk.
    drop(nodes.remove(at));
    leader(&nodes);
    nodes.insert(at, cluster.restart(at));
    nodes.iter().for_each(ready);
    for node in &nodes {
        assert_eq!(node.linearizable().wait().unwrap().count("calls"), 1);
        assert_eq!(node.node().status().stop_reason, None);
    }

    fs::remove_file(&filler).unwrap();
    wait_until("no disk is nearly full", || {
        nodes.iter().all(|node| !node.node().status().disk_nearly_full).then_some(())
    });
    assert_eq!(*nodes[at].add("calls").wait().unwrap(), 2);
    agree(&nodes);
    drop((nodes, cluster));
    drop(mount);
}
