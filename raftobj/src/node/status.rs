//! What a node tells of itself.

use super::{Formation, Node};
use crate::raft::types::{Boot, Incarnation, Index, NodeId, Term};
use std::fmt;

/// A node's role in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The cluster is not formed yet: not all listed nodes have met.
    Founding,
    /// It follows a leader, or waits for one.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It leads.
    Leader,
    /// It was shut down, or stopped by a fault.
    Stopped,
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
    /// Its own address, as its peers have it.
    pub address: String,
    /// Its id: random, made with its data directory.
    pub node: NodeId,
    /// Its disk: random, made with its data directory.
    pub incarnation: Incarnation,
    /// How often it was started from that directory.
    pub boot: Boot,
    /// The cluster's id, once it is formed.
    pub cluster: Option<u64>,
    /// What it is in the present term.
    pub role: Role,
    /// The leader's address, where one is known.
    pub leader: Option<String>,
    /// The present term.
    pub term: Term,
    /// The last entry known to be durable at a majority.
    pub commit: Index,
    /// The last entry applied to the object here.
    pub applied: Index,
    /// The last entry in the log.
    pub last: Index,
    /// The last entry that is durable here.
    pub durable: Index,
    /// The running digest of all calls applied, with their replies: equal on all replicas at equal `applied`.
    pub digest: u64,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// While founding: the addresses of the nodes that are missing.
    pub waiting_for: Vec<String>,
    /// Bytes that the log holds in memory.
    pub log_bytes: usize,
    /// The limit of `log_bytes`: a leader at it refuses calls.
    pub log_bytes_max: usize,
    /// Bytes of messages that came in and are not looked at yet.
    pub inbox_bytes: usize,
    /// Connections that have not said who they are.
    pub unidentified_connections: usize,
    /// Calls of this node that are sent and not answered.
    pub calls_sent: usize,
    /// Calls of this node that wait to be sent.
    pub calls_waiting: usize,
    /// Replicated methods that panicked here since the start.
    pub panics: u64,
    /// Jumps of this machine's clock that were not believed since the start.
    pub clock_jumps: u64,
    /// Why the node stopped, if it did.
    pub stopped: Option<String>,
}

/// What a node knows of another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The peer's address.
    pub address: String,
    /// Its id, once it was met.
    pub node: Option<NodeId>,
    /// Whether messages can be sent to it at present.
    pub connected: bool,
    /// On a leader: the last entry known to be durable there.
    pub match_index: Option<Index>,
    /// On a leader: the next entry to be sent there.
    pub next_index: Option<Index>,
    /// Why it refuses this node, if it does: with that said, it is there.
    pub refusal: Option<String>,
    /// What went over the connections to and from it.
    pub traffic: Traffic,
}

/// What went over the connections to and from a peer since this node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections that were made to the peer; two are enough while nothing goes wrong.
    pub connections: u64,
    /// Messages sent to it.
    pub messages_sent: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Messages for it that were dropped, because it was away or took them too slowly; they are sent again.
    pub messages_dropped: u64,
    /// Bytes that wait to be sent to it.
    pub bytes_waiting: usize,
    /// Messages received over its present connections.
    pub messages_received: u64,
    /// Bytes received over its present connections.
    pub bytes_received: u64,
}

/// One line for scripts: `node=… role=… leader=… term=… commit=… applied=… last=… digest=…`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leader = self.leader.as_deref().unwrap_or("none");
        write!(
            f,
            "node={} role={} leader={leader} term={} commit={} applied={} last={} digest={:016x}",
            self.address, self.role, self.term, self.commit, self.applied, self.last, self.digest
        )
    }
}

impl Node {
    /// The node at this moment.
    pub(crate) fn status(&self) -> Status {
        let (calls_sent, calls_waiting) = (self.calls.unanswered(), self.calls.queued());
        let mut status = Status {
            address: self.config.address.clone(),
            node: self.config.node,
            incarnation: self.config.incarnation,
            boot: self.config.boot,
            cluster: self.cluster(),
            role: self.headline().0,
            leader: None,
            term: self.term(),
            commit: Index(0),
            applied: self.applied,
            last: Index(0),
            durable: Index(0),
            digest: self.divergence.latest().map_or(0, |checkpoint| checkpoint.digest),
            peers: Vec::new(),
            waiting_for: Vec::new(),
            log_bytes: 0,
            log_bytes_max: self.config.raft.log_bytes_max,
            inbox_bytes: 0,
            unidentified_connections: 0,
            calls_sent,
            calls_waiting,
            panics: self.panics,
            clock_jumps: 0,
            stopped: self.stopped.clone(),
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
                status.commit = raft.commit();
                status.last = raft.log().last_index();
                status.durable = raft.durable_index();
                status.log_bytes = raft.log().bytes();
                status.clock_jumps = raft.clock().refused();
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
        PeerStatus {
            address,
            node,
            connected,
            match_index,
            next_index,
            refusal: None,
            traffic: Traffic::default(),
        }
    }
}
