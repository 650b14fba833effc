//! What follows at once from what a node was told: it is carried out as far as no time passes, and shown to the
//! [`Oracle`](crate::sim::oracle::Oracle).

use super::World;
use super::server::{News, Process, Server, append};
use crate::calls::outcome::CallError;
use crate::codec::message::Message;
use crate::node::Effects;
use crate::node::status::Role;
use crate::object::Object;
use crate::persistence::Write;
use crate::raft::types::{NodeId, Term};
use crate::sim::client::{End, What};
use crate::sim::violation::{Violation, hold};

impl<T: Object> World<T> {
    /// Carries out what follows from what a node was told, and checks it: at once, or at the end of its turn.
    pub(crate) fn settle(&mut self, at: usize) {
        if self.servers[at].process.as_ref().is_none_or(|process| process.gathers) {
            return;
        }
        self.tell_news(at);
        let Some(process) = &mut self.servers[at].process else { return };
        if let Some(effects) = process.node.effects() {
            self.carry_out(at, effects);
            let Some(process) = &mut self.servers[at].process else { return };
            let more = process.node.effects();
            hold!(more.is_none(), "a turn leaves nothing to do", "n{at} has more to do: {more:?}");
        }
        self.look_at(at);
        self.end_stopped(at);
    }

    /// Tells a node what the threads beside its engine have done.
    pub(super) fn tell_news(&mut self, at: usize) {
        let Some(Process { node, news, told_to_stop, .. }) = &mut self.servers[at].process else { return };
        for news in news.drain(..) {
            match news {
                News::FoundingWritten(step) => node.founding_written(&step),
                News::Persisted(id) => node.persisted(id),
                News::Applied(applied) => node.applied(applied),
                News::Failed(reason) => {
                    *told_to_stop = true;
                    node.stop(&reason);
                }
            }
        }
    }

    pub(super) fn carry_out(&mut self, at: usize, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings: _ } = effects;
        let Some(Process { id, .. }) = self.servers[at].process else { return };
        // Messages first: they are about the log before what this turn adds to it or cuts off.
        for (to, message) in messages {
            let Server { process, durable, .. } = &self.servers[at];
            let log = process.as_ref().map_or(&[][..], |process| &process.log);
            self.oracle.told(at, id, to, &message, log, durable);
            self.send(at, id, to, &message);
        }
        let Some(process) = &mut self.servers[at].process else { return };
        for persist in persists {
            if let Some(first) = persist.entries.first().map(|entry| entry.id.index) {
                persist.entries.iter().for_each(|entry| append(&mut process.log, entry));
                self.oracle.appended(at, &process.log, first);
            }
            process.writes.push_back(Write::Persist(persist));
        }
        process.writes.extend(founding.map(Write::Founding));
        // What is committed must be known as such before it is handed out.
        self.look_at_commit(at);
        let Server { process, durable, .. } = &mut self.servers[at];
        let Some(process) = process else { return };
        if let Some(last) = committed.last() {
            hold!(
                committed[0].id.index == process.handed.next(),
                "entries are applied without gaps",
                "n{at} is handed {} after {}",
                committed[0].id,
                process.handed
            );
            process.handed = last.id.index;
            self.oracle.handed_out(at, &committed, &process.log, durable);
            process.committed.push_back(committed);
        }
        let mut ended = Vec::new();
        for (call, outcome) in completions {
            let Some(waiting) = process.calls.remove(&call) else {
                Violation::raise("a caller is answered once", format!("n{at} ends {call:?} again"))
            };
            let early = process.ticks < waiting.end && process.node.stopped().is_none();
            hold!(
                !(early && matches!(outcome, Err(CallError::Unknown { .. }))),
                "a call's end is unknown only when its deadline has passed",
                "n{at} ends {call:?} with {outcome:?}, {} ticks before its deadline",
                waiting.end.0 - process.ticks.0
            );
            ended.push((waiting.operation, End::of_call(&outcome)));
        }
        for (ticket, outcome) in reads {
            let Some(waiting) = process.reads.remove(&ticket) else {
                Violation::raise("a caller is answered once", format!("n{at} ends {ticket:?} again"))
            };
            if let Ok(index) = outcome {
                hold!(
                    index <= process.applied,
                    "a read is served after what it needs is applied",
                    "n{at} serves a read at {index}, applied is {}",
                    process.applied
                );
            }
            let What::Read { read, .. } = &self.operations[waiting.operation.0].what else { continue };
            // The state may be newer than the read asked for.
            let served = outcome.map(|_| process.applied);
            ended.push((waiting.operation, End::of_read(&served, || read(&process.state.read()))));
        }
        for (operation, end) in ended {
            self.end(operation, end);
        }
    }

    pub(super) fn send(&mut self, from: usize, id: NodeId, to: NodeId, message: &Message) {
        let seed = self.setup.seed;
        let Some(to) = self.servers.iter().position(|server| server.id(seed) == to) else { return };
        let Server { lives, process, .. } = &self.servers[to];
        let link = self.links.at(from, to);
        // Whoever dialled a process of the peer that is gone writes into a dead connection.
        if link.connected() == Some(*lives) && process.is_some() {
            let mut bytes = Vec::with_capacity(64);
            bytes.extend_from_slice(&id.0.to_le_bytes());
            message.encode(&mut bytes);
            link.send(bytes);
        }
    }

    /// A commit index that grew is shown to the oracle.
    pub(super) fn look_at_commit(&mut self, at: usize) {
        // What a node that stops was told last has no effect any more.
        let Some(process) = self.servers[at].process.as_ref().filter(|it| it.node.stopped().is_none()) else {
            return;
        };
        let Some(raft) = process.node.raft() else { return };
        let (before, commit) = (process.commit, raft.commit());
        hold!(commit >= before, "a commit index never goes back", "n{at}: from {before} to {commit}");
        if commit > before {
            let last = process.log.get(commit.0 as usize - 1);
            hold!(
                !raft.is_leader() || last.is_none_or(|last| last.id.term == raft.term()),
                "a leader commits by counting only in its own term (§5.4.2)",
                "n{at} commits up to {commit}, which is not of term {}",
                raft.term()
            );
            let disks = self.servers.iter().map(|it| it.forgotten.as_ref().unwrap_or(&it.durable));
            self.oracle.committed(at, raft.term(), commit, &process.log, disks);
        }
        if let Some(process) = &mut self.servers[at].process {
            process.commit = commit;
        }
    }

    /// Looks at what a node has become.
    pub(super) fn look_at(&mut self, at: usize) {
        self.look_at_commit(at);
        let Some(process) = &mut self.servers[at].process else { return };
        if process.node.stopped().is_some() {
            return;
        }
        let Some(raft) = process.node.raft() else { return };
        let (before, now) = (process.hard_state, raft.hard_state());
        if before != now {
            hold!(
                now.term >= before.term,
                "a term never goes back",
                "n{at}: {} to {}",
                before.term,
                now.term
            );
            hold!(
                now.term > before.term || before.voted_for.is_none(),
                "a vote changes only with its term",
                "n{at} in term {}: from {before:?} to {now:?}",
                now.term
            );
            process.hard_state = now;
        }
        let (role, term, _) = process.node.headline();
        if !std::mem::replace(&mut process.member, true) {
            self.oracle.member_of(at, raft.membership());
        }
        if role == Role::Leader {
            self.look_at_leader(at, term);
        }
    }

    fn look_at_leader(&mut self, at: usize, term: Term) {
        let World { servers, oracle, .. } = self;
        let Some(process) = &servers[at].process else { return };
        let Some(raft) = process.node.raft() else { return };
        let disks = servers.iter().map(|it| it.forgotten.as_ref().unwrap_or(&it.durable));
        oracle.leads(at, process.id, term, &process.log, disks);
        for peer in raft.membership().peers_of(process.id) {
            if let Some((matched, _)) = raft.progress_of(peer) {
                oracle.counts(at, term, peer, matched);
            }
        }
    }
}
