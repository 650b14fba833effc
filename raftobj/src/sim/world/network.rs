//! The network: what is on its way between two machines, which connections there are, and what is cut.
//!
//! A link is one direction. It carries what was sent on the connection that the sender dialled; a cut holds messages
//! back, so that what is old arrives late when it heals.

use std::collections::VecDeque;

/// A link with so many messages takes no more, as a connection whose queue is full: dropping the oldest instead would
/// starve a peer for ever that is sent more than this at a time.
const MESSAGES_MAX: usize = 64;

/// So many messages stay behind on one link, the latest.
const ECHOES_MAX: usize = 8;

/// All links of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    nodes: usize,
    links: Vec<Link>,
}

/// What is between two machines, in one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    messages: VecDeque<Vec<u8>>,
    /// What stayed behind: copies of messages that were repeated, and what a process that is gone sent last.
    echoes: VecDeque<Vec<u8>>,
    /// The life of the receiver that the sender dialled; `None` while there is no connection.
    connected: Option<u64>,
    cut: bool,
}

impl Links {
    pub(crate) fn new(nodes: u8) -> Links {
        let nodes = usize::from(nodes);
        Links { nodes, links: vec![Link::default(); nodes * nodes] }
    }

    pub(crate) fn at(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }

    pub(crate) fn get(&self, from: usize, to: usize) -> &Link {
        &self.links[from * self.nodes + to]
    }

    /// The links on which something could arrive now, as (from, to).
    pub(crate) fn busy(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let busy = self.links.iter().enumerate().filter(|(_, link)| !link.cut && !link.messages.is_empty());
        busy.map(|(at, _)| (at / self.nodes, at % self.nodes))
    }

    /// The links on which something stayed behind, as (from, to).
    pub(crate) fn echoing(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let echoing = self.links.iter().enumerate().filter(|(_, link)| !link.cut && !link.echoes.is_empty());
        echoing.map(|(at, _)| (at / self.nodes, at % self.nodes))
    }

    /// Machines that could dial another and have no connection to it, as (from, to).
    pub(crate) fn unconnected(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let missing = self.links.iter().enumerate().filter(|(_, link)| !link.cut && link.connected.is_none());
        missing.map(|(at, _)| (at / self.nodes, at % self.nodes)).filter(|(from, to)| from != to)
    }

    pub(crate) fn any_cut(&self) -> bool {
        self.links.iter().any(|link| link.cut)
    }

    /// Cuts exactly the links for which `cut` is true. Returns whether that changed any.
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

    /// A machine's process is gone: whoever it had dialled may still read what it sent last, perhaps after what its next
    /// process sends; what was on its way to it is lost.
    pub(crate) fn process_gone(&mut self, server: usize) {
        for other in 0..self.nodes {
            let link = self.at(server, other);
            link.connected = None;
            while let Some(message) = link.messages.pop_front() {
                link.stay_behind(message);
            }
            self.at(other, server).messages.clear();
            self.at(other, server).echoes.clear();
        }
    }
}

impl Link {
    /// Puts a message on its way, or drops it where there is no room.
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push_back(message);
        }
    }

    /// Takes the `nth` message that waits, counted from the oldest.
    pub(crate) fn take(&mut self, nth: usize) -> Option<Vec<u8>> {
        if self.cut || self.messages.is_empty() {
            return None;
        }
        let nth = nth % self.messages.len();
        self.messages.remove(nth)
    }

    /// A copy of the `nth` message that waits. Another one stays behind.
    pub(crate) fn repeat(&mut self, nth: usize) -> Option<Vec<u8>> {
        if self.cut || self.messages.is_empty() {
            return None;
        }
        let message = self.messages.get(nth % self.messages.len())?.clone();
        self.stay_behind(message.clone());
        Some(message)
    }

    /// Copies of what waits stay behind.
    pub(crate) fn copy_all(&mut self) {
        self.messages.clone().into_iter().for_each(|message| self.stay_behind(message));
    }

    fn stay_behind(&mut self, message: Vec<u8>) {
        if self.echoes.len() == ECHOES_MAX {
            self.echoes.pop_front();
        }
        self.echoes.push_back(message);
    }

    /// Takes the oldest message that stayed behind.
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

    /// Cuts it. Returns whether it was whole.
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
