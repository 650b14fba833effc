//! What goes into a node at its start, and what comes out of it: [`Effects`].

use crate::calls::outcome::{Outcome, ReadError};
use crate::calls::{CallId, CallsConfig, ReadTicket};
use crate::codec::hello::MethodSignature;
use crate::codec::message::Message;
use crate::codec::method::MethodId;
use crate::raft::Persist;
use crate::raft::config::Config as RaftConfig;
use crate::raft::membership::Membership;
use crate::raft::types::{Boot, Entry, EntryId, HardState, Incarnation, Index, NodeId, Ticks};

/// Who the node is, and how it is set up.
#[derive(Clone, Debug)]
pub(crate) struct NodeConfig {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) boot: Boot,
    /// Its own address, spelled as in `founders`.
    pub(crate) address: String,
    /// The addresses of all nodes that found the cluster, sorted; its own is one of them.
    pub(crate) founders: Vec<String>,
    /// The name of the object's type.
    pub(crate) object: String,
    pub(crate) methods: Vec<MethodSignature>,
    /// The names of `methods`, for messages.
    pub(crate) method_names: Vec<(MethodId, &'static str)>,
    pub(crate) raft: RaftConfig,
    pub(crate) calls: CallsConfig,
    /// How often digests are sent, and announcements while the cluster is founded.
    pub(crate) gossip_ticks: Ticks,
}

impl NodeConfig {
    pub(crate) fn method_name(&self, id: MethodId) -> &'static str {
        self.method_names.iter().find(|(method, _)| *method == id).map_or("unknown method", |(_, name)| name)
    }
}

/// What a node reads back from its disk when it starts; figure 2's persistent state and more.
#[derive(Clone, Debug, Default)]
pub(crate) struct PersistentState {
    /// The membership that it has proposed, while the cluster is founded.
    pub(crate) proposal: Option<Membership>,
    /// The members, once the cluster is formed.
    pub(crate) formed: Option<Membership>,
    pub(crate) hard_state: HardState,
    /// The log, without gaps from index 1 on.
    pub(crate) entries: Vec<Entry>,
}

/// What the driver must do. The fields are independent of each other; each is in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// Send now. Drop a message that cannot be sent: the protocol sends again what still matters.
    pub(crate) messages: Vec<(NodeId, Message)>,
    /// Write and fsync in this order, then call [`persisted`](super::Node::persisted) with the last one's id.
    pub(crate) persists: Vec<Persist>,
    /// Write durably, then call [`founding_written`](super::Node::founding_written).
    pub(crate) founding: Option<FoundingWrite>,
    /// Apply in this order, then call [`applied`](super::Node::applied).
    pub(crate) committed: Vec<Entry>,
    /// Calls that have ended.
    pub(crate) completions: Vec<(CallId, Outcome)>,
    /// Reads that have ended: serve each now, or return its error.
    pub(crate) reads: Vec<(ReadTicket, Result<Index, ReadError>)>,
    /// Write to the log of the process.
    pub(crate) warnings: Vec<String>,
}

/// A part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogPage {
    /// The beginning of the last so many entries.
    Last(usize),
    /// At most so many entries after this one.
    After(EntryId, usize),
}

/// The most entries of one [`LogPage`]: some 50 µs of the engine's time.
pub(crate) const LOG_PAGE_ENTRIES: usize = 1_024;

/// A step of the founding. It must be durable before a message speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoundingWrite {
    /// The node will announce this proposal.
    Proposal(Membership),
    /// The cluster is formed, and this is its id. The node takes part from now on.
    Formed { membership: Membership, cluster: u64 },
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.persists.is_empty()
            && self.founding.is_none()
            && self.committed.is_empty()
            && self.completions.is_empty()
            && self.reads.is_empty()
            && self.warnings.is_empty()
    }
}
