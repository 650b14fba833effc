//! Clients ask, and are answered: what they may rely on is checked at each answer.

use super::World;
use super::server::Waiting;
use crate::calls::{CallId, ReadTicket};
use crate::hash::mix;
use crate::object::Object;
use crate::raft::types::Ticks;
use crate::sim::client::{Client, End, Operation, OperationId, Wanted, What};
use crate::sim::random::Random;
use crate::sim::violation::hold;
use std::rc::Rc;

/// From here on a client's number says, too, which machine it turns to.
const WANDERS: usize = 192;

/// In peace a workload is asked so often at most before it makes a call: it may have none.
const ASKED_MAX: usize = 16;

impl<T: Object> World<T> {
    /// A client makes its next operation.
    pub(super) fn operate(&mut self, client: usize) -> bool {
        if client >= WANDERS {
            let (clients, nodes) = (self.clients.len(), self.servers.len());
            self.clients[client % clients].home = client % nodes;
        }
        self.operate_for(client, None)
    }

    /// For times of peace: a client asks a node for something, and for more until that was a call.
    pub(crate) fn ask_in_peace(&mut self, client: usize, at: usize) {
        let first = self.operations.len();
        for _ in 0..ASKED_MAX {
            self.clients[client].home = at;
            self.clients[client].waiting = 0;
            self.operate_for(client, Some(Ticks(6 * self.setup.limits.election_ticks_max)));
            if self.operations[first..].iter().any(|operation| matches!(operation.what, What::Call { .. })) {
                break;
            }
        }
    }

    pub(super) fn operate_for(&mut self, client: usize, deadline: Option<Ticks>) -> bool {
        let number = client % self.clients.len();
        let client = &mut self.clients[number];
        if client.waiting >= self.setup.limits.client_calls_max {
            return false;
        }
        let nodes = self.servers.len();
        if !self.servers[client.home].is_awake() {
            client.home = (client.home + 1) % nodes;
            return false;
        }
        let made = client.made;
        client.made += 1;
        let serial = self.operations.len() as u64 + 1;
        let random = Random::of(mix(self.setup.seed, 100 + number as u64), made);
        let mut face = Client::new(number, serial, random, &self.handle);
        (self.program.workload)(&mut face);
        let mut random = face.random().clone();
        let Some(wanted) = face.into_wanted() else { return false };
        let at = client.home;
        let drawn = Ticks(random.between(1, self.setup.limits.deadline_ticks_max));
        self.put(number, at, wanted, deadline.unwrap_or(drawn))
    }

    /// For times of peace: a linearizable read at a node, whatever the workload asks for. What is read does not matter, but
    /// that it is served, and after what.
    pub(super) fn read_in_peace(&mut self, at: usize) {
        let what = What::Read { read: Rc::new(|_| String::new()), local: false };
        // No client asks about this key, so that their histories grow no longer.
        let wanted = Wanted { what, key: u64::MAX };
        self.put(0, at, wanted, Ticks(6 * self.setup.limits.election_ticks_max));
    }

    /// Puts an operation to a node.
    fn put(&mut self, number: usize, at: usize, wanted: Wanted<T>, deadline: Ticks) -> bool {
        let id = OperationId(self.operations.len());
        let serial = id.0 as u64 + 1;
        self.operations.push(Operation {
            client: number,
            server: at,
            life: self.servers[at].lives,
            what: wanted.what.clone(),
            key: wanted.key,
            invoked: self.step,
            floor: self.seen,
            ended: None,
        });
        self.clients[number].waiting += 1;
        let Some(process) = &mut self.servers[at].process else { return false };
        let waiting = Waiting { operation: id, end: Ticks(process.ticks.0 + deadline.0) };
        match wanted.what {
            What::Call { method, arguments, .. } => {
                let call = CallId(serial);
                process.calls.insert(call, waiting);
                process.node.call(call, method, arguments, deadline);
            }
            What::Read { local: false, .. } => {
                let ticket = ReadTicket(serial);
                process.reads.insert(ticket, waiting);
                process.node.read(ticket, deadline);
            }
            What::Read { local: true, read } => {
                let (index, value) = (process.applied, read(&process.state.read()));
                self.end(id, End::Read { index, value });
            }
        }
        self.settle(at);
        true
    }

    /// A client gives a call that it has made another deadline. Where the call has ended meanwhile, nothing comes of it.
    pub(super) fn set_deadline(&mut self, back: usize, ticks: u8) -> bool {
        let Some(at) = self.operations.len().checked_sub(1 + back) else { return false };
        let Operation { server, life, .. } = self.operations[at];
        if self.servers[server].lives != life || !self.servers[server].is_awake() {
            return false;
        }
        let Some(process) = &mut self.servers[server].process else { return false };
        let call = CallId(at as u64 + 1);
        let deadline = Ticks(1 + u64::from(ticks) % self.setup.limits.deadline_ticks_max);
        process.node.set_deadline(call, deadline);
        let waits = process.calls.get_mut(&call);
        let did = waits.is_some();
        waits.into_iter().for_each(|waiting| waiting.end = Ticks(process.ticks.0 + deadline.0));
        self.settle(server);
        did
    }

    /// An operation has ended.
    pub(super) fn end(&mut self, id: OperationId, end: End) {
        let operation = &mut self.operations[id.0];
        let astray = self.servers[operation.server].is_astray();
        let end = if astray {
            // Where a call took effect is said by the log and the sessions: only the reply may be wrong.
            let took_effect = end.index().map(|index| End::Applied { index });
            if let Some(told) = took_effect {
                self.oracle.returned(operation.client, &operation.what, &told, operation.floor);
            }
            end.mistrusted()
        } else {
            end
        };
        hold!(operation.ended.is_none(), "a caller is answered once", "operation {} ends twice", id.0);
        let client = &mut self.clients[operation.client];
        client.waiting = client.waiting.saturating_sub(1);
        self.ended += 1;
        let here = (operation.server, operation.life);
        self.hash = mix(self.hash, end.index().map_or(0, |index| index.0));
        if let (What::Read { read, .. }, End::Read { index, value }) = (&operation.what, &end) {
            self.oracle.read_again(operation.server, *index, &**read, value);
        }
        match (&operation.what, &end) {
            (What::Read { local: true, .. }, End::Read { index, .. }) => {
                // Sequential consistency: what a client sees of one process only grows, and holds its own writes.
                for (server, life, before) in [client.seen, client.wrote].into_iter().flatten() {
                    hold!(
                        (server, life) != here || *index >= before,
                        "local reads go forward, and see the client's own calls",
                        "client {} reads n{} at {index} after {before}",
                        operation.client,
                        operation.server
                    );
                }
                client.seen = Some((here.0, here.1, *index));
            }
            (What::Read { .. }, End::Read { index, .. }) => {
                hold!(
                    *index >= operation.floor,
                    "a linearizable read sees all that ended before it was made",
                    "client {} reads n{} at {index}, {} was known",
                    operation.client,
                    operation.server,
                    operation.floor
                );
                self.seen = self.seen.max(*index);
            }
            (What::Call { .. }, _) => {
                self.oracle.returned(operation.client, &operation.what, &end, operation.floor);
                if let Some(index) = end.index() {
                    let applied = self.servers[here.0].process.as_ref().map(|process| process.applied);
                    hold!(
                        applied.is_some_and(|applied| applied >= index),
                        "a caller can read its write",
                        "client {}'s call is at {index}, n{} has applied {applied:?}",
                        operation.client,
                        operation.server
                    );
                    self.seen = self.seen.max(index);
                    client.wrote = Some((here.0, here.1, index));
                }
            }
            _ => {}
        }
        if matches!(end, End::Unknown | End::Refused) {
            // Whoever got no answer asks elsewhere.
            client.home = (client.home + 1) % self.servers.len();
        }
        operation.ended = Some((self.step, end));
    }
}
