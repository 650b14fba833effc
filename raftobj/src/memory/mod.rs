//! What a node must not forget: its data directory, as the node asks for it.
//!
//! It joins `node`, which says what is to be durable, with `storage`, which knows how. The driver's thread and the
//! simulator both write through it, one over real files and one over a disk in memory, so that what is simulated is
//! what runs. It never knows who waits for a write, nor what time it is. Begin with [`Opening`].

use crate::node::{FoundingWrite, Remembered};
use crate::raft::{Persist, PersistId};
use crate::storage::disk::Disk;
use crate::storage::wal::PrepareJob;
use crate::storage::{Cut, Directory, Formed, Identity, Newcomer, Options, Owner, Prepared, Record, Wal};
use std::path::{Path, PathBuf};

/// A node's memory, open for writing.
pub(crate) struct Memory<D: Disk> {
    directory: Directory<D>,
    wal: Wal<D>,
}

/// Something to be made durable.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Entries and hard state.
    Persist(Persist),
    /// A step of the founding.
    Founding(FoundingWrite),
}

/// What has become durable: to be told to the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// For [`Node::founding_written`](crate::node::Node::founding_written), in order.
    pub(crate) founding: Vec<FoundingWrite>,
    /// For [`Node::persisted`](crate::node::Node::persisted).
    pub(crate) persisted: Option<PersistId>,
}

/// A locked directory whose node has not started yet: the moment to compare it with what the node was told.
pub(crate) struct Opening<D: Disk> {
    disk: D,
    path: PathBuf,
    options: Options,
    directory: Directory<D>,
}

/// What an opened memory holds.
pub(crate) struct Opened<D: Disk> {
    pub(crate) memory: Memory<D>,
    /// Whose it is, this start counted.
    pub(crate) owner: Owner,
    pub(crate) remembered: Remembered,
    /// A tail that a crash left torn, and that was cut off.
    pub(crate) cut: Option<Cut>,
}

impl<D: Disk> Opening<D> {
    /// Locks the directory; where there is none, it is made for the newcomer.
    ///
    /// # Errors
    /// A sentence that says what to do. Nothing was changed, unless the directory is new.
    pub(crate) fn begin(
        disk: D,
        path: &Path,
        options: Options,
        newcomer: Newcomer,
    ) -> Result<Opening<D>, String> {
        let directory = Directory::open(disk.clone(), path, options, newcomer).map_err(text)?;
        Ok(Opening { disk, path: path.to_owned(), options, directory })
    }

    /// Who the node is.
    pub(crate) fn identity(&self) -> &Identity {
        self.directory.identity()
    }

    /// Counts the start, durably, and reads the log back.
    ///
    /// # Errors
    /// As [`Opening::begin`]: a log that is damaged is refused, and left as it is.
    pub(crate) fn finish(mut self) -> Result<Opened<D>, String> {
        let owner = self.directory.begin_boot().map_err(text)?;
        let (wal, recovered) = Wal::open(self.disk, &self.path, owner, self.options).map_err(text)?;
        let identity = self.directory.identity().clone();
        let remembered = Remembered {
            proposal: identity.proposal,
            formed: identity.formed.map(|formed| formed.membership),
            hard_state: recovered.hard_state,
            entries: recovered.entries,
        };
        let memory = Memory { directory: self.directory, wal };
        Ok(Opened { memory, owner, remembered, cut: recovered.cut })
    }
}

impl<D: Disk> Memory<D> {
    /// One group commit: everything is written, then synced once. `writes` is empty afterwards.
    ///
    /// # Errors
    /// What the disk said. None of `writes` may be told to anybody then, and nothing more can be written.
    pub(crate) fn write(&mut self, writes: &mut Vec<Write>) -> Result<Written, String> {
        let mut records = Vec::new();
        let mut written = Written::default();
        for write in writes.drain(..) {
            match write {
                Write::Persist(persist) => {
                    written.persisted = Some(persist.id);
                    put_records(&mut records, persist);
                }
                Write::Founding(step) => {
                    match &step {
                        FoundingWrite::Proposal(list) => self.directory.propose(list.clone()),
                        FoundingWrite::Formed { membership, cluster } => {
                            self.directory.form(Formed { cluster: *cluster, membership: membership.clone() })
                        }
                    }
                    .map_err(text)?;
                    written.founding.push(step);
                }
            }
        }
        if written.persisted.is_some() {
            self.wal.append(&records).map_err(text)?;
            self.wal.sync().map_err(text)?;
        }
        Ok(written)
    }

    /// For when nothing follows a write: see [`Wal::mark_idle`].
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn mark_idle(&mut self) -> Result<(), String> {
        self.wal.mark_idle().map_err(text)
    }

    /// See [`Wal::prepare_next`].
    pub(crate) fn prepare_next(&mut self) -> Option<PrepareJob<D>> {
        self.wal.prepare_next()
    }

    /// See [`Wal::prepared`].
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn prepared(&mut self, prepared: Prepared) -> Result<(), String> {
        self.wal.prepared(prepared).map_err(text)
    }
}

/// A write of the protocol as the log takes it.
pub(crate) fn put_records(records: &mut Vec<Record>, persist: Persist) {
    records.extend(persist.hard_state.map(Record::HardState));
    records.extend(persist.entries.into_iter().map(Record::Entry));
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::{HardState, Incarnation, NodeId, Term};
    use crate::storage::disk::sim::{Fault, SimDisk};

    fn memory(disk: &SimDisk) -> Memory<SimDisk> {
        let newcomer = Newcomer {
            node: NodeId(1),
            incarnation: Incarnation(2),
            object: "Object".into(),
            address: "a:1".into(),
            founding: vec!["a:1".into()],
        };
        let opening = Opening::begin(disk.clone(), Path::new("/data"), Options::default(), newcomer);
        opening.unwrap().finish().unwrap().memory
    }

    fn vote(term: u64) -> Vec<Write> {
        let hard_state = Some(HardState { term: Term(term), voted_for: None });
        vec![Write::Persist(Persist { id: PersistId(term), hard_state, entries: Vec::new() })]
    }

    // Breaks: damage to the last batch of a quiet night is taken for a torn write; or each full segment is waited for.
    #[test]
    fn an_idle_log_is_marked_and_its_next_segment_made() {
        let disk = SimDisk::new();
        let mut memory = memory(&disk);
        assert_eq!(memory.write(&mut vote(1)).unwrap().persisted, Some(PersistId(1)));
        let before = disk.calls();
        memory.mark_idle().unwrap();
        assert_eq!(disk.calls(), before + 1);
        let prepared = memory.prepare_next().unwrap().run();
        memory.prepared(prepared).unwrap();
        let names = disk.list(Path::new("/data")).unwrap().unwrap();
        assert_eq!(names.last().unwrap(), "wal-0000000000000002");
    }

    // Breaks: a node goes on over a disk that has failed.
    #[test]
    fn what_fails_is_told_with_the_name_of_the_file() {
        type Act = fn(&mut Memory<SimDisk>, &dyn Fn()) -> Result<(), String>;
        let acts: [Act; 3] = [
            |memory, fail| {
                fail();
                memory.write(&mut vote(2)).map(drop)
            },
            |memory, fail| {
                fail();
                memory.mark_idle()
            },
            |memory, fail| {
                let prepared = memory.prepare_next().unwrap().run();
                fail();
                memory.prepared(prepared)
            },
        ];
        for act in acts {
            let disk = SimDisk::new();
            let mut memory = memory(&disk);
            memory.write(&mut vote(1)).unwrap();
            let error = act(&mut memory, &|| disk.fail_at(disk.calls(), Fault::Io)).unwrap_err();
            assert!(error.contains("/data/wal-"), "{error}");
        }
    }
}
