//! The status of a node: what it reports about itself and its peers.

use super::{Formation, Node};
use crate::raft::types::{Boot, Incarnation, Index, NodeId, Term};
use std::fmt;

/// A node's role in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The cluster is not formed yet: not all nodes of the list have met.
    Founding,
    /// It follows a leader, or knows none.
    Follower,
    /// It asks for votes, or pre-votes.
    Candidate,
    /// It is the leader.
    Leader,
    /// It was shut down, or stopped by a fault.
    Stopped,
}

/// The role of a node, and its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) role: Role,
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeId>,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Founding => "founding",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
            Role::Stopped => "stopped",
        })
    }
}

/// A node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its own address, as its peers spell it.
    pub address: String,
    /// Its id: random, made with its data directory.
    pub node: NodeId,
    /// The id of its disk: random, made with its data directory. Another directory is another incarnation.
    pub incarnation: Incarnation,
    /// How often it was started from that directory.
    pub boot: Boot,
    /// The cluster's id, once it is formed.
    pub cluster_id: Option<u64>,
    /// Its role in the current term.
    pub role: Role,
    /// The leader's address, where one is known.
    pub leader: Option<String>,
    /// The current term.
    pub term: Term,
    /// The last entry known to be durable at a majority.
    pub commit_index: Index,
    /// The last entry applied to the object here.
    pub applied_index: Index,
    /// The last entry in the log.
    pub last_index: Index,
    /// The last entry that is durable here.
    pub durable_index: Index,
    /// The running digest of all calls applied, with their replies: equal on all replicas at an
    /// equal `applied_index`.
    pub digest: u64,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// While the cluster is founded: the addresses of the nodes that this one waits for.
    pub waiting_for: Vec<String>,
    /// Bytes that the log holds in memory.
    pub log_bytes: usize,
    /// The limit of `log_bytes`: a leader at it refuses calls.
    pub log_bytes_max: usize,
    /// Whether its disk has no space for the next segment of the log or for the reserve. While this node leads, new calls
    /// are refused.
    pub disk_nearly_full: bool,
    /// Bytes of messages that were received and not handled yet.
    pub inbox_bytes: usize,
    /// Incoming connections whose hello has not arrived yet.
    pub unidentified_connections: usize,
    /// Calls of this node that were sent to a leader and have no outcome yet.
    pub calls_in_flight: usize,
    /// Calls of this node that wait to be sent.
    pub calls_queued: usize,
    /// How many calls of replicated methods panicked here since the start.
    pub method_panics: u64,
    /// How often this machine's clock jumped forward since the start. Entries are stamped as if it had not.
    pub clock_jumps: u64,
    /// How often this node stopped leading since the start because its disk was stalled.
    pub disk_stalls: u64,
    /// Why the node stopped, if it did.
    pub stop_reason: Option<String>,
}

/// What a node knows about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The peer's address.
    pub address: String,
    /// Its id, once it was reached.
    pub node: Option<NodeId>,
    /// Whether messages can be sent to it now.
    pub connected: bool,
    /// On a leader: the last entry known to be durable on the peer (matchIndex).
    pub match_index: Option<Index>,
    /// On a leader: the next entry to send to the peer (nextIndex).
    pub next_index: Option<Index>,
    /// Why the handshake with it was refused, by the peer or by this node, if it was.
    pub refusal: Option<String>,
    /// The traffic of the connections to and from it.
    pub traffic: Traffic,
}

/// The traffic of the connections to and from a peer since this node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections made to the peer. Without faults there are two.
    pub connections_made: u64,
    /// Messages sent to it.
    pub messages_sent: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Messages for it that were dropped, because it was unreachable or too slow. The protocol sends them again.
    pub messages_dropped: u64,
    /// Bytes that wait to be sent to it.
    pub bytes_queued: usize,
    /// Messages received over its current connections.
    pub messages_received: u64,
    /// Bytes received over its current connections.
    pub bytes_received: u64,
}

/// One line for scripts: `node=… role=… leader=… term=… commit=… applied=… last=… digest=…`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leader = self.leader.as_deref().unwrap_or("none");
        write!(
            f,
            "node={} role={} leader={leader} term={} commit={} applied={} last={} digest={:016x}",
            self.address,
            self.role,
            self.term,
            self.commit_index,
            self.applied_index,
            self.last_index,
            self.digest
        )
    }
}

impl Node {
    /// The status of the node at this moment. Its connections are the driver's, which adds them.
    pub(crate) fn status(&self) -> Status {
        let (calls_in_flight, calls_queued) = (self.calls.unanswered(), self.calls.queued());
        let mut status = Status {
            address: self.config.address.clone(),
            node: self.config.node,
            incarnation: self.config.incarnation,
            boot: self.config.boot,
            cluster_id: self.cluster(),
            role: self.leadership().role,
            leader: None,
            term: self.term(),
            commit_index: Index(0),
            applied_index: self.applied,
            last_index: Index(0),
            durable_index: Index(0),
            digest: self.divergence.latest().map_or(0, |checkpoint| checkpoint.digest),
            peers: Vec::new(),
            waiting_for: Vec::new(),
            log_bytes: 0,
            log_bytes_max: self.config.raft.log_bytes_max,
            disk_nearly_full: self.disk_nearly_full,
            inbox_bytes: 0,
            unidentified_connections: 0,
            calls_in_flight,
            calls_queued,
            method_panics: self.panics,
            clock_jumps: 0,
            disk_stalls: 0,
            stop_reason: self.stopped.clone(),
        };
        match &self.formation {
            Formation::Founding(founding) => {
                status.waiting_for = founding.waiting_for();
                let others = self.config.founders.iter().filter(|address| **address != self.config.address);
                status.peers =
                    others.map(|address| self.peer_status(address.clone(), founding.met(address))).collect();
            }
            Formation::Formed { raft, .. } => {
                let members = &raft.membership().members;
                let leader = raft.leader().and_then(|id| members.get(&id));
                status.leader = leader.map(|member| member.address.clone());
                status.commit_index = raft.commit();
                status.last_index = raft.log().last_index();
                status.durable_index = raft.durable_index();
                status.log_bytes = raft.log().bytes();
                status.clock_jumps = raft.clock().refused();
                status.disk_stalls = raft.disk_stalls();
                let others = members.iter().filter(|(id, _)| **id != self.config.node);
                status.peers = others.map(|(id, m)| self.peer_status(m.address.clone(), Some(*id))).collect();
            }
        }
        if self.stopped.is_some() {
            status.leader = None;
        }
        status
    }

    fn peer_status(&self, address: String, node: Option<NodeId>) -> PeerStatus {
        let connected = node.and_then(|id| self.connections.get(&id)).is_some_and(|count| *count > 0);
        let progress = match (&self.formation, node) {
            (Formation::Formed { raft, .. }, Some(node)) => raft.progress_of(node),
            _ => None,
        };
        let (match_index, next_index) = progress.unzip();
        let refusal = self.refusals.get(&address).cloned();
        PeerStatus { address, node, connected, match_index, next_index, refusal, traffic: Traffic::default() }
    }
}
