//! The network: what is on its way between two machines, which connections there are, and what is cut.
//!
//! A link is one direction. It carries what was sent on the connection that the sender dialled; a cut holds messages
//! back, so that what is old arrives late when it heals.

use std::collections::VecDeque;

/// Messages beyond this on one link are lost, as they are where a connection's queue is full.
const MESSAGES_MAX: usize = 64;

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

    /// Machines that could dial another and have no connection to it, as (from, to).
    pub(crate) fn unconnected(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let missing = self.links.iter().enumerate().filter(|(_, link)| !link.cut && link.connected.is_none());
        missing.map(|(at, _)| (at / self.nodes, at % self.nodes)).filter(|(from, to)| from != to)
    }

    /// Cuts exactly the links for which `cut` is true.
    pub(crate) fn cut_where(&mut self, cut: impl Fn(usize, usize) -> bool) {
        for from in 0..self.nodes {
            for to in 0..self.nodes {
                self.at(from, to).cut = from != to && cut(from, to);
            }
        }
    }

    /// A machine's process is gone: whoever it had dialled may still read what it sent; what was on its way to it
    /// is lost.
    pub(crate) fn process_gone(&mut self, server: usize) {
        for other in 0..self.nodes {
            self.at(server, other).connected = None;
            self.at(other, server).messages.clear();
        }
    }
}

impl Link {
    /// Puts a message on its way, where there is room.
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

    /// Looks at the `nth` message that waits.
    pub(crate) fn peek(&self, nth: usize) -> Option<&Vec<u8>> {
        if self.cut || self.messages.is_empty() {
            return None;
        }
        self.messages.get(nth % self.messages.len())
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

    pub(crate) fn cut(&mut self) {
        self.cut = true;
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
