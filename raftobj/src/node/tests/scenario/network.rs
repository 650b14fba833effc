//! The messages in flight between the servers: a queue for each direction of each pair.

use crate::codec::message::Message;
use crate::raft::types::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Identifies a server. It stays the same when the disk, and with it the node, is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host(pub(super) u64);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One direction between two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Direction {
    pub(super) from: Host,
    pub(super) to: Host,
}

impl Direction {
    pub(super) fn reverse(self) -> Direction {
        Direction { from: self.to, to: self.from }
    }

    /// Whether this server is at one of the ends.
    pub(super) fn touches(self, host: Host) -> bool {
        self.from == host || self.to == host
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{}", self.from, self.to)
    }
}

/// A message in flight.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) message: Message,
    /// The earliest step of `run` that delivers it. A command can deliver it earlier.
    pub(super) due: u64,
}

/// All directions between all servers.
#[derive(Debug, Default)]
pub(super) struct ScriptedNetwork {
    links: BTreeMap<Direction, ScriptedLink>,
    /// Messages set aside, by the name that the script gives them.
    pub(super) aside: BTreeMap<String, Packet>,
    /// How many steps of `run` there have been.
    pub(super) now: u64,
}

/// One direction. Each property is set by a command.
#[derive(Debug, Default)]
pub(super) struct ScriptedLink {
    pub(super) queue: VecDeque<Packet>,
    /// All messages are lost, and neither end is notified.
    pub(super) cut: bool,
    /// Messages stay in the queue.
    pub(super) stalled: bool,
    /// How many steps of `run` a message takes.
    pub(super) delay: u64,
    /// The handshake succeeded.
    pub(super) connected: bool,
}

impl ScriptedNetwork {
    pub(super) fn new(hosts: &[Host]) -> ScriptedNetwork {
        let pairs = hosts.iter().flat_map(|from| hosts.iter().map(|to| Direction { from: *from, to: *to }));
        let directions = pairs.filter(|direction| direction.from != direction.to);
        let links = directions.map(|direction| (direction, ScriptedLink::default())).collect();
        ScriptedNetwork { links, ..ScriptedNetwork::default() }
    }

    pub(super) fn directions(&self) -> Vec<Direction> {
        self.links.keys().copied().collect()
    }

    pub(super) fn get(&self, direction: Direction) -> &ScriptedLink {
        self.links.get(&direction).unwrap_or_else(|| panic!("there is no link {direction}"))
    }

    pub(super) fn get_mut(&mut self, direction: Direction) -> &mut ScriptedLink {
        self.links.get_mut(&direction).unwrap_or_else(|| panic!("there is no link {direction}"))
    }

    /// Sends a message, which is lost if there is no connection.
    pub(super) fn send(&mut self, direction: Direction, from: NodeId, to: NodeId, message: Message) {
        let now = self.now;
        let link = self.get_mut(direction);
        if link.connected && !link.cut {
            let due = now + link.delay;
            link.queue.push_back(Packet { from, to, message, due });
        }
    }

    /// Whether the oldest message of this direction may be delivered now.
    pub(super) fn is_deliverable(&self, direction: Direction) -> bool {
        let link = self.get(direction);
        !link.stalled && link.queue.front().is_some_and(|packet| packet.due <= self.now)
    }
}
