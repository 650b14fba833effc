//! A machine: a disk, and while it is up a process with a whole node on it.
//!
//! The node, its writer and its object are those that the driver runs. Here queues surround them, which wait for events.
//! What is durable is also recorded in a second, simple form ([`Durable`]); every restart is checked against it.

use crate::calls::{CallId, ReadTicket};
use crate::codec::message::Message;
use crate::hash::mix;
use crate::node::status::Leadership;
use crate::node::{FoundingWrite, Node, PersistentState};
use crate::object::Object;
use crate::object::lock::StateLock;
use crate::object::machine::{Applied, Machine};
use crate::persistence::{Opened, Opening, Write, Writer, Written, put_records};
use crate::raft::PersistId;
use crate::raft::types::{Entry, HardState, Incarnation, Index, NodeId, Ticks};
use crate::replica::builder::{machine_config, node_config};
use crate::sim::operation::OperationId;
use crate::sim::oracle::chain::{ChainedEntry, Durable, chained};
use crate::sim::oracle::replicas::Divergence;
use crate::sim::random::Random;
use crate::sim::schedule::setup::Setup;
use crate::sim::violation::ensure;
use crate::storage::PrepareJob;
use crate::storage::disk::sim::SimDisk;
use crate::storage::{NewIdentity, Record, WalOptions};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A machine.
pub(crate) struct Server<T: Object> {
    pub(crate) number: usize,
    pub(crate) disk: SimDisk,
    pub(crate) process: Option<Process<T>>,
    pub(crate) durable: Durable,
    /// What was durable before the last write, and that write: damage to it may look like a torn write.
    pub(crate) before_last_write: (Durable, Vec<Record>),
    /// Records of a write that did not complete: the next start decides which of them are durable.
    pub(crate) unconfirmed: Vec<Record>,
    /// The founding write among them.
    pub(crate) unconfirmed_founding: Option<FoundingWrite>,
    /// The disk hangs: it completes nothing.
    pub(crate) hung: bool,
    /// The disk has no space left.
    pub(crate) full: bool,
    /// A fault of the disk's next write or start: the call, and the kind of the fault.
    pub(crate) next_fault: Option<(u8, u8)>,
    /// How the disk was lost, if it was.
    pub(crate) lost: Option<Loss>,
    /// The node id on its present disk, once a process has started from it.
    pub(crate) node: Option<NodeId>,
    /// What was durable on the disk that was lost: leaders have counted it.
    pub(crate) lost_durable: Option<Durable>,
    /// Which of the machine's disks this is, from 1.
    pub(crate) disk_number: u64,
    /// The number of processes that were started. It identifies the present one.
    pub(crate) lives: u64,
    /// The rate of its ticks, in percent of the right one.
    pub(crate) rate_percent: u64,
    /// Hundredths of a tick that have passed since the last tick.
    pub(crate) tick_hundredths: u64,
    /// By how much its clock is ahead of the right time, in milliseconds.
    pub(crate) clock_ahead_ms: i64,
}

/// How a disk was lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It was replaced by an empty one.
    Wiped,
    /// It is damaged, and no node starts from it.
    Damaged,
}

/// A process, from its start to its end.
pub(crate) struct Process<T: Object> {
    pub(crate) node: Node,
    pub(crate) id: NodeId,
    pub(crate) writer: Writer<SimDisk>,
    pub(crate) machine: Machine<T>,
    pub(crate) state: Arc<StateLock<T>>,
    pub(crate) writes: VecDeque<Write>,
    pub(crate) committed: VecDeque<Vec<Entry>>,
    /// Reports of the disk and the object that the node has not received yet.
    pub(crate) reports: VecDeque<ThreadReport>,
    /// Whether a turn of the engine has begun and not ended.
    pub(crate) in_turn: bool,
    /// Messages that have arrived in this turn: the node gets the reports of the threads first.
    pub(crate) inbox: Vec<(NodeId, Message)>,
    /// The job that creates the next segment of the log.
    pub(crate) preparing: Option<PrepareJob<SimDisk>>,
    /// The log as the node holds it, durable or not.
    pub(crate) log: Vec<ChainedEntry>,
    pub(crate) commit: Index,
    /// The last index that the node has passed to the object.
    pub(crate) applying: Index,
    /// The last index that the object has applied.
    pub(crate) applied: Index,
    pub(crate) hard_state: HardState,
    pub(crate) calls: BTreeMap<CallId, Pending>,
    pub(crate) reads: BTreeMap<ReadTicket, Pending>,
    pub(crate) ticks: Ticks,
    pub(crate) paused: bool,
    /// Whether its disk has failed: nothing more is written.
    pub(crate) disk_failed: bool,
    /// Whether its node has been asked to stop.
    pub(crate) stop_requested: bool,
    /// Whether its replica differs from the others', and how.
    pub(crate) divergence: Option<Divergence>,
    /// Whether its membership was checked, which never changes.
    pub(crate) membership_checked: bool,
}

/// A report of one of the other threads to the engine.
#[derive(Clone, Debug)]
pub(crate) enum ThreadReport {
    FoundingWritten(FoundingWrite),
    Persisted(PersistId),
    Applied(Applied),
    DiskSpace { is_short: bool },
    Failed(String),
}

/// An operation that has not ended, and its deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) operation: OperationId,
    pub(crate) deadline: Ticks,
}

const DIRECTORY: &str = "/data";

pub(crate) fn address(number: usize) -> String {
    format!("n{number}:1")
}

impl<T: Object> Server<T> {
    pub(crate) fn new(number: usize) -> Server<T> {
        Server {
            number,
            disk: SimDisk::new(),
            process: None,
            durable: Durable::default(),
            before_last_write: (Durable::default(), Vec::new()),
            unconfirmed: Vec::new(),
            unconfirmed_founding: None,
            hung: false,
            full: false,
            next_fault: None,
            lost: None,
            node: None,
            lost_durable: None,
            disk_number: 1,
            lives: 0,
            rate_percent: 100,
            tick_hundredths: 0,
            clock_ahead_ms: 0,
        }
    }

    /// The id of the node on its present disk.
    pub(crate) fn id(&self, seed: u64) -> NodeId {
        self.node.unwrap_or(NodeId(mix(mix(seed, self.number as u64), self.disk_number)))
    }

    /// Opens the directory, as a starting node does.
    pub(crate) fn open(&self, disk: &SimDisk, setup: &Setup) -> Result<Opened<SimDisk>, String> {
        let id = self.id(setup.seed);
        let new_identity = NewIdentity {
            node: id,
            incarnation: Incarnation(mix(id.0, 1)),
            object: T::NAME.to_owned(),
            address: address(self.number),
            founding: founders(setup),
        };
        let segment_bytes = setup.limits.segment_bytes.max(5 << 10);
        let options = WalOptions { segment_bytes, reserve_bytes: segment_bytes };
        Opening::begin(disk.clone(), Path::new(DIRECTORY), options, new_identity)?.finish()
    }

    /// Starts a process. With `dies_at` the machine loses power at that call to the disk.
    ///
    /// # Errors
    /// The reason why the node does not start.
    pub(crate) fn start(&mut self, setup: &Setup, object: T, dies_at: Option<u64>) -> Result<(), String> {
        assert!(self.process.is_none(), "machine {} is up", self.number);
        if let Some(calls) = dies_at {
            self.disk.power_off_at(self.disk.calls() + calls);
        }
        let opened = self.open(&self.disk, setup)?;
        self.lives += 1;
        self.check_recovered(&opened);
        let Opened { writer, owner, persistent_state, .. } = opened;
        let options = crate::Options::default();
        self.node = Some(owner.node);
        let number = self.number;
        let mut config =
            node_config::<T>(&options, owner, address(number), founders(setup), mix(setup.seed, 3));
        setup.limits.apply(&mut config);
        let mut machine = machine_config(&options, owner);
        machine.reply_bytes_max = setup.limits.reply_bytes_max;
        let state = Arc::new(StateLock::new(object));
        let log = self.durable.log.clone();
        self.process = Some(Process {
            id: config.node,
            hard_state: self.durable.hard_state,
            node: Node::new(config, persistent_state),
            writer,
            machine: Machine::new(Arc::clone(&state), machine),
            state,
            writes: VecDeque::new(),
            committed: VecDeque::new(),
            reports: VecDeque::new(),
            in_turn: false,
            inbox: Vec::new(),
            preparing: None,
            log,
            commit: Index(0),
            applying: Index(0),
            applied: Index(0),
            calls: BTreeMap::new(),
            reads: BTreeMap::new(),
            ticks: Ticks(0),
            paused: false,
            disk_failed: false,
            stop_requested: false,
            divergence: None,
            membership_checked: false,
        });
        Ok(())
    }

    /// A group commit, to the disk and to the simple record of it.
    ///
    /// # Errors
    /// The error of the disk. The next start decides which records are durable.
    pub(crate) fn write(&mut self, mut writes: Vec<Write>) -> Result<Written, String> {
        let Some(process) = &mut self.process else { unreachable!("machine {} is up", self.number) };
        for write in &writes {
            match write {
                Write::Persist(persist) => put_records(&mut self.unconfirmed, persist.clone()),
                Write::Founding(step) => self.unconfirmed_founding = Some(step.clone()),
            }
        }
        let written = process.writer.write(&mut writes)?;
        if written.persisted.is_some() {
            self.confirm(self.unconfirmed.len());
        }
        self.unconfirmed_founding.take().iter().for_each(|step| self.durable.write_founding(step));
        Ok(written)
    }

    /// Writes what waits for space on the disk, if there is some.
    ///
    /// # Errors
    /// The error of the disk. The next start decides which records are durable.
    pub(crate) fn retry(&mut self) -> Result<Written, String> {
        let Some(process) = &mut self.process else { unreachable!("machine {} is up", self.number) };
        let written = process.writer.retry()?;
        if written.persisted.is_some() {
            self.confirm(self.unconfirmed.len());
        }
        Ok(written)
    }

    /// The last group commit of a process that ends orderly: afterwards the disk records that everything is synced.
    ///
    /// # Errors
    /// The error of the disk. The next start decides which records are durable.
    pub(crate) fn write_and_close(&mut self, writes: Vec<Write>) -> Result<(), String> {
        if !writes.is_empty() {
            self.write(writes)?;
        }
        let Some(process) = &mut self.process else { unreachable!("machine {} is up", self.number) };
        let preparing = process.preparing.take().or_else(|| process.writer.prepare_next());
        process.writer.mark_idle()?;
        // The background job for the next segment is completed, but its result is not used.
        preparing.into_iter().for_each(|job| drop(job.run()));
        Ok(())
    }

    /// The first `count` unconfirmed records are durable.
    fn confirm(&mut self, count: usize) {
        let (before, last) = &mut self.before_last_write;
        last.drain(..).for_each(|record| before.write(&record));
        last.extend(self.unconfirmed.drain(..count));
        last.iter().for_each(|record| self.durable.write(record));
    }

    /// Whether a log that was recovered from a damaged disk is what was written, perhaps without the end of the last write.
    pub(crate) fn could_recover(&self, found: &PersistentState) -> bool {
        let log = chained(&found.entries);
        let (mut durable, last) = self.before_last_write.clone();
        let mut records = last.iter().chain(&self.unconfirmed);
        loop {
            if durable.hard_state == found.hard_state && durable.log == log {
                return true;
            }
            match records.next() {
                Some(record) => durable.write(record),
                None => return false,
            }
        }
    }

    /// A start recovers what was durable, and perhaps the first records of a write that did not complete.
    fn check_recovered(&mut self, opened: &Opened<SimDisk>) {
        let number = self.number;
        let found = &opened.persistent_state;
        let log = chained(&found.entries);
        let matches = |durable: &Durable| durable.hard_state == found.hard_state && durable.log == log;
        let mut durable = self.durable.clone();
        let mut confirmed = 0;
        while !matches(&durable) {
            match self.unconfirmed.get(confirmed) {
                Some(record) => durable.write(record),
                None => ensure!(
                    false,
                    "a start recovers what was durable",
                    "n{number} recovers term {} and {} entries; term {} and {} entries were durable",
                    found.hard_state.term,
                    log.len(),
                    self.durable.hard_state.term,
                    self.durable.log.len()
                ),
            }
            confirmed += 1;
        }
        if confirmed > 0 {
            self.confirm(confirmed);
        }
        self.unconfirmed.clear();
        let step = self.unconfirmed_founding.take();
        let (proposed, formed) = (found.proposal.is_some() || found.formed.is_some(), found.formed.is_some());
        let mut later = self.durable.clone();
        step.iter().for_each(|step| later.write_founding(step));
        let durable = &mut self.durable;
        let founding = [(durable.proposed, durable.formed), (later.proposed, later.formed)];
        ensure!(
            founding.contains(&(proposed, formed)),
            "a start recovers what was durable",
            "n{number} recovers the founding proposed {proposed}, formed {formed}; possible were {founding:?}"
        );
        (durable.proposed, durable.formed) = (proposed, formed);
    }

    /// Whether its replica has diverged: its replies may be wrong.
    pub(crate) fn has_diverged(&self) -> bool {
        let divergence = self.process.as_ref().and_then(|process| process.divergence);
        matches!(divergence, Some(Divergence::Hidden | Divergence::Visible))
    }

    /// Whether its process runs and is not paused.
    pub(crate) fn is_awake(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.paused)
    }

    /// Ends the process. If `keep` is zero, only the process died. Otherwise the machine lost power, and `keep` decides which
    /// unsynced data is on the disk.
    pub(crate) fn crash(&mut self, keep: u8) {
        self.process = None;
        let mut random = Random::new(keep.into());
        match keep {
            0 => self.disk.restart(),
            // All, none, a random half, or the first ones.
            _ => match keep % 4 {
                0 => self.disk.cut_power(&mut |_| true),
                1 => self.disk.cut_power(&mut |_| false),
                2 => self.disk.cut_power(&mut |_| random.one_in(2)),
                _ => {
                    let first = random.below(12) as usize;
                    self.disk.cut_power(&mut |unit| unit < first);
                }
            },
        }
    }
}

/// The founding list that every node is started with.
pub(crate) fn founders(setup: &Setup) -> Vec<String> {
    (0..usize::from(setup.nodes)).map(address).collect()
}

/// A machine, in one line.
impl<T: Object> fmt::Display for Server<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Server { number, durable, lost, .. } = self;
        write!(f, "n{number} ")?;
        match &self.process {
            None => f.write_str("is down")?,
            Some(process) => {
                let Leadership { role, term, .. } = process.node.leadership();
                let Process { commit, applied, log, .. } = process;
                write!(f, "{role} in term {term}, log {}, commit {commit}, applied {applied}", log.len())?;
                let (calls, reads) = (process.calls.len(), process.reads.len());
                write!(f, ", {calls} calls and {reads} reads pending")?;
                if process.paused {
                    f.write_str(", paused")?;
                }
                if process.in_turn {
                    f.write_str(", in the middle of a turn")?;
                }
                if self.has_diverged() {
                    f.write_str(", its replica has diverged")?;
                }
            }
        }
        write!(f, "; on disk term {}, {} entries", durable.hard_state.term, durable.log.len())?;
        if let Some(voted_for) = durable.hard_state.voted_for {
            write!(f, ", vote for {}", voted_for.short())?;
        }
        for (is_so, text) in [(self.hung, "hangs"), (self.full, "is full"), (lost.is_some(), "was lost")] {
            if is_so {
                write!(f, "; the disk {text}")?;
            }
        }
        Ok(())
    }
}
