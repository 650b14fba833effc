//! What a start does with the log on disk: scan it, refuse damage, repair what a crash left, replay the rest.
//!
//! Everything that [`recover`] returns is durable. After a failed sync the page cache shows bytes that the disk
//! may not have, so each file is synced before it is read, and frames that nothing confirms as synced are
//! written again (rule *sync before reading*).

use super::Owner;
use super::damage::{Problem, TornTail};
use super::disk::{Disk, DiskError, DiskFile};
use super::prepare::{fill_with_zeros, is_tmp};
use super::replay::Replay;
use super::scan::{LogScan, ScanMode, scan};
use crate::marks::mark;
use crate::raft::types::{Entry, HardState, Index};
use std::path::Path;

/// The contents of a log when it was opened.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Term and vote in force.
    pub(crate) hard_state: HardState,
    /// The index of the first entry that the log can hold: earlier ones were released.
    #[allow(dead_code, reason = "it is 1 until snapshots release segments")]
    pub(crate) first: Index,
    /// From `first` on, without gaps. All of them are durable.
    pub(crate) entries: Vec<Entry>,
    /// A torn tail that a crash left. It is cut off now.
    pub(crate) torn_tail: Option<TornTail>,
}

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The disk failed. The log itself may be undamaged.
    #[error("{0}; check the path, its permissions and the disk, then restart the node")]
    Disk(#[from] DiskError),
    /// The log is not as it was written, or belongs to another node. Nothing was changed.
    #[error("{}", problem.refusal())]
    Refused { problem: Problem },
}

/// Reads the log of a locked directory and makes what it returns durable. If there is damage, nothing is changed.
pub(super) fn recover<D: Disk>(
    disk: &D,
    dir: &Path,
    owner: Owner,
) -> Result<(LogScan, Recovered), OpenError> {
    assert!(owner.boot.0 > 0, "the log is opened before the boot is counted");
    // A killed process may have left names that are not durable (rule *durable names*).
    disk.sync_dir(dir)?;
    let mut replay = Replay::default();
    let identity = Some((owner.node, owner.incarnation));
    let mut found =
        scan(disk, dir, identity, ScanMode::Start, &mut |location, stored| replay.take(location, stored))?;
    if !found.problems.is_empty() {
        mark!(DamageRefused);
        return Err(OpenError::Refused { problem: found.problems.remove(0) });
    }
    for name in disk.list(dir)?.unwrap_or_default().iter().filter(|name| is_tmp(name)) {
        mark!(LeftoverRemoved);
        disk.remove(&dir.join(name))?;
    }
    repair(disk, &found)?;

    let cursor = found.cursor;
    assert_eq!(replay.hard_state, cursor.hard_state, "the replay missed a hard state");
    let recovered = Recovered {
        hard_state: replay.hard_state,
        first: cursor.first,
        entries: replay.into_entries(),
        torn_tail: found.torn_tail.clone(),
    };
    let expected = cursor.next.0 - cursor.first.0;
    assert_eq!(recovered.entries.len() as u64, expected, "the replay missed an entry");
    Ok((found, recovered))
}

/// Makes durable what was found: writes unconfirmed frames again and overwrites a torn tail with zeros.
fn repair<D: Disk>(disk: &D, found: &LogScan) -> Result<(), DiskError> {
    for segment in &found.segments {
        let is_torn = found.torn_tail.as_ref().is_some_and(|tail| tail.file == segment.path);
        if !is_torn && segment.unconfirmed.is_empty() {
            continue;
        }
        let file = disk.open(&segment.path)?;
        if !segment.unconfirmed.is_empty() {
            mark!(UnvouchedRewritten);
            let start = segment.end - segment.unconfirmed.len();
            file.write_at(&segment.unconfirmed, start as u64)?;
        }
        if is_torn {
            mark!(TornTailCut);
            fill_with_zeros(&file, segment.end as u64, segment.header.bytes)?;
        }
        file.sync()?;
    }
    Ok(())
}
