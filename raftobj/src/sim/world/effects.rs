//! The effects that a node wants: those that take no time are carried out at once, the others are queued. The
//! [`Oracle`](crate::sim::oracle::Oracle) checks them all.

use super::World;
use super::server::{Process, Server, ThreadReport};
use crate::calls::outcome::CallError;
use crate::codec::message::Message;
use crate::node::Effects;
use crate::node::status::{Leadership, Role};
use crate::object::Object;
use crate::persistence::Write;
use crate::raft::types::{NodeId, Term};
use crate::sim::operation::{End, Request};
use crate::sim::oracle::chain::append;
use crate::sim::violation::{Violation, ensure};

impl<T: Object> World<T> {
    /// Carries out and checks a node's effects: at once, or at the end of its engine's turn.
    pub(crate) fn handle_effects(&mut self, at: usize) {
        if self.servers[at].process.as_ref().is_none_or(|process| process.in_turn) {
            return;
        }
        self.report_to_node(at);
        let Some(process) = &mut self.servers[at].process else { return };
        if let Some(effects) = process.node.effects() {
            self.execute(at, effects);
            let Some(process) = &mut self.servers[at].process else { return };
            let more = process.node.effects();
            ensure!(more.is_none(), "a turn leaves nothing to do", "n{at} has more to do: {more:?}");
        }
        self.check_node(at);
        self.end_if_stopped(at);
    }

    /// Passes the reports of the other threads to a node.
    pub(super) fn report_to_node(&mut self, at: usize) {
        let Some(Process { node, reports, stop_requested, .. }) = &mut self.servers[at].process else {
            return;
        };
        for report in reports.drain(..) {
            match report {
                ThreadReport::FoundingWritten(step) => node.founding_written(&step),
                ThreadReport::Persisted(id) => node.persisted(id),
                ThreadReport::Applied(applied) => node.applied(applied),
                ThreadReport::DiskSpace { is_short } => node.set_disk_nearly_full(is_short),
                ThreadReport::Failed(reason) => {
                    *stop_requested = true;
                    node.stop(&reason);
                }
            }
        }
    }

    /// Carries out effects, or queues them for the events that complete them.
    pub(super) fn execute(&mut self, at: usize, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings: _ } = effects;
        let Some(Process { id, .. }) = self.servers[at].process else { return };
        // Messages first: they are about the log as it was before this turn appends to it or truncates it.
        for (to, message) in messages {
            let Server { process, durable, .. } = &self.servers[at];
            let log = process.as_ref().map_or(&[][..], |process| &process.log);
            self.oracle.check_sent(at, id, to, &message, log, durable);
            self.send(at, id, to, &message);
        }
        let Some(process) = &mut self.servers[at].process else { return };
        for persist in persists {
            if let Some(first) = persist.entries.first().map(|entry| entry.id.index) {
                persist.entries.iter().for_each(|entry| append(&mut process.log, entry));
                self.oracle.check_append(at, &process.log, first);
            }
            process.writes.push_back(Write::Persist(persist));
        }
        process.writes.extend(founding.map(Write::Founding));
        // The oracle must know entries as committed before it checks that they are applied.
        self.check_commit(at);
        let Server { process, durable, .. } = &mut self.servers[at];
        let Some(process) = process else { return };
        if let Some(last) = committed.last() {
            ensure!(
                committed[0].id.index == process.applying.next(),
                "entries are applied without gaps",
                "n{at} applies {} after {}",
                committed[0].id,
                process.applying
            );
            process.applying = last.id.index;
            self.oracle.check_applying(at, &committed, &process.log, durable);
            process.committed.push_back(committed);
        }
        let mut ended = Vec::new();
        for (call, outcome) in completions {
            let Some(pending) = process.calls.remove(&call) else {
                Violation::raise("an operation ends once", format!("n{at} ends {call:?} twice"))
            };
            let early = process.ticks < pending.deadline && process.node.stopped().is_none();
            ensure!(
                !(early && matches!(outcome, Err(CallError::Unknown { .. }))),
                "a call ends unknown only after its deadline",
                "n{at} ends {call:?} with {outcome:?}, {} ticks before its deadline",
                pending.deadline.0 - process.ticks.0
            );
            ended.push((pending.operation, End::of_call(&outcome)));
        }
        for (ticket, outcome) in reads {
            let Some(pending) = process.reads.remove(&ticket) else {
                Violation::raise("an operation ends once", format!("n{at} ends {ticket:?} twice"))
            };
            if let Ok(index) = outcome {
                ensure!(
                    index <= process.applied,
                    "a read is served only after its read index is applied",
                    "n{at} serves a read at {index}, has applied {}",
                    process.applied
                );
            }
            let Request::Read { read, .. } = &self.operations[pending.operation.0].request else { continue };
            // The state may be newer than the read index.
            let served = outcome.map(|_| process.applied);
            ended.push((pending.operation, End::of_read(&served, || read(&process.state.read()))));
        }
        for (operation, end) in ended {
            self.end_operation(operation, end);
        }
    }

    /// Sends a message on the connection that its sender has dialled, if that is alive.
    pub(super) fn send(&mut self, from: usize, id: NodeId, to: NodeId, message: &Message) {
        let seed = self.setup.seed;
        let Some(to) = self.servers.iter().position(|server| server.id(seed) == to) else { return };
        let Server { lives, process, .. } = &self.servers[to];
        let link = self.network.at(from, to);
        // A connection to a process of the peer that has ended is dead.
        if link.connected() == Some(*lives) && process.is_some() {
            let mut bytes = Vec::with_capacity(64);
            bytes.extend_from_slice(&id.0.to_le_bytes());
            message.encode(&mut bytes);
            link.send(bytes);
        }
    }

    /// Checks a node's commit index, and passes it to the oracle if it grew.
    pub(super) fn check_commit(&mut self, at: usize) {
        // A node that has stopped commits nothing more.
        let Some(process) = self.servers[at].process.as_ref().filter(|it| it.node.stopped().is_none()) else {
            return;
        };
        let Some(raft) = process.node.raft() else { return };
        let (before, commit) = (process.commit, raft.commit());
        ensure!(commit >= before, "a commit index never goes back", "n{at}: from {before} to {commit}");
        if commit > before {
            let last = process.log.get(commit.0 as usize - 1);
            ensure!(
                !raft.is_leader() || last.is_none_or(|last| last.id.term == raft.term()),
                "a leader commits by counting only entries of its own term (§5.4.2)",
                "n{at} commits up to {commit}, which is not of term {}",
                raft.term()
            );
            let disks = self.servers.iter().map(|it| it.lost_durable.as_ref().unwrap_or(&it.durable));
            self.oracle.check_commit(at, raft.term(), commit, &process.log, disks);
        }
        if let Some(process) = &mut self.servers[at].process {
            process.commit = commit;
        }
    }

    /// Checks a node's state after its effects.
    pub(super) fn check_node(&mut self, at: usize) {
        self.check_commit(at);
        let Some(process) = &mut self.servers[at].process else { return };
        if process.node.stopped().is_some() {
            return;
        }
        let Some(raft) = process.node.raft() else { return };
        let (before, now) = (process.hard_state, raft.hard_state());
        if before != now {
            ensure!(
                now.term >= before.term,
                "a term never goes back",
                "n{at}: {} to {}",
                before.term,
                now.term
            );
            ensure!(
                now.term > before.term || before.voted_for.is_none(),
                "a vote changes only with its term",
                "n{at} in term {}: from {before:?} to {now:?}",
                now.term
            );
            process.hard_state = now;
        }
        let Leadership { role, term, .. } = process.node.leadership();
        if !std::mem::replace(&mut process.membership_checked, true) {
            self.oracle.check_membership(at, raft.membership());
        }
        if role == Role::Leader {
            self.check_leader(at, term);
        }
    }

    /// Checks a leader's election and its match indexes.
    fn check_leader(&mut self, at: usize, term: Term) {
        let World { servers, oracle, .. } = self;
        let Some(process) = &servers[at].process else { return };
        let Some(raft) = process.node.raft() else { return };
        let disks = servers.iter().map(|it| it.lost_durable.as_ref().unwrap_or(&it.durable));
        oracle.check_leader(at, process.id, term, &process.log, disks);
        for peer in raft.membership().peers_of(process.id) {
            if let Some((match_index, _)) = raft.progress_of(peer) {
                oracle.check_match_index(at, term, peer, match_index);
            }
        }
    }
}
