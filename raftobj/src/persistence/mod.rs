//! The persistent state of a node: its data directory, written as the node asks.
//!
//! It joins `node`, which decides what must be durable, with `storage`, which makes it durable. The driver's WAL thread and
//! the simulator both write through it: one to real files, one to a disk in memory. So the simulator runs the code that
//! users run. It never knows who waits for a write, nor what time it is. Begin with [`Opening`].

use crate::node::{FoundingWrite, PersistentState};
use crate::planted::planted;
use crate::raft::{Persist, PersistId};
use crate::storage::PrepareJob;
use crate::storage::disk::Disk;
use crate::storage::wal::WalError;
use crate::storage::{
    Directory, FormedCluster, Identity, NewIdentity, Owner, PreparedSegment, Record, TornTail, Wal,
    WalOptions,
};
use std::path::{Path, PathBuf};

/// A node's data directory, open for writing.
pub(crate) struct Writer<D: Disk> {
    directory: Directory<D>,
    wal: Wal<D>,
    /// Records that the log has not taken, because the disk has no space. The node's windows bound them: what is not
    /// acknowledged keeps them closed.
    waiting: Vec<Record>,
    /// The last of the writes that they complete.
    waiting_id: Option<PersistId>,
}

/// Something to make durable.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Entries and hard state.
    Persist(Persist),
    /// A step of the founding.
    Founding(FoundingWrite),
}

/// What has become durable. The node must be notified.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// For [`Node::founding_written`](crate::node::Node::founding_written), in order.
    pub(crate) founding: Vec<FoundingWrite>,
    /// For [`Node::persisted`](crate::node::Node::persisted).
    pub(crate) persisted: Option<PersistId>,
}

/// A locked data directory, before its node starts. Now its identity can be checked.
pub(crate) struct Opening<D: Disk> {
    disk: D,
    path: PathBuf,
    options: WalOptions,
    directory: Directory<D>,
}

/// What an opened data directory holds.
pub(crate) struct Opened<D: Disk> {
    pub(crate) writer: Writer<D>,
    /// The node that it belongs to; its boot is this start.
    pub(crate) owner: Owner,
    pub(crate) persistent_state: PersistentState,
    /// The end of the log that a crash had torn, and that was cut off.
    pub(crate) torn_tail: Option<TornTail>,
    /// Whether the disk had no space for this start, so that a reserve was used.
    pub(crate) disk_was_full: bool,
}

impl<D: Disk> Opening<D> {
    /// Locks the directory. If there is none, it is created with `new_identity`.
    ///
    /// # Errors
    /// A sentence that names the remedy. Nothing was changed, unless the directory is new.
    pub(crate) fn begin(
        disk: D,
        path: &Path,
        options: WalOptions,
        new_identity: NewIdentity,
    ) -> Result<Opening<D>, String> {
        let directory = Directory::open(disk.clone(), path, options, new_identity).map_err(sentence)?;
        Ok(Opening { disk, path: path.to_owned(), options, directory })
    }

    /// The node that the directory belongs to.
    pub(crate) fn identity(&self) -> &Identity {
        self.directory.identity()
    }

    /// Counts the start, durably, and reads the log back.
    ///
    /// # Errors
    /// Like [`Opening::begin`]. A damaged log is refused and not changed.
    pub(crate) fn finish(mut self) -> Result<Opened<D>, String> {
        let owner = self.directory.begin_boot().map_err(sentence)?;
        let (wal, recovered) = Wal::open(self.disk, &self.path, owner, self.options).map_err(sentence)?;
        let identity = self.directory.identity().clone();
        let persistent_state = PersistentState {
            proposal: identity.proposal,
            formed: identity.formed.map(|formed| formed.membership),
            hard_state: recovered.hard_state,
            entries: recovered.entries,
        };
        let disk_was_full = self.directory.was_full();
        let writer = Writer { directory: self.directory, wal, waiting: Vec::new(), waiting_id: None };
        Ok(Opened { writer, owner, persistent_state, torn_tail: recovered.torn_tail, disk_was_full })
    }
}

impl<D: Disk> Writer<D> {
    /// One group commit: writes everything, then syncs once. `writes` is empty afterwards. Without space on the disk, entries
    /// and hard state wait for [`Writer::retry`], and those of later writes behind them.
    ///
    /// # Errors
    /// The error of the disk. Then none of `writes` may be acknowledged, and nothing can be written any more.
    pub(crate) fn write(&mut self, writes: &mut Vec<Write>) -> Result<Written, String> {
        let was_waiting = self.is_waiting();
        let mut written = Written::default();
        for write in writes.drain(..) {
            match write {
                Write::Persist(persist) => {
                    self.waiting_id = Some(persist.id);
                    put_records(&mut self.waiting, persist);
                }
                Write::Founding(step) => {
                    match &step {
                        FoundingWrite::Proposal(list) => self.directory.save_proposal(list.clone()),
                        FoundingWrite::Formed { membership, cluster } => self
                            .directory
                            .save_formed(FormedCluster { cluster: *cluster, membership: membership.clone() }),
                    }
                    .map_err(sentence)?;
                    written.founding.push(step);
                }
            }
        }
        if !was_waiting {
            written.persisted = self.commit()?;
        }
        Ok(written)
    }

    /// Writes what waits for space, if there is some now.
    ///
    /// # Errors
    /// Like [`Writer::write`].
    pub(crate) fn retry(&mut self) -> Result<Written, String> {
        Ok(Written { founding: Vec::new(), persisted: self.commit()? })
    }

    /// Whether writes wait for space on the disk.
    fn is_waiting(&self) -> bool {
        self.waiting_id.is_some()
    }

    /// Whether the disk is nearly full (see [`Wal::is_short_of_space`]), or writes wait for space.
    pub(crate) fn is_short_of_space(&self) -> bool {
        self.wal.is_short_of_space() || self.is_waiting()
    }

    /// Appends and syncs everything that waits. Returns the last write that is complete.
    fn commit(&mut self) -> Result<Option<PersistId>, String> {
        let Some(last) = self.waiting_id else { return Ok(None) };
        match self.wal.append(&self.waiting) {
            Err(WalError::NoSpace { written, .. }) => {
                self.waiting.drain(..written);
                return Ok(planted!(AcknowledgedWithoutSpace).then_some(last));
            }
            appended => appended.map_err(sentence)?,
        }
        self.wal.sync().map_err(sentence)?;
        self.waiting = Vec::new();
        self.waiting_id = None;
        Ok(Some(last))
    }

    /// To call when no writes are queued: see [`Wal::mark_idle`].
    ///
    /// # Errors
    /// The error of the disk.
    pub(crate) fn mark_idle(&mut self) -> Result<(), String> {
        self.wal.mark_idle().map_err(sentence)
    }

    /// See [`Wal::prepare_next`].
    pub(crate) fn prepare_next(&mut self) -> Option<PrepareJob<D>> {
        self.wal.prepare_next()
    }

    /// See [`Wal::install_prepared`].
    ///
    /// # Errors
    /// The error of the disk.
    pub(crate) fn install_prepared(&mut self, prepared: PreparedSegment) -> Result<(), String> {
        self.wal.install_prepared(prepared).map_err(sentence)
    }
}

/// Appends the records of a write of the protocol: the hard state first, then the entries.
pub(crate) fn put_records(records: &mut Vec<Record>, persist: Persist) {
    records.extend(persist.hard_state.map(Record::HardState));
    records.extend(persist.entries.into_iter().map(Record::Entry));
}

fn sentence(error: impl std::error::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::{HardState, Incarnation, NodeId, Term};
    use crate::storage::disk::sim::{DiskFault, SimDisk};

    fn writer(disk: &SimDisk) -> Writer<SimDisk> {
        let new_identity = NewIdentity {
            node: NodeId(1),
            incarnation: Incarnation(2),
            object: "Object".into(),
            address: "a:1".into(),
            founding: vec!["a:1".into()],
        };
        let opening = Opening::begin(disk.clone(), Path::new("/data"), WalOptions::default(), new_identity);
        opening.unwrap().finish().unwrap().writer
    }

    fn vote(term: u64) -> Vec<Write> {
        let hard_state = Some(HardState { term: Term(term), voted_for: None });
        vec![Write::Persist(Persist { id: PersistId(term), hard_state, entries: Vec::new() })]
    }

    // Breaks: after a quiet night, damage to the last batch is taken for a torn write; or writes wait for each new segment.
    #[test]
    fn an_idle_log_is_marked_and_its_next_segment_prepared() {
        let disk = SimDisk::new();
        let mut writer = writer(&disk);
        assert_eq!(writer.write(&mut vote(1)).unwrap().persisted, Some(PersistId(1)));
        let before = disk.calls();
        writer.mark_idle().unwrap();
        assert_eq!(disk.calls(), before + 1);
        let prepared = writer.prepare_next().unwrap().run();
        writer.install_prepared(prepared).unwrap();
        let names = disk.list(Path::new("/data")).unwrap().unwrap();
        assert_eq!(names.last().unwrap(), "wal-0000000000000002");
    }

    // Breaks: a node goes on after its disk has failed.
    #[test]
    fn an_error_of_the_disk_names_the_file() {
        type Act = fn(&mut Writer<SimDisk>, &dyn Fn()) -> Result<(), String>;
        let acts: [Act; 3] = [
            |writer, fail| {
                fail();
                writer.write(&mut vote(2)).map(drop)
            },
            |writer, fail| {
                fail();
                writer.mark_idle()
            },
            |writer, fail| {
                let prepared = writer.prepare_next().unwrap().run();
                fail();
                writer.install_prepared(prepared)
            },
        ];
        for act in acts {
            let disk = SimDisk::new();
            let mut writer = writer(&disk);
            writer.write(&mut vote(1)).unwrap();
            let error = act(&mut writer, &|| disk.fail_at(disk.calls(), DiskFault::Io)).unwrap_err();
            assert!(error.contains("/data/wal-"), "{error}");
        }
    }
}
