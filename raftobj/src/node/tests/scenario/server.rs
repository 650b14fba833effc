//! One server: its disk and, while it is up, its process with a node, an object and entries to apply.

use super::disk::ScriptedDisk;
use super::network::Host;
use super::options::ServerOptions;
use super::tally::TallyMachine;
use crate::calls::CallsConfig;
use crate::codec::hello::MethodSignature;
use crate::codec::method::Method;
use crate::node::{Node, NodeConfig};
use crate::object::Object as _;
use crate::object::digest::Checkpoint;
use crate::object::fixture::Tally;
use crate::persistence::Write;
use crate::raft::config::Config as RaftConfig;
use crate::raft::types::{Entry, Ticks, Time};
use std::collections::VecDeque;

/// A server, up or down.
pub(super) struct ScriptedServer {
    pub(super) host: Host,
    pub(super) options: ServerOptions,
    pub(super) disk: ScriptedDisk,
    pub(super) process: Option<ScriptedProcess>,
    /// Writes wait for the command `persist`.
    pub(super) persist_held: bool,
    /// Committed entries wait for the command `apply`.
    pub(super) apply_held: bool,
}

/// A process, from its start to its end.
pub(super) struct ScriptedProcess {
    pub(super) node: Node,
    pub(super) object: TallyMachine,
    pub(super) unapplied: VecDeque<Entry>,
    /// The node's role as it was last printed.
    pub(super) printed_role: String,
    ticks: u64,
}

/// Short times keep scenarios short: a heartbeat every 3 ticks, an election timeout of 10 to 20.
pub(super) const HEARTBEAT: Ticks = Ticks(3);
pub(super) const ELECTION_MIN: Ticks = Ticks(10);
pub(super) const ELECTION_MAX: Ticks = Ticks(20);

impl ScriptedServer {
    /// A server that is down.
    pub(super) fn new(host: Host, options: ServerOptions, disk: ScriptedDisk) -> ScriptedServer {
        ScriptedServer { host, options, disk, process: None, persist_held: false, apply_held: false }
    }

    /// The process of a server that is up.
    pub(super) fn process(&mut self) -> &mut ScriptedProcess {
        let host = self.host;
        self.process.as_mut().unwrap_or_else(|| panic!("{host} is down"))
    }

    /// Starts a process from the state on disk.
    pub(super) fn start(&mut self) {
        assert!(self.process.is_none(), "{} is up already", self.host);
        self.disk.boot.0 += 1;
        self.disk.fails = false;
        let node = Node::new(self.config(), self.disk.persistent_state());
        let object = TallyMachine::new(&self.disk, &self.options);
        self.process = Some(ScriptedProcess {
            node,
            object,
            unapplied: VecDeque::new(),
            printed_role: String::new(),
            ticks: 0,
        });
    }

    /// Ends the process; writes that wait are lost.
    pub(super) fn crash(&mut self) {
        assert!(self.process.is_some(), "{} is down already", self.host);
        self.disk.crash();
        self.process = None;
    }

    /// Makes the oldest write durable, reports it to the node, and returns it.
    pub(super) fn write_one(&mut self) -> Option<Write> {
        let process = self.process.as_mut()?;
        match self.disk.write_one() {
            Ok(write) => {
                match write.as_ref()? {
                    Write::Persist(persist) => process.node.persisted(persist.id),
                    Write::Founding(founding) => process.node.founding_written(founding),
                }
                write
            }
            Err(reason) => {
                process.node.stop(&reason);
                None
            }
        }
    }

    fn config(&self) -> NodeConfig {
        let ServerOptions { seed, founders, lacks, limits, .. } = &self.options;
        let methods: Vec<&Method> =
            Tally::METHODS.iter().filter(|m| Some(m.id) != lacks.map(|l| l.id)).collect();
        NodeConfig {
            node: self.disk.node,
            incarnation: self.disk.incarnation,
            boot: self.disk.boot,
            address: self.host.to_string(),
            founders: founders.clone(),
            object: Tally::NAME.to_owned(),
            methods: methods.iter().map(|method| MethodSignature::of(method)).collect(),
            method_names: methods.iter().map(|method| (method.id, method.name)).collect(),
            raft: RaftConfig {
                id: self.disk.node,
                seed: *seed,
                heartbeat_ticks: HEARTBEAT,
                election_ticks_min: ELECTION_MIN,
                election_ticks_max: ELECTION_MAX,
                disk_stall_ticks_max: Ticks(4 * ELECTION_MAX.0),
                append_bytes_max: limits.append_bytes_max,
                window_messages_max: limits.window_messages_max,
                window_bytes_max: 16 << 20,
                log_bytes_max: limits.log_bytes_max,
                apply_entries_max: limits.apply_entries_max,
                tick_ms: 10,
                clock_jump_ms_max: 3_600_000,
            },
            calls: CallsConfig { resend_ticks: ELECTION_MAX.0, ..CallsConfig::default() },
            gossip_ticks: Ticks(4 * HEARTBEAT.0),
        }
    }
}

impl ScriptedProcess {
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.node.tick(Time(1_000_000 + 10 * self.ticks));
    }

    /// Applies the oldest entries that wait, at most `count`. Returns them, with the digests after those that could be
    /// applied.
    pub(super) fn apply(&mut self, count: usize) -> (Vec<Entry>, Vec<Checkpoint>) {
        let count = count.min(self.unapplied.len());
        let entries: Vec<Entry> = self.unapplied.drain(..count).collect();
        if entries.is_empty() {
            return (entries, Vec::new());
        }
        let applied = self.object.apply(&entries);
        let checkpoints = applied.checkpoints.clone();
        self.node.applied(applied);
        (entries, checkpoints)
    }
}
