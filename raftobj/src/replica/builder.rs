//! How a node starts.

use super::Replica;
use super::address::{AddressError, normalise};
use super::options::Options;
use crate::calls::CallsConfig;
use crate::calls::limits::QueueLimits;
use crate::codec::command::{COMMAND_OVERHEAD_MAX, SessionId};
use crate::codec::entry::ENTRY_OVERHEAD_MAX;
use crate::codec::hello::{HELLO_BYTES_MAX, MethodSignature};
use crate::codec::membership::MEMBERS_MAX;
use crate::driver::descriptors::{ConnectionLimits, connection_limits};
use crate::driver::mailbox::Mailbox;
use crate::driver::{Engine, Network, Parts, Timing};
use crate::net::{self, NetOptions};
use crate::node::{Node, NodeConfig, PersistentState};
use crate::object::Object;
use crate::object::lock::StateLock;
use crate::object::machine::{Machine, MachineConfig};
use crate::persistence::{Opened, Opening};
use crate::raft::config::Config as RaftConfig;
use crate::raft::types::{Boot, Incarnation, NodeId, Ticks};
use crate::storage::{self, NewIdentity, RealDisk};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Starts a node; made by [`Replica::builder`].
#[derive(Debug)]
pub struct Builder<T: Object> {
    address: String,
    peers: Vec<String>,
    bind: Option<String>,
    listener: Option<TcpListener>,
    data_dir: Option<PathBuf>,
    options: Options,
    object: PhantomData<fn() -> T>,
}

/// Why a node does not start. Nothing was changed on disk, unless its data directory was new.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The list of peers is invalid.
    #[error("{0}")]
    Peers(String),
    /// An option is invalid.
    #[error("{0}")]
    Options(String),
    /// No data directory was given.
    #[error("no data directory was given; call `data_dir` on the builder")]
    NoDataDir,
    /// The node cannot listen.
    #[error("{0}")]
    Bind(String),
    /// The data directory cannot be used: it is in use, of another program, damaged or of a later version, or the disk
    /// fails.
    #[error("{0}")]
    Storage(String),
    /// The data directory belongs to another node: it was first started with another address, object or list of peers.
    #[error("{0}")]
    WrongDataDir(String),
    /// The process may open too few files for its node: unidentified connections would take them from the log.
    #[error("{0}")]
    OpenFiles(String),
    /// The system provides no thread, socket or random number.
    #[error("the system refuses what a node needs: {0}")]
    System(#[from] io::Error),
}

impl<T: Object> Builder<T> {
    pub(super) fn new(address: String) -> Builder<T> {
        Builder {
            address,
            peers: Vec::new(),
            bind: None,
            listener: None,
            data_dir: None,
            options: Options::default(),
            object: PhantomData,
        }
    }

    /// The addresses of the other nodes. All nodes of a cluster need the same addresses, spelled alike. Without peers the
    /// node is a cluster of one.
    ///
    /// A new cluster forms once all listed nodes have met. After that the list must stay the same.
    pub fn peers<A: Into<String>>(mut self, peers: impl IntoIterator<Item = A>) -> Builder<T> {
        self.peers.extend(peers.into_iter().map(Into::into));
        self
    }

    /// The directory of the node's log and identity. It is created if it does not exist. It belongs to one node.
    ///
    /// A relative path begins at the working directory that the process has when [`start`](Builder::start) is called. A later
    /// change of the working directory does not matter. Do not rename the directory while the node runs.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Builder<T> {
        self.data_dir = Some(directory.into());
        self
    }

    /// Listens at this address, if it is not the one that the peers use: `0.0.0.0:4321`.
    pub fn bind(mut self, address: impl Into<String>) -> Builder<T> {
        self.bind = Some(address.into());
        self
    }

    /// Listens on a socket that is already bound.
    pub fn listener(mut self, listener: TcpListener) -> Builder<T> {
        self.listener = Some(listener);
        self
    }

    /// Sets the options.
    pub fn options(mut self, options: Options) -> Builder<T> {
        self.options = options;
        self
    }

    /// Starts the node. `object` is the state before the first call; it must be the same on every node.
    ///
    /// It returns when the node runs: its port is bound and its log is read. The node may still wait for its peers;
    /// see [`Replica::ready`]. After a restart the object is rebuilt from the log, beginning with `object`.
    ///
    /// It raises the process's soft limit of open files to the hard limit.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing runs then.
    pub fn start(self, object: T) -> Result<Replica<T>, StartError> {
        let options = self.options.clone();
        options.check().map_err(StartError::Options)?;
        let (address, founders) = self.checked_list()?;
        let path = absolute(self.data_dir.as_deref().ok_or(StartError::NoDataDir)?)?;
        let connections = connection_limits(founders.len() - 1).map_err(StartError::OpenFiles)?;
        let listener = match (self.listener, &self.bind) {
            (Some(listener), _) => listener,
            (None, bind) => {
                let bind = bind.as_deref().unwrap_or(&address);
                net::bind(bind).map_err(|error| StartError::Bind(error.to_string()))?
            }
        };

        let new_identity = NewIdentity {
            node: NodeId(random()?),
            incarnation: Incarnation(random()?),
            object: T::NAME.to_owned(),
            address: address.clone(),
            founding: founders.clone(),
        };
        let storage_options = storage::WalOptions {
            segment_bytes: options.segment_bytes,
            reserve_bytes: options.disk_reserve_bytes,
        };
        let opening =
            Opening::begin(RealDisk, &path, storage_options, new_identity).map_err(StartError::Storage)?;
        check_identity(opening.identity(), &path, &address, &founders, T::NAME)?;
        let Opened { writer, owner, persistent_state, torn_tail, disk_was_full } =
            opening.finish().map_err(StartError::Storage)?;
        if let Some(tail) = &torn_tail {
            tracing::warn!("{address}: {tail}");
        }
        if disk_was_full {
            tracing::warn!("{address}: the disk of {} is full; free space on it", path.display());
        }
        tracing::debug!("{address}: {} entries read from {}", persistent_state.entries.len(), path.display());

        let peers = founders.iter().filter(|founder| **founder != address).cloned().collect();
        let config = node_config::<T>(&options, owner, address, founders, random()?);
        let hello = Node::new(config.clone(), PersistentState::default()).hello().encode().len();
        if hello >= HELLO_BYTES_MAX {
            return Err(StartError::Options(format!(
                "the nodes' addresses and the methods' table take {hello} bytes in a handshake, which has room \
                 for {HELLO_BYTES_MAX}: use shorter addresses or fewer replicated methods"
            )));
        }
        let state = Arc::new(StateLock::new(object));
        let machine = Machine::new(Arc::clone(&state), machine_config(&options, owner));
        let parts = Parts {
            node: Node::new(config, persistent_state),
            machine: Box::new(machine),
            writer,
            network: Network { listener, peers, options: net_options(&options, connections, random()?) },
            timing: Timing {
                tick: Duration::from_millis(options.tick_ms),
                call_deadline: options.call_deadline,
            },
            mailbox: Mailbox::new(open_call_limits(&options)),
        };
        Ok(Replica::new(Engine::start(parts)?, state))
    }

    /// This node's address, and the addresses of all nodes, sorted. All are normalised.
    fn checked_list(&self) -> Result<(String, Vec<String>), StartError> {
        let address = normalise(&self.address)?;
        let mut founders = BTreeSet::from([address.clone()]);
        for peer in &self.peers {
            let peer = normalise(peer)?;
            if !founders.insert(peer.clone()) {
                let own = if peer == address { ", as this node itself" } else { "" };
                return Err(StartError::Peers(format!("{peer} is in the list twice{own}")));
            }
        }
        if founders.len() > MEMBERS_MAX {
            let count = founders.len();
            return Err(StartError::Peers(format!(
                "{count} nodes are listed; a cluster has at most {MEMBERS_MAX}"
            )));
        }
        Ok((address, founders.into_iter().collect()))
    }
}

/// The data directory, whatever the process's working directory will be. Files are made as long as the node runs.
fn absolute(data_dir: &Path) -> Result<PathBuf, StartError> {
    std::path::absolute(data_dir).map_err(|error| {
        let path = data_dir.display();
        StartError::Storage(format!(
            "the data directory `{path}` has no absolute path: {error}; use another path"
        ))
    })
}

/// Checks that the data directory belongs to the node that is started.
fn check_identity(
    identity: &storage::Identity,
    path: &Path,
    address: &str,
    founders: &[String],
    object: &str,
) -> Result<(), StartError> {
    let path = path.display();
    if identity.object != object {
        return Err(StartError::WrongDataDir(format!(
            "{path} holds a `{}`, this program replicates `{object}`: choose another data directory",
            identity.object
        )));
    }
    if identity.address != address {
        return Err(StartError::WrongDataDir(format!(
            "{path} belongs to the node {}, this one is {address}: choose another data directory",
            identity.address
        )));
    }
    if identity.founding != founders && identity.formed.is_none() && identity.proposal.is_none() {
        return Err(StartError::WrongDataDir(format!(
            "{path} was first started with the nodes [{}], this start lists [{}], and a directory keeps its first \
             list. No cluster was formed, so nothing is in it: if the first list was a mistake, remove the directory, \
             or choose another",
            identity.founding.join(", "),
            founders.join(", ")
        )));
    }
    if identity.founding != founders {
        return Err(StartError::WrongDataDir(format!(
            "{path} was founded with the nodes [{}], this start lists [{}]: start it with the founding list, or \
             choose another data directory",
            identity.founding.join(", "),
            founders.join(", ")
        )));
    }
    Ok(())
}

pub(crate) fn node_config<T: Object>(
    options: &Options,
    owner: storage::Owner,
    address: String,
    founders: Vec<String>,
    seed: u64,
) -> NodeConfig {
    let ticks = |ms: u64| Ticks(ms.div_ceil(options.tick_ms).max(1));
    NodeConfig {
        node: owner.node,
        incarnation: owner.incarnation,
        boot: Boot(owner.boot.0),
        address,
        founders,
        object: T::NAME.to_owned(),
        methods: T::METHODS.iter().map(MethodSignature::of).collect(),
        method_names: T::METHODS.iter().map(|method| (method.id, method.name)).collect(),
        raft: RaftConfig {
            id: owner.node,
            seed,
            heartbeat_ticks: ticks(options.heartbeat_interval_ms),
            election_ticks_min: ticks(options.election_timeout_ms_min),
            election_ticks_max: ticks(options.election_timeout_ms_max),
            disk_stall_ticks_max: ticks(options.disk_stall_ms_max),
            append_bytes_max: APPEND_BYTES_MAX,
            window_messages_max: WINDOW_MESSAGES_MAX,
            window_bytes_max: WINDOW_BYTES_MAX,
            log_bytes_max: options.log_bytes_max,
            apply_entries_max: APPLY_ENTRIES_MAX,
            tick_ms: options.tick_ms,
            clock_jump_ms_max: CLOCK_JUMP_MS_MAX,
        },
        calls: CallsConfig {
            command_bytes_max: options.command_bytes_max,
            window_calls_max: options.in_flight_calls_max as u64,
            window_bytes_max: options.in_flight_bytes_max.max(options.command_bytes_max),
            queue_calls_max: options.queue_calls_max,
            queue_bytes_max: options.queue_bytes_max.max(options.command_bytes_max),
            resend_ticks: ticks(options.election_timeout_ms_max).0,
            ..CallsConfig::default()
        },
        gossip_ticks: ticks(4 * options.heartbeat_interval_ms),
    }
}

pub(crate) fn machine_config(options: &Options, owner: storage::Owner) -> MachineConfig {
    MachineConfig {
        own: SessionId { node: owner.node, incarnation: owner.incarnation, boot: owner.boot },
        reply_bytes_max: options.reply_bytes_max,
        on_panic: options.on_panic,
    }
}

/// Limits of the calls that have not ended: those that are queued, and those that are sent.
fn open_call_limits(options: &Options) -> QueueLimits {
    QueueLimits {
        calls_max: options.queue_calls_max.saturating_add(options.in_flight_calls_max),
        bytes_max: options.queue_bytes_max.saturating_add(options.in_flight_bytes_max),
    }
}

fn net_options(options: &Options, connections: ConnectionLimits, seed: u64) -> NetOptions {
    let defaults = NetOptions::default();
    // The largest message is an AppendEntries or forwards calls: the largest command, or a batch of smaller ones.
    let overhead = COMMAND_OVERHEAD_MAX + ENTRY_OVERHEAD_MAX + 64;
    let frame_bytes_max = options.command_bytes_max.max(4 * APPEND_BYTES_MAX) + APPEND_BYTES_MAX + overhead;
    NetOptions {
        seed,
        handshakes_max: connections.handshakes_max,
        accepted_max: connections.accepted_max,
        frame_bytes_max,
        outbox_bytes_max: defaults.outbox_bytes_max.max(2 * frame_bytes_max),
        ..defaults
    }
}

/// Limit of the payloads in one AppendEntries; a single larger entry is sent alone. Large enough that a batch costs little
/// more than its bytes, small enough that several are in flight.
const APPEND_BYTES_MAX: usize = 1 << 20;
const WINDOW_MESSAGES_MAX: usize = 256;
const WINDOW_BYTES_MAX: usize = 16 << 20;
const APPLY_ENTRIES_MAX: u64 = 65_536;
/// An hour. A longer jump is a wrong clock, not a pause of the machine.
const CLOCK_JUMP_MS_MAX: u64 = 3_600_000;

/// Eight bytes from the system's random generator. Never zero.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes).max(1))
}
