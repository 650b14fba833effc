//! A whole node without the world around it: the protocol, the calls of this process, the founding, and the
//! comparison with other replicas, composed.
//!
//! Pure: events come in as method calls, all that follows goes out in [`Effects`]. A driver runs it on threads,
//! sockets and files; a test or a simulator runs the same node under a seed. It never sees tokio, a file or a
//! socket, nor the user's object: entries go out to be applied, and what applying them did comes back.
//!
//! Begin with [`Node::effects`]. The topics: `interface` (what goes in and out), `handshake` (whom it talks
//! to), `proposals` (calls into the log), `founding`, `divergence`, `status`.

pub(crate) mod divergence;
pub(crate) mod founding;
mod handshake;
mod interface;
mod proposals;
pub(crate) mod status;
#[cfg(test)]
mod tests;

use crate::calls::{CallId, Calls, LeaderId, ReadTicket};
use crate::codec::command::SessionId;
use crate::codec::membership::cluster_id;
use crate::codec::message::{Announcement, Message};
use crate::codec::method::MethodId;
use crate::marks::mark;
use crate::object::machine::Applied;
use crate::planted::planted;
use crate::raft::membership::Membership;
use crate::raft::message::Envelope;
use crate::raft::types::{Entry, Index, NodeId, Term, Ticks, Time};
use crate::raft::{PersistId, Raft, Restored};
use bytes::Bytes;
pub(crate) use interface::{Effects, FoundingWrite, NodeConfig, PersistentState};

use divergence::{Divergence, DivergenceDetector};
use founding::{Founding, FoundingStep};
use status::Role;
use std::collections::{BTreeMap, BTreeSet};

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    config: NodeConfig,
    formation: Formation,
    calls: Calls,
    divergence: DivergenceDetector,
    now: Ticks,
    /// What the machine's clock said at the last tick.
    time: Time,
    /// How many connections this node has to each peer to send on.
    connections: BTreeMap<NodeId, u32>,
    /// Differences in methods' types that were warned of.
    warned: BTreeSet<(String, MethodId)>,
    /// Members that forwarded a call which cannot be applied here.
    barred: BTreeSet<NodeId>,
    applied: Index,
    panics: u64,
    stopped: Option<String>,
    effects: Effects,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Formation {
    Founding(Founding),
    Formed { raft: Raft, cluster: u64 },
}

impl Node {
    /// A node that starts, or starts again.
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
            divergence: DivergenceDetector::default(),
            now: Ticks(0),
            time: Time(0),
            connections: BTreeMap::new(),
            warned: BTreeSet::new(),
            barred: BTreeSet::new(),
            applied: Index(0),
            panics: 0,
            stopped: None,
            effects: Effects::default(),
        };
        if let Formation::Founding(founding) = &mut node.formation {
            let step = founding.begin();
            node.found(step);
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
        if let Formation::Formed { raft, .. } = &mut self.formation
            && !raft.tick(now)
        {
            let warning =
                "this machine's clock jumped forward; entries are stamped as if it had not".to_owned();
            self.effects.warnings.push(warning);
        }
        self.calls.tick(self.now);
        if self.now.0.is_multiple_of(self.config.gossip_ticks.0) {
            self.gossip();
        }
    }

    /// A message of a peer that was judged.
    pub(crate) fn receive(&mut self, from: NodeId, message: Message) {
        if self.stopped.is_some() {
            return;
        }
        match (message, &mut self.formation) {
            (Message::Raft(term, message), Formation::Formed { raft, .. }) => {
                raft.step(Envelope { from, to: self.config.node, term, message });
            }
            (Message::Calls(commands), Formation::Formed { .. }) => self.propose_for(from, commands),
            (Message::CallsRefused { from: number, why }, _) => self.calls.refused(from, number, why),
            (Message::Founding(announcement), Formation::Founding(founding)) => {
                let step = founding.heard(from, &announcement);
                self.found(step);
            }
            (Message::Founding(announcement), Formation::Formed { raft, .. }) => {
                // A node that still waits is told that the cluster is formed: it may be in it.
                if !matches!(announcement, Announcement::Formed(_)) {
                    let formed = Announcement::Formed(raft.membership().clone());
                    self.effects.messages.push((from, Message::Founding(formed)));
                }
            }
            (Message::Digest { index, digest }, _) => {
                let question = self.divergence.claimed(from, index, digest);
                self.ask_members(question);
            }
            (Message::DigestsWanted { upto }, _) => {
                self.effects.messages.push((from, self.divergence.answer(upto)));
            }
            (Message::Digests { first, digests }, _) => self.compare(from, first, &digests),
            // Nothing of the protocol is for a node that is not in a formed cluster.
            (Message::Raft(..) | Message::Calls(_), Formation::Founding(_)) => {}
        }
    }

    /// A connection to send on was made to a peer that was judged.
    pub(crate) fn connected(&mut self, peer: NodeId) {
        *self.connections.entry(peer).or_default() += 1;
        match &mut self.formation {
            Formation::Founding(founding) => {
                self.effects.messages.push((peer, Message::Founding(founding.announcement())));
            }
            Formation::Formed { raft, .. } => {
                raft.restart_probe(peer);
                self.calls.reconnected(peer);
            }
        }
    }

    /// A connection to send on has ended.
    pub(crate) fn disconnected(&mut self, peer: NodeId) {
        if let Some(connections) = self.connections.get_mut(&peer) {
            *connections = connections.saturating_sub(1);
        }
    }

    /// This process makes a call. It ends at `deadline` ticks from now at the latest.
    pub(crate) fn call(&mut self, call: CallId, method: MethodId, arguments: Bytes, deadline: Ticks) {
        self.calls.submit(call, method, arguments, Ticks(self.now.0.saturating_add(deadline.0)));
    }

    /// A call gets another deadline, `deadline` ticks from now.
    pub(crate) fn set_deadline(&mut self, call: CallId, deadline: Ticks) {
        self.calls.set_deadline(call, Ticks(self.now.0.saturating_add(deadline.0)));
    }

    /// This process wants to read what was committed before now. It ends at `deadline` ticks from now at the latest.
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
                self.found(step);
            }
            FoundingWrite::Formed { membership, cluster } => {
                let restored = Restored { time: self.time, ..Restored::default() };
                let raft = Raft::new(self.config.raft.clone(), membership.clone(), restored);
                self.formation = Formation::Formed { raft, cluster: *cluster };
                self.calls.formed();
                self.tell_all(&Message::Founding(Announcement::Formed(membership.clone())));
            }
        }
    }

    /// Committed entries were applied.
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
        self.ask_members(question);
        if let Some(stop) = stop {
            self.stop(&stop.to_string());
        }
    }

    /// Ends the node: every call and read ends, nothing is sent any more.
    pub(crate) fn stop(&mut self, reason: &str) {
        if self.stopped.is_none() {
            self.stopped = Some(reason.to_owned());
            self.calls.stop(reason);
        }
    }

    /// Why the node does nothing any more, if so.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// What follows from all events since the last time; `None` where there is nothing to do.
    pub(crate) fn effects(&mut self) -> Option<Effects> {
        // Calls go into the log, the log's answers end calls, and those make room for others: until nothing moves.
        loop {
            let mut moved = false;
            if self.stopped.is_none() {
                self.calls.set_leader(self.leader());
            }
            let ready = self.calls.ready();
            moved |= !ready.is_empty();
            self.serve(ready);
            if self.stopped.is_none()
                && let Formation::Formed { raft, .. } = &mut self.formation
                && let Some(ready) = raft.ready()
            {
                moved |= !ready.reads.is_empty();
                let messages = ready.messages.into_iter();
                self.effects.messages.extend(messages.map(|m| (m.to, Message::Raft(m.term, m.message))));
                self.effects.persists.extend(ready.persist);
                self.effects.committed.extend(ready.committed);
                ready.reads.into_iter().for_each(|read| self.calls.read_index_reply(read.id, read.index));
            }
            if !moved || planted!(EffectsInOneRound) {
                break;
            }
        }
        (!self.effects.is_empty()).then(|| std::mem::take(&mut self.effects))
    }

    /// Does what the founding needs next.
    fn found(&mut self, step: FoundingStep) {
        let Formation::Founding(founding) = &self.formation else { return };
        self.calls.founding(founding.waiting_for());
        match step {
            FoundingStep::Wait => {}
            FoundingStep::Write(list) => self.effects.founding = Some(FoundingWrite::Proposal(list)),
            FoundingStep::Announce => self.tell_all(&Message::Founding(founding.announcement())),
            FoundingStep::Form(membership) => {
                // The others need this node's announcement to form as well; they get it again until they have.
                self.tell_all(&Message::Founding(founding.announcement()));
                let cluster = cluster_id(&membership);
                self.effects.founding = Some(FoundingWrite::Formed { membership, cluster });
            }
        }
    }

    /// Tells the others, now and then, what they may have missed.
    fn gossip(&mut self) {
        match &self.formation {
            Formation::Founding(founding) => {
                let announcement = founding.announcement();
                mark!(AnnouncementRepeated if matches!(announcement, Announcement::Proposed(_)));
                self.tell_all(&Message::Founding(announcement));
            }
            Formation::Formed { raft, .. } => {
                let found = self.divergence.round(raft.membership(), self.config.node);
                self.act_on(found);
                self.ask_members(self.divergence.question());
                if let Some(latest) = self.divergence.latest() {
                    self.tell_all(&Message::Digest { index: latest.index, digest: latest.digest });
                }
            }
        }
    }

    fn ask_members(&mut self, question: Option<Message>) {
        if let Some(question) = question {
            self.tell_all(&question);
        }
    }

    /// A peer has told its digests.
    fn compare(&mut self, from: NodeId, first: Index, digests: &[u64]) {
        let Formation::Formed { raft, .. } = &self.formation else { return };
        let found = self.divergence.told(from, first, digests, raft.membership(), self.config.node);
        self.act_on(found);
    }

    /// The node that is alone with its state stops. Where no majority agrees on any state, all stop but the leader,
    /// which then serves nobody.
    fn act_on(&mut self, found: Option<Divergence>) {
        let Some(difference) = found else { return };
        if planted!(DivergenceGoesOn) {
            return;
        }
        let is_leader = self.leader().is_some_and(|leader| leader.node == self.config.node);
        let method = difference.method.map_or("no method", |method| self.config.method_name(method));
        let index = difference.index;
        let what = if difference.exact {
            format!("replicas differ from index {index} on, after `{method}`")
        } else {
            format!("replicas differ at index {index}, and did before what they remember of it")
        };
        let cause = "The method is not deterministic, or runs in different versions: correct it on all nodes, then \
                     start them again";
        mark!(DivergenceOutvoted if difference.outvoted);
        mark!(DivergenceUndecided if !difference.outvoted && !difference.confirmed);
        if difference.outvoted {
            self.stop(&format!("{what}: this node is alone with its state. {cause}"));
        } else if difference.confirmed {
            self.effects.warnings.push(format!("{what}: this node agrees with the majority"));
        } else if is_leader {
            let rest =
                "no majority agrees on any state; the others stop, and without them nothing is acknowledged";
            self.effects.warnings.push(format!("{what}: {rest}. {cause}"));
        } else {
            self.stop(&format!("{what}: no majority agrees on any state. {cause}"));
        }
    }

    fn tell_all(&mut self, message: &Message) {
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

    /// The present term; zero while the cluster is founded.
    pub(crate) fn term(&self) -> Term {
        match &self.formation {
            Formation::Formed { raft, .. } => raft.term(),
            Formation::Founding(_) => Term(0),
        }
    }

    /// What changes rarely and matters: role, term, leader.
    pub(crate) fn headline(&self) -> (Role, Term, Option<NodeId>) {
        let (role, leader) = match &self.formation {
            _ if self.stopped.is_some() => (Role::Stopped, None),
            Formation::Founding(_) => (Role::Founding, None),
            Formation::Formed { raft, .. } if raft.is_leader() => (Role::Leader, raft.leader()),
            Formation::Formed { raft, .. } if raft.is_candidate() => (Role::Candidate, None),
            Formation::Formed { raft, .. } => (Role::Follower, raft.leader()),
        };
        (role, self.term(), leader)
    }

    /// Its part in the protocol, once the cluster is formed.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn raft(&self) -> Option<&Raft> {
        match &self.formation {
            Formation::Formed { raft, .. } => Some(raft),
            Formation::Founding(_) => None,
        }
    }

    /// The last `count` entries of the log, oldest first.
    pub(crate) fn log(&self, count: usize) -> Vec<Entry> {
        let Formation::Formed { raft, .. } = &self.formation else { return Vec::new() };
        let (first, last) = (raft.log().first_index(), raft.log().last_index());
        let from = Index((last.0 + 1).saturating_sub(count as u64)).max(first);
        raft.log().iter_from(from).cloned().collect()
    }
}
