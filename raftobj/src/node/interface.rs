//! What a node is told at its start, and what it wants done.

use crate::calls::outcome::{Outcome, ReadError};
use crate::calls::{CallId, CallsConfig, ReadTicket};
use crate::codec::hello::MethodSignature;
use crate::codec::message::Message;
use crate::codec::method::MethodId;
use crate::raft::Persist;
use crate::raft::config::Config as RaftConfig;
use crate::raft::membership::Membership;
use crate::raft::types::{Boot, Entry, HardState, Incarnation, Index, NodeId, Ticks};

/// What a node is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct NodeConfig {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) boot: Boot,
    /// Its own address, as in `founders`.
    pub(crate) address: String,
    /// The founding list, sorted, its own address in it.
    pub(crate) founders: Vec<String>,
    /// The object's name.
    pub(crate) object: String,
    pub(crate) methods: Vec<MethodSignature>,
    /// Names for the ids in `methods`, for people.
    pub(crate) method_names: Vec<(MethodId, &'static str)>,
    pub(crate) raft: RaftConfig,
    pub(crate) calls: CallsConfig,
    /// How often digests are told, and announcements repeated while the cluster is founded.
    pub(crate) gossip_ticks: Ticks,
}

impl NodeConfig {
    pub(crate) fn method_name(&self, id: MethodId) -> &'static str {
        self.method_names.iter().find(|(method, _)| *method == id).map_or("unknown method", |(_, name)| name)
    }
}

/// What a node's disk remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PersistentState {
    /// The list that it announced, while the cluster is being founded.
    pub(crate) proposal: Option<Membership>,
    /// The members, once the cluster is formed.
    pub(crate) formed: Option<Membership>,
    pub(crate) hard_state: HardState,
    /// The log, without gaps from index 1 on.
    pub(crate) entries: Vec<Entry>,
}

/// What is to be done. The lanes are independent of each other, and each is in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// Send now. What cannot be sent is dropped: the protocol sends again what still matters.
    pub(crate) messages: Vec<(NodeId, Message)>,
    /// Write and fsync in this order, then call [`persisted`](super::Node::persisted) with the last one's id.
    pub(crate) persists: Vec<Persist>,
    /// Write durably, then call [`founding_written`](super::Node::founding_written).
    pub(crate) founding: Option<FoundingWrite>,
    /// Apply in this order, then call [`applied`](super::Node::applied).
    pub(crate) committed: Vec<Entry>,
    /// Calls that have ended.
    pub(crate) completions: Vec<(CallId, Outcome)>,
    /// Reads that have ended: serve them now, or never.
    pub(crate) reads: Vec<(ReadTicket, Result<Index, ReadError>)>,
    /// For the log of the process.
    pub(crate) warnings: Vec<String>,
}

/// A step of the founding that has to be durable before it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoundingWrite {
    /// This list is announced next.
    Proposal(Membership),
    /// The cluster is formed, with this id; the node takes part from now on.
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
