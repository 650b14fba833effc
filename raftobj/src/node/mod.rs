//! A whole node without I/O: the protocol, the calls of this process, the founding of the cluster and the comparison with
//! other replicas, composed.
//!
//! Pure: events come in as method calls, and their effects go out in [`Effects`]. A driver runs a node on threads, sockets
//! and files; a test or a simulator runs the same node under a seed. It never sees tokio, a file, a socket or the user's
//! object: committed entries go out to be applied, and the result comes back in [`Node::applied`].
//!
//! Begin with [`Node::effects`]. The topics: `interface` (what goes in and out), `handshake` (which peers are accepted),
//! `proposals` (calls into the log), `founding`, `gossip` and `divergence` (comparison of replicas), `status`.

pub(crate) mod divergence;
pub(crate) mod founding;
mod gossip;
mod handshake;
mod interface;
mod log_size;
mod proposals;
pub(crate) mod status;
#[cfg(test)]
mod tests;

use crate::calls::appended::AppendedCalls;
use crate::calls::{CallId, Calls, LeaderId, ReadTicket};
use crate::codec::command::SessionId;
use crate::codec::membership::cluster_id;
use crate::codec::message::{Announcement, Message};
use crate::codec::method::MethodId;
use crate::object::machine::Applied;
use crate::planted::planted;
use crate::raft::membership::Membership;
use crate::raft::message::Envelope;
use crate::raft::types::{Entry, Index, NodeId, Term, Ticks, Time};
use crate::raft::{PersistId, Raft, Restored};
use bytes::Bytes;
pub(crate) use interface::{Effects, FoundingWrite, LOG_PAGE_ENTRIES, LogPage, NodeConfig, PersistentState};

use divergence::DivergenceDetector;
use founding::{Founding, FoundingStep};
use log_size::LogSizeWatch;
use status::{Leadership, Role};
use std::collections::{BTreeMap, BTreeSet};

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    config: NodeConfig,
    formation: Formation,
    calls: Calls,
    /// While it leads: what it has appended.
    appended: AppendedCalls,
    divergence: DivergenceDetector,
    now: Ticks,
    /// The machine's clock at the last tick.
    time: Time,
    /// How many connections to each peer this node can send on.
    connections: BTreeMap<NodeId, u32>,
    /// Why the last handshake at an address that this node dials was refused, by either end.
    refusals: BTreeMap<String, String>,
    /// Peers' methods of other types that a warning was logged for.
    warned_methods: BTreeSet<(String, MethodId)>,
    /// Members whose forwarded calls a warning was logged for.
    warned_members: BTreeSet<NodeId>,
    /// The last known `log_bytes_max` of each member.
    log_limits: BTreeMap<String, u64>,
    log_size: LogSizeWatch,
    applied: Index,
    panics: u64,
    /// Whether this node's disk has no space for the next segment of its log, or not for its reserve.
    disk_nearly_full: bool,
    /// Why the node has stopped, if it has.
    stopped: Option<String>,
    effects: Effects,
}

/// Whether the cluster is formed.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Formation {
    Founding(Founding),
    Formed { raft: Raft, cluster: u64 },
}

impl Node {
    /// A node that starts for the first time, or again.
    pub(crate) fn new(config: NodeConfig, persistent_state: PersistentState) -> Node {
        let session = SessionId { node: config.node, incarnation: config.incarnation, boot: config.boot };
        let mut calls = Calls::new(session, config.calls.clone());
        let formation = match persistent_state.formed {
            Some(membership) => {
                let cluster = cluster_id(&membership);
                let (hard_state, entries) = (persistent_state.hard_state, persistent_state.entries);
                let restored = Restored { hard_state, entries, ..Restored::default() };
                Formation::Formed { raft: Raft::new(config.raft.clone(), membership, restored), cluster }
            }
            None => {
                let (list, proposal) = (&config.founders, persistent_state.proposal);
                let founding =
                    Founding::new(config.node, config.incarnation, &config.address, list, proposal);
                calls.founding(founding.waiting_for());
                Formation::Founding(founding)
            }
        };
        let mut node = Node {
            config,
            formation,
            calls,
            appended: AppendedCalls::default(),
            divergence: DivergenceDetector::default(),
            now: Ticks(0),
            time: Time(0),
            connections: BTreeMap::new(),
            refusals: BTreeMap::new(),
            warned_methods: BTreeSet::new(),
            warned_members: BTreeSet::new(),
            log_limits: BTreeMap::new(),
            log_size: LogSizeWatch::default(),
            applied: Index(0),
            panics: 0,
            disk_nearly_full: false,
            stopped: None,
            effects: Effects::default(),
        };
        if let Formation::Founding(founding) = &mut node.formation {
            let step = founding.start();
            node.take_founding_step(step);
        }
        node
    }

    /// A tick has passed; `now` is the machine's clock.
    pub(crate) fn tick(&mut self, now: Time) {
        self.now.0 += 1;
        self.time = now;
        if self.stopped.is_some() {
            return;
        }
        if let Formation::Formed { raft, .. } = &mut self.formation {
            let stalls = raft.disk_stalls();
            if !raft.tick(now) {
                let warning = "this machine's clock jumped forward; entries are stamped as if it had not";
                self.effects.warnings.push(warning.to_owned());
            }
            if raft.disk_stalls() > stalls {
                let ms = self.config.raft.disk_stall_ticks_max.0 * self.config.raft.tick_ms;
                self.effects.warnings.push(format!(
                    "the disk of this node has completed no write for {ms} ms, and a majority of the others is ahead: this \
                     node stops leading; check its disk"
                ));
            }
        }
        if let Formation::Formed { raft, .. } = &self.formation {
            let warning = self.log_size.check(raft.log().bytes(), self.config.raft.log_bytes_max);
            self.effects.warnings.extend(warning);
        }
        self.calls.tick(self.now);
        if self.now.0.is_multiple_of(self.config.gossip_ticks.0) {
            self.gossip();
        }
    }

    /// A message of a peer whose hello was accepted.
    pub(crate) fn receive(&mut self, from: NodeId, message: Message) {
        if self.stopped.is_some() {
            return;
        }
        match (message, &mut self.formation) {
            (Message::Raft(term, message), Formation::Formed { raft, .. }) => {
                raft.step(Envelope { from, to: self.config.node, term, message });
            }
            (Message::Calls(commands), Formation::Formed { .. }) => self.propose_forwarded(from, commands),
            (Message::CallsRefused { from: number, why }, _) => self.calls.refused(from, number, why),
            (Message::Founding(announcement), Formation::Founding(founding)) => {
                let step = founding.receive(from, &announcement);
                self.take_founding_step(step);
            }
            (Message::Founding(announcement), Formation::Formed { raft, .. }) => {
                // The peer still waits. It may be a member of this cluster, which has formed.
                if !matches!(announcement, Announcement::Formed(_)) {
                    let formed = Announcement::Formed(raft.membership().clone());
                    self.effects.messages.push((from, Message::Founding(formed)));
                }
            }
            (Message::Digest { index, digest }, _) => {
                let question = self.divergence.receive_digest(from, index, digest);
                self.send_question(question);
            }
            (Message::DigestsWanted { upto }, _) => {
                self.effects.messages.push((from, self.divergence.reply(upto)));
            }
            (Message::Digests { first, digests }, _) => self.receive_digests(from, first, &digests),
            // A node takes part in the protocol only once its cluster is formed.
            (Message::Raft(..) | Message::Calls(_), Formation::Founding(_)) => {}
        }
    }

    /// A connection to send on was made, to a peer whose hello was accepted.
    pub(crate) fn connected(&mut self, peer: NodeId) {
        *self.connections.entry(peer).or_default() += 1;
        match &mut self.formation {
            Formation::Founding(founding) => {
                self.effects.messages.push((peer, Message::Founding(founding.announcement())));
                let step = founding.connected(peer);
                self.take_founding_step(step);
            }
            Formation::Formed { raft, .. } => {
                raft.restart_probe(peer);
                self.calls.reconnected(peer);
            }
        }
    }

    /// A connection to send on has ended.
    pub(crate) fn disconnected(&mut self, peer: NodeId) {
        let Some(connections) = self.connections.get_mut(&peer) else { return };
        *connections = connections.saturating_sub(1);
        if *connections == 0
            && let Formation::Founding(founding) = &mut self.formation
        {
            founding.disconnected(peer);
            self.take_founding_step(FoundingStep::Wait);
        }
    }

    /// A caller of this process submits a call, which [`effects`](Node::effects) sends. It ends `deadline` ticks from now at
    /// the latest.
    pub(crate) fn call(&mut self, call: CallId, method: MethodId, arguments: Bytes, deadline: Ticks) {
        self.calls.submit(call, method, arguments, Ticks(self.now.0.saturating_add(deadline.0)));
    }

    /// Sets the deadline of a call to `deadline` ticks from now.
    pub(crate) fn set_deadline(&mut self, call: CallId, deadline: Ticks) {
        self.calls.set_deadline(call, Ticks(self.now.0.saturating_add(deadline.0)));
    }

    /// A caller of this process reads what was committed before now. The read ends `deadline` ticks from now at the latest.
    pub(crate) fn read(&mut self, ticket: ReadTicket, deadline: Ticks) {
        self.calls.read(ticket, Ticks(self.now.0.saturating_add(deadline.0)));
    }

    /// All writes up to this one are durable.
    pub(crate) fn persisted(&mut self, id: PersistId) {
        if let Formation::Formed { raft, .. } = &mut self.formation {
            raft.persisted(id);
        }
    }

    /// A step of the founding is durable.
    pub(crate) fn founding_written(&mut self, written: &FoundingWrite) {
        let Formation::Founding(founding) = &mut self.formation else { return };
        match written {
            FoundingWrite::Proposal(membership) => {
                let step = founding.proposal_written(membership);
                self.take_founding_step(step);
            }
            FoundingWrite::Formed { membership, cluster } => {
                let restored = Restored { time: self.time, ..Restored::default() };
                let raft = Raft::new(self.config.raft.clone(), membership.clone(), restored);
                self.formation = Formation::Formed { raft, cluster: *cluster };
                self.calls.formed();
                self.report_refusals();
                self.send_to_all(&Message::Founding(Announcement::Formed(membership.clone())));
            }
        }
    }

    /// This node's disk is nearly full, or has space again. Meanwhile a leader refuses new calls: what the log still has room
    /// for is kept for elections, and for the entries that are under way.
    pub(crate) fn set_disk_nearly_full(&mut self, is_nearly_full: bool) {
        if self.disk_nearly_full != is_nearly_full && self.stopped.is_none() {
            self.effects.warnings.push(match is_nearly_full {
                true => "the disk is nearly full: while this node leads, new calls are refused; free space on the disk of \
                         the data directory, and the node continues by itself"
                    .to_owned(),
                false => "the disk has space again".to_owned(),
            });
        }
        self.disk_nearly_full = is_nearly_full;
    }

    /// Committed entries were applied. Decisions about calls of this node end them.
    pub(crate) fn applied(&mut self, applied: Applied) {
        let Applied { upto, time: _, checkpoints, decisions, panics, stop } = applied;
        self.applied = upto.index;
        self.panics += panics;
        if let Formation::Formed { raft, .. } = &mut self.formation {
            raft.applied(upto.index);
        }
        decisions.into_iter().for_each(|decision| self.calls.decided(decision));
        self.calls.applied(upto.index);
        let question = self.divergence.applied(&checkpoints);
        self.send_question(question);
        if let Some(stop) = stop {
            self.stop(&stop.to_string());
        }
    }

    /// Ends the node: every call and read ends, and nothing is sent any more.
    pub(crate) fn stop(&mut self, reason: &str) {
        if self.stopped.is_none() {
            self.stopped = Some(reason.to_owned());
            self.calls.stop(reason);
        }
    }

    /// Why the node has stopped, if it has.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// The effects of all events since the last time; `None` where there are none.
    pub(crate) fn effects(&mut self) -> Option<Effects> {
        // Commands go to raft, its replies end calls and reads, and ended calls make room for others: repeat until nothing
        // changes.
        loop {
            let mut changed = false;
            if self.stopped.is_none() {
                let leader = self.leader();
                let leads = leader.is_some_and(|leader| leader.node == self.config.node);
                self.calls.set_leader(leader);
                self.calls.set_own_disk_is_full(leads && self.disk_nearly_full);
            }
            let ready = self.calls.ready();
            changed |= !ready.is_empty();
            self.send_calls(ready);
            if self.stopped.is_none()
                && let Formation::Formed { raft, .. } = &mut self.formation
                && let Some(ready) = raft.ready()
            {
                changed |= !ready.reads.is_empty();
                let messages = ready.messages.into_iter();
                self.effects.messages.extend(messages.map(|m| (m.to, Message::Raft(m.term, m.message))));
                self.effects.persists.extend(ready.persist);
                self.effects.committed.extend(ready.committed);
                ready.reads.into_iter().for_each(|read| self.calls.read_index_reply(read.id, read.index));
            }
            if !changed || planted!(EffectsInOneRound) {
                break;
            }
        }
        (!self.effects.is_empty()).then(|| std::mem::take(&mut self.effects))
    }

    /// Carries out the next step of the founding.
    fn take_founding_step(&mut self, step: FoundingStep) {
        let Formation::Founding(founding) = &self.formation else { return };
        self.calls.founding(founding.waiting_for());
        match step {
            FoundingStep::Wait => {}
            FoundingStep::WriteProposal(membership) => {
                self.effects.founding = Some(FoundingWrite::Proposal(membership));
            }
            FoundingStep::Announce => self.send_to_all(&Message::Founding(founding.announcement())),
            FoundingStep::Form(membership) => {
                // The others need this announcement to form, too. Gossip repeats it until they have.
                self.send_to_all(&Message::Founding(founding.announcement()));
                let cluster = cluster_id(&membership);
                self.effects.founding = Some(FoundingWrite::Formed { membership, cluster });
            }
        }
    }

    /// Sends a message to every peer that is connected.
    fn send_to_all(&mut self, message: &Message) {
        let connected: Vec<NodeId> =
            self.connections.iter().filter(|(_, n)| **n > 0).map(|(id, _)| *id).collect();
        self.effects.messages.extend(connected.into_iter().map(|peer| (peer, message.clone())));
    }

    fn leader(&self) -> Option<LeaderId> {
        match &self.formation {
            Formation::Formed { raft, .. } => raft.leader().map(|node| LeaderId { node, term: raft.term() }),
            Formation::Founding(_) => None,
        }
    }

    fn cluster(&self) -> Option<u64> {
        match &self.formation {
            Formation::Formed { cluster, .. } => Some(*cluster),
            Formation::Founding(_) => None,
        }
    }

    fn membership(&self) -> Option<&Membership> {
        match &self.formation {
            Formation::Formed { raft, .. } => Some(raft.membership()),
            Formation::Founding(_) => None,
        }
    }

    /// The current term; zero while the cluster is founded.
    pub(crate) fn term(&self) -> Term {
        match &self.formation {
            Formation::Formed { raft, .. } => raft.term(),
            Formation::Founding(_) => Term(0),
        }
    }

    /// Its role and its leader, which change seldom.
    pub(crate) fn leadership(&self) -> Leadership {
        let (role, leader) = match &self.formation {
            _ if self.stopped.is_some() => (Role::Stopped, None),
            Formation::Founding(_) => (Role::Founding, None),
            Formation::Formed { raft, .. } if raft.is_leader() => (Role::Leader, raft.leader()),
            Formation::Formed { raft, .. } if raft.is_candidate() => (Role::Candidate, None),
            Formation::Formed { raft, .. } => (Role::Follower, raft.leader()),
        };
        Leadership { role, term: self.term(), leader }
    }

    /// Whether this node has proposed a membership, or its cluster has formed.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn has_proposed(&self) -> bool {
        match &self.formation {
            Formation::Founding(founding) => founding.has_proposed(),
            Formation::Formed { .. } => true,
        }
    }

    /// The protocol, once the cluster is formed.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn raft(&self) -> Option<&Raft> {
        match &self.formation {
            Formation::Formed { raft, .. } => Some(raft),
            Formation::Founding(_) => None,
        }
    }

    /// A part of the log, oldest first: at most [`LOG_PAGE_ENTRIES`], because heartbeats wait meanwhile. `None` if the
    /// entry that it should follow was replaced.
    pub(crate) fn log_page(&self, page: LogPage) -> Option<Vec<Entry>> {
        let Formation::Formed { raft, .. } = &self.formation else { return Some(Vec::new()) };
        let (first, last) = (raft.log().first_index(), raft.log().last_index());
        let (from, count) = match page {
            LogPage::Last(count) => (Index((last.0 + 1).saturating_sub(count as u64)).max(first), count),
            LogPage::After(id, count) => {
                if raft.log().term_at(id.index) != Some(id.term) {
                    return None;
                }
                (id.index.next(), count)
            }
        };
        Some(raft.log().iter_from(from).take(count.min(LOG_PAGE_ENTRIES)).cloned().collect())
    }
}
