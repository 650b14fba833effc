//! What is on its direction between nodes: a queue for each direction of each pair.

use crate::codec::message::Message;
use crate::raft::types::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// A machine: its node keeps the name when its disk is lost and another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host(pub(super) u64);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One direction between two machines.
pub(super) type Direction = (Host, Host);

/// A message, and from whom.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) message: Message,
    /// Not before this time, counted in the steps of `run`, unless a script delivers it by hand.
    pub(super) due: u64,
}

/// All directions between all machines.
#[derive(Debug, Default)]
pub(super) struct ScriptedNetwork {
    links: BTreeMap<Direction, ScriptedLink>,
    /// How often all nodes have ticked together.
    pub(super) now: u64,
}

#[derive(Debug, Default)]
pub(super) struct ScriptedLink {
    pub(super) queue: VecDeque<Packet>,
    /// Nothing gets through, and nobody is told.
    pub(super) cut: bool,
    /// What is sent stays on its direction.
    pub(super) stalled: bool,
    /// What is sent takes so many steps of `run`.
    pub(super) delay: u64,
    /// The ends have accepted each other.
    pub(super) connected: bool,
}

impl ScriptedNetwork {
    pub(super) fn new(hosts: &[Host]) -> ScriptedNetwork {
        let pairs = hosts.iter().flat_map(|from| hosts.iter().map(move |to| (*from, *to)));
        let links = pairs
            .filter(|(from, to)| from != to)
            .map(|direction| (direction, ScriptedLink::default()))
            .collect();
        ScriptedNetwork { links, now: 0 }
    }

    pub(super) fn directions(&self) -> Vec<Direction> {
        self.links.keys().copied().collect()
    }

    pub(super) fn get(&self, direction: Direction) -> &ScriptedLink {
        self.links
            .get(&direction)
            .unwrap_or_else(|| panic!("no link from {} to {}", direction.0, direction.1))
    }

    pub(super) fn get_mut(&mut self, direction: Direction) -> &mut ScriptedLink {
        self.links
            .get_mut(&direction)
            .unwrap_or_else(|| panic!("no link from {} to {}", direction.0, direction.1))
    }

    /// Puts a message on its direction, if there is one.
    pub(super) fn send(&mut self, direction: Direction, from: NodeId, to: NodeId, message: Message) {
        let now = self.now;
        let link = self.get_mut(direction);
        if link.connected && !link.cut {
            let due = now + link.delay;
            link.queue.push_back(Packet { from, to, message, due });
        }
    }

    /// Whether the oldest message on this direction arrives now.
    pub(super) fn is_deliverable(&self, direction: Direction) -> bool {
        let link = self.get(direction);
        !link.stalled && link.queue.front().is_some_and(|packet| packet.due <= self.now)
    }
}
