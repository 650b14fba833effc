//! A machine: a disk, and while it is up a process with a whole node on it.
//!
//! The node, its memory and its object are those that the driver runs; what lies around them here is queues that wait
//! for an event. What is durable is also kept in a second, plain way ([`Durable`]), against which every restart is
//! checked.

use crate::calls::{CallId, ReadTicket};
use crate::codec::message::Message;
use crate::hash::{hash_bytes, mix};
use crate::node::{FoundingWrite, Node, PersistentState};
use crate::object::Object;
use crate::object::lock::StateLock;
use crate::object::machine::{Applied, Machine};
use crate::persistence::{Opened, Opening, Write, Writer, Written, put_records};
use crate::raft::PersistId;
use crate::raft::types::{Entry, EntryId, HardState, Incarnation, Index, NodeId, Ticks, Time};
use crate::replica::builder::{machine_config, node_config};
use crate::sim::client::OperationId;
use crate::sim::random::Random;
use crate::sim::schedule::setup::Setup;
use crate::sim::violation::hold;
use crate::storage::disk::sim::SimDisk;
use crate::storage::wal::PrepareJob;
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
    /// What was durable before the last write, and that write: damage to the last one may look like a torn one.
    pub(crate) before: (Durable, Vec<Record>),
    /// Records of a write that was begun and whose end nobody saw.
    pub(crate) undecided: Vec<Record>,
    /// The founding write among them.
    pub(crate) undecided_founding: Option<FoundingWrite>,
    /// The disk's faults.
    pub(crate) hung: bool,
    pub(crate) full: bool,
    pub(crate) fails_next: Option<(u8, u8)>,
    /// What the disk held is gone for good, or refused for good: it counts as lost.
    pub(crate) lost: Option<Loss>,
    /// Whom its present disk says it is, once a process has started from it.
    pub(crate) node: Option<NodeId>,
    /// What was on the disk that was lost: it counted when something became committed.
    pub(crate) forgotten: Option<Durable>,
    /// How many disks the machine has had.
    pub(crate) disks: u64,
    /// How often a process was started: names its connections.
    pub(crate) lives: u64,
    pub(crate) percent: u64,
    /// Hundredths of a tick that have passed since the last.
    pub(crate) phase: u64,
    /// What its clock is ahead of the right time, in milliseconds.
    pub(crate) clock_ahead_ms: i64,
}

/// How a disk was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It is empty now.
    Wiped,
    /// It is damaged, and its node does not start.
    Damaged,
}

/// What is on a disk, told in the plainest way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) hard_state: HardState,
    pub(crate) log: Vec<Link>,
    pub(crate) proposed: bool,
    pub(crate) formed: bool,
}

/// An entry in a chain: two of one id and one hash have equal logs up to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) id: EntryId,
    pub(crate) time: Time,
    pub(crate) hash: u64,
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
    /// What the disk and the object have done, and the node was not told of yet.
    pub(crate) news: VecDeque<News>,
    /// A turn of the engine has begun and not ended.
    pub(crate) gathers: bool,
    /// Messages that have arrived in it: the engine tells what its threads have done before them.
    pub(crate) inbox: Vec<(NodeId, Message)>,
    pub(crate) preparing: Option<PrepareJob<SimDisk>>,
    /// The log as the node holds it, durable or not.
    pub(crate) log: Vec<Link>,
    pub(crate) commit: Index,
    pub(crate) handed: Index,
    pub(crate) applied: Index,
    pub(crate) hard_state: HardState,
    pub(crate) calls: BTreeMap<CallId, Waiting>,
    pub(crate) reads: BTreeMap<ReadTicket, Waiting>,
    pub(crate) ticks: Ticks,
    pub(crate) paused: bool,
    /// Its disk failed: nothing is written any more.
    pub(crate) disk_failed: bool,
    /// The node was told so.
    pub(crate) told_to_stop: bool,
    /// Where its object differs from the others'.
    pub(crate) divergence: Option<Divergence>,
    /// Whether its membership was looked at: it does not change.
    pub(crate) member: bool,
}

/// What the threads beside an engine tell it.
#[derive(Clone, Debug)]
pub(crate) enum News {
    FoundingWritten(FoundingWrite),
    Persisted(PersistId),
    Applied(Applied),
    Failed(String),
}

/// How a copy of the object has come to differ from the others. It does so until its process ends: the log is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// The next call will be made wrongly.
    Due,
    /// One was, and no reply has shown it.
    Hidden,
    /// Its digest is another than the others'.
    Seen,
}

/// An operation that has not ended, and when it has to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) operation: OperationId,
    pub(crate) end: Ticks,
}

const DIRECTORY: &str = "/data";

pub(crate) fn address(number: usize) -> String {
    format!("n{number}:1")
}

impl Link {
    /// The entry after `before` in a log.
    pub(crate) fn after(before: Option<&Link>, entry: &Entry) -> Link {
        let hash = before.map_or(0, |link| link.hash);
        let hash = mix(mix(mix(hash, entry.id.term.0), entry.id.index.0), entry.time.0);
        Link { id: entry.id, time: entry.time, hash: hash_bytes(hash, &entry.payload) }
    }
}

/// Puts an entry into a log, in the place of all from its index on.
pub(crate) fn append(log: &mut Vec<Link>, entry: &Entry) {
    let at = entry.id.index.0 as usize - 1;
    hold!(at <= log.len(), "logs have no gaps", "{} after {} entries", entry.id, log.len());
    log.truncate(at);
    log.push(Link::after(log.last(), entry));
}

/// A log as a chain.
fn chain(entries: &[Entry]) -> Vec<Link> {
    let mut log = Vec::with_capacity(entries.len());
    entries.iter().for_each(|entry| append(&mut log, entry));
    log
}

impl Durable {
    pub(crate) fn write(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => append(&mut self.log, entry),
            Record::HardState(hard_state) => self.hard_state = *hard_state,
        }
    }

    pub(crate) fn found(&mut self, write: &FoundingWrite) {
        self.proposed = true;
        self.formed |= matches!(write, FoundingWrite::Formed { .. });
    }
}

impl<T: Object> Server<T> {
    pub(crate) fn new(number: usize) -> Server<T> {
        Server {
            number,
            disk: SimDisk::new(),
            process: None,
            durable: Durable::default(),
            before: (Durable::default(), Vec::new()),
            undecided: Vec::new(),
            undecided_founding: None,
            hung: false,
            full: false,
            fails_next: None,
            lost: None,
            node: None,
            forgotten: None,
            disks: 1,
            lives: 0,
            percent: 100,
            phase: 0,
            clock_ahead_ms: 0,
        }
    }

    /// The id of its present disk.
    pub(crate) fn id(&self, seed: u64) -> NodeId {
        self.node.unwrap_or(NodeId(mix(mix(seed, self.number as u64), self.disks)))
    }

    /// Opens the directory as a node that starts does.
    pub(crate) fn open(&self, disk: &SimDisk, setup: &Setup) -> Result<Opened<SimDisk>, String> {
        let id = self.id(setup.seed);
        let new_identity = NewIdentity {
            node: id,
            incarnation: Incarnation(mix(id.0, 1)),
            object: T::NAME.to_owned(),
            address: address(self.number),
            founding: founders(setup),
        };
        let options = WalOptions { segment_bytes: setup.limits.segment_bytes };
        Opening::begin(disk.clone(), Path::new(DIRECTORY), options, new_identity)?.finish()
    }

    /// Starts a process. With `dies_at` the power goes at that call to the disk.
    ///
    /// # Errors
    /// Why the node does not start.
    pub(crate) fn start(&mut self, setup: &Setup, object: T, dies_at: Option<u64>) -> Result<(), String> {
        assert!(self.process.is_none(), "machine {} is up", self.number);
        if let Some(calls) = dies_at {
            self.disk.power_off_at(self.disk.calls() + calls);
        }
        let opened = self.open(&self.disk, setup)?;
        self.lives += 1;
        self.check_remembered(&opened);
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
            news: VecDeque::new(),
            gathers: false,
            inbox: Vec::new(),
            preparing: None,
            log,
            commit: Index(0),
            handed: Index(0),
            applied: Index(0),
            calls: BTreeMap::new(),
            reads: BTreeMap::new(),
            ticks: Ticks(0),
            paused: false,
            disk_failed: false,
            told_to_stop: false,
            divergence: None,
            member: false,
        });
        Ok(())
    }

    /// A group commit, on the disk and in the plain copy of it.
    ///
    /// # Errors
    /// What the disk said; the next start decides what came of it.
    pub(crate) fn write(&mut self, mut writes: Vec<Write>) -> Result<Written, String> {
        let Some(process) = &mut self.process else { unreachable!("machine {} is up", self.number) };
        for write in &writes {
            match write {
                Write::Persist(persist) => put_records(&mut self.undecided, persist.clone()),
                Write::Founding(step) => self.undecided_founding = Some(step.clone()),
            }
        }
        let written = process.writer.write(&mut writes)?;
        if written.persisted.is_some() {
            self.wrote(self.undecided.len());
        }
        self.undecided_founding.take().iter().for_each(|step| self.durable.found(step));
        Ok(written)
    }

    /// The last group commit of a process that ends in order: afterwards all is synced, and the disk says so.
    ///
    /// # Errors
    /// What the disk said; the next start decides what came of it.
    pub(crate) fn write_and_close(&mut self, writes: Vec<Write>) -> Result<(), String> {
        if !writes.is_empty() {
            self.write(writes)?;
        }
        let Some(process) = &mut self.process else { unreachable!("machine {} is up", self.number) };
        let preparing = process.preparing.take().or_else(|| process.writer.prepare_next());
        process.writer.mark_idle()?;
        // The background's work on the next file is waited for, but nobody takes it.
        preparing.into_iter().for_each(|job| drop(job.run()));
        Ok(())
    }

    /// The first `count` of the records that were undecided are durable.
    fn wrote(&mut self, count: usize) {
        let (before, last) = &mut self.before;
        last.drain(..).for_each(|record| before.write(&record));
        last.extend(self.undecided.drain(..count));
        last.iter().for_each(|record| self.durable.write(record));
    }

    /// Whether a log that was read from a damaged disk is what was written, or that without its end.
    pub(crate) fn may_be_cut_to(&self, found: &PersistentState) -> bool {
        let log = chain(&found.entries);
        let (mut durable, last) = self.before.clone();
        let mut records = last.iter().chain(&self.undecided);
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

    /// What a start reads back is what was durable, and perhaps of the write that was under way what came first.
    fn check_remembered(&mut self, opened: &Opened<SimDisk>) {
        let number = self.number;
        let found = &opened.persistent_state;
        let log = chain(&found.entries);
        let fits = |durable: &Durable| durable.hard_state == found.hard_state && durable.log == log;
        let mut durable = self.durable.clone();
        let mut came = 0;
        while !fits(&durable) {
            match self.undecided.get(came) {
                Some(record) => durable.write(record),
                None => hold!(
                    false,
                    "what was durable is read back",
                    "n{number} finds term {} and {} entries, written were term {} and {}",
                    found.hard_state.term,
                    log.len(),
                    self.durable.hard_state.term,
                    self.durable.log.len()
                ),
            }
            came += 1;
        }
        if came > 0 {
            self.wrote(came);
        }
        self.undecided.clear();
        let step = self.undecided_founding.take();
        let (proposed, formed) = (found.proposal.is_some() || found.formed.is_some(), found.formed.is_some());
        let mut later = self.durable.clone();
        step.iter().for_each(|step| later.found(step));
        let durable = &mut self.durable;
        let founding = [(durable.proposed, durable.formed), (later.proposed, later.formed)];
        hold!(
            founding.contains(&(proposed, formed)),
            "what was durable is read back",
            "n{number} finds its founding at {proposed}/{formed}, written was {founding:?}"
        );
        (durable.proposed, durable.formed) = (proposed, formed);
    }

    /// Whether its copy of the object may be wrong: nobody can rely on what it says.
    pub(crate) fn is_astray(&self) -> bool {
        let divergence = self.process.as_ref().and_then(|process| process.divergence);
        matches!(divergence, Some(Divergence::Hidden | Divergence::Seen))
    }

    /// Whether the node runs and is not standing still.
    pub(crate) fn is_awake(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.paused)
    }

    /// The process is gone. `keep` zero: it died alone; else the power went, and it decides what of the unsynced is
    /// on the disk.
    pub(crate) fn crash(&mut self, keep: u8) {
        self.process = None;
        let mut random = Random::new(keep.into());
        match keep {
            0 => self.disk.restart(),
            // All, none, a random half, or what came first.
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

/// The list that every node is started with.
pub(crate) fn founders(setup: &Setup) -> Vec<String> {
    (0..usize::from(setup.nodes)).map(address).collect()
}

/// A machine in a line.
impl<T: Object> fmt::Display for Server<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Server { number, durable, lost, .. } = self;
        write!(f, "n{number} ")?;
        match &self.process {
            None => f.write_str("is down")?,
            Some(process) => {
                let (role, term, _) = process.node.headline();
                let Process { commit, applied, log, .. } = process;
                write!(f, "{role} in term {term}, log {}, commit {commit}, applied {applied}", log.len())?;
                let (calls, reads) = (process.calls.len(), process.reads.len());
                write!(f, ", {calls} calls and {reads} reads wait")?;
                if process.paused {
                    f.write_str(", stands still")?;
                }
                if process.gathers {
                    f.write_str(", is in the middle of a turn")?;
                }
                if self.is_astray() {
                    f.write_str(", its object differs")?;
                }
            }
        }
        write!(f, "; on disk term {}, {} entries", durable.hard_state.term, durable.log.len())?;
        if let Some(voted_for) = durable.hard_state.voted_for {
            write!(f, ", vote for {}", voted_for.short())?;
        }
        for (is, word) in [(self.hung, "hangs"), (self.full, "is full"), (lost.is_some(), "was lost")] {
            if is {
                write!(f, "; the disk {word}")?;
            }
        }
        Ok(())
    }
}
