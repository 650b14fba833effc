//! The network: messages in flight, connections, and cut links.
//!
//! A link has one direction. It carries what was sent on the connection that the sender dialled. A cut link holds its
//! messages back, so that old messages arrive late when it heals.

use std::collections::VecDeque;

/// A link with this many messages drops new ones, as a connection whose queue is full does. Dropping the oldest instead
/// would starve a peer that is sent more than this at a time.
const MESSAGES_MAX: usize = 64;

/// How many late copies a link keeps, the latest ones.
const ECHOES_MAX: usize = 8;

/// All links of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    nodes: usize,
    links: Vec<NetworkLink>,
}

/// The link between two machines, in one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkLink {
    messages: VecDeque<Vec<u8>>,
    /// Late copies: of messages that were repeated, and the last messages of a process that has ended.
    echoes: VecDeque<Vec<u8>>,
    /// Which of the receiver's processes the sender dialled; `None` without a connection.
    connected: Option<u64>,
    cut: bool,
}

impl Network {
    pub(crate) fn new(nodes: u8) -> Network {
        let nodes = usize::from(nodes);
        Network { nodes, links: vec![NetworkLink::default(); nodes * nodes] }
    }

    pub(crate) fn at(&mut self, from: usize, to: usize) -> &mut NetworkLink {
        &mut self.links[from * self.nodes + to]
    }

    pub(crate) fn get(&self, from: usize, to: usize) -> &NetworkLink {
        &self.links[from * self.nodes + to]
    }

    /// The links with a message that can arrive now, as (from, to).
    pub(crate) fn busy(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let busy = self.links.iter().enumerate().filter(|(_, link)| !link.cut && !link.messages.is_empty());
        busy.map(|(at, _)| (at / self.nodes, at % self.nodes))
    }

    /// The links with late copies, as (from, to).
    pub(crate) fn echoing(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let echoing = self.links.iter().enumerate().filter(|(_, link)| !link.cut && !link.echoes.is_empty());
        echoing.map(|(at, _)| (at / self.nodes, at % self.nodes))
    }

    /// The links that are not cut and have no connection, as (from, to).
    pub(crate) fn unconnected(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let missing = self.links.iter().enumerate().filter(|(_, link)| !link.cut && link.connected.is_none());
        missing.map(|(at, _)| (at / self.nodes, at % self.nodes)).filter(|(from, to)| from != to)
    }

    pub(crate) fn any_cut(&self) -> bool {
        self.links.iter().any(|link| link.cut)
    }

    /// Cuts exactly the links for which `cut` is true, and heals the others. Returns whether that changed any.
    pub(crate) fn cut_where(&mut self, cut: impl Fn(usize, usize) -> bool) -> bool {
        let mut changed = false;
        for from in 0..self.nodes {
            for to in 0..self.nodes {
                let cut = from != to && cut(from, to);
                changed |= std::mem::replace(&mut self.at(from, to).cut, cut) != cut;
            }
        }
        changed
    }

    /// A machine's process has ended. Its peers may still receive its last messages, perhaps after those of its next
    /// process. Messages in flight to it are lost.
    pub(crate) fn process_ended(&mut self, server: usize) {
        for other in 0..self.nodes {
            let link = self.at(server, other);
            link.connected = None;
            while let Some(message) = link.messages.pop_front() {
                link.keep_echo(message);
            }
            self.at(other, server).messages.clear();
            self.at(other, server).echoes.clear();
        }
    }
}

impl NetworkLink {
    /// Sends a message, or drops it if the link is full.
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push_back(message);
        }
    }

    /// Takes the `nth` message in flight, counted from the oldest.
    pub(crate) fn take(&mut self, nth: usize) -> Option<Vec<u8>> {
        if self.cut || self.messages.is_empty() {
            return None;
        }
        let nth = nth % self.messages.len();
        self.messages.remove(nth)
    }

    /// A copy of the `nth` message in flight. The message stays, and a late copy is kept, too.
    pub(crate) fn repeat(&mut self, nth: usize) -> Option<Vec<u8>> {
        if self.cut || self.messages.is_empty() {
            return None;
        }
        let message = self.messages.get(nth % self.messages.len())?.clone();
        self.keep_echo(message.clone());
        Some(message)
    }

    /// Keeps late copies of all messages in flight.
    pub(crate) fn copy_to_echoes(&mut self) {
        self.messages.clone().into_iter().for_each(|message| self.keep_echo(message));
    }

    fn keep_echo(&mut self, message: Vec<u8>) {
        if self.echoes.len() == ECHOES_MAX {
            self.echoes.pop_front();
        }
        self.echoes.push_back(message);
    }

    /// Takes the oldest late copy.
    pub(crate) fn take_echo(&mut self) -> Option<Vec<u8>> {
        if self.cut { None } else { self.echoes.pop_front() }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn lose_all(&mut self) {
        self.messages.clear();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Cuts the link. Returns whether that changed it.
    pub(crate) fn cut(&mut self) -> bool {
        !std::mem::replace(&mut self.cut, true)
    }

    pub(crate) fn connected(&self) -> Option<u64> {
        self.connected
    }

    pub(crate) fn connect(&mut self, life: u64) {
        self.connected = Some(life);
    }

    pub(crate) fn disconnect(&mut self) -> bool {
        self.connected.take().is_some()
    }
}
