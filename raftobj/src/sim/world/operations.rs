//! Operations of clients: how they are made, and what must hold when they end.

use super::World;
use super::server::Pending;
use crate::calls::{CallId, ReadTicket};
use crate::hash::mix;
use crate::object::Object;
use crate::raft::types::Ticks;
use crate::sim::client::{Client, KeyedRequest};
use crate::sim::operation::{End, Operation, OperationId, Request};
use crate::sim::random::Random;
use crate::sim::violation::ensure;
use std::rc::Rc;

/// A client's number from here on also chooses its machine.
const MOVES_FROM: usize = 192;

/// How often a workload is asked for an operation until it makes a call; it may have none.
const ATTEMPTS_MAX: usize = 16;

impl<T: Object> World<T> {
    /// The event of a client that makes its next operation.
    pub(super) fn handle_call(&mut self, client: usize) -> bool {
        if client >= MOVES_FROM {
            let (clients, nodes) = (self.clients.len(), self.servers.len());
            self.clients[client % clients].home = client % nodes;
        }
        self.operate(client, None)
    }

    /// In the liveness phase: a client makes operations at a node until one of them is a call.
    pub(crate) fn call_at(&mut self, client: usize, at: usize) {
        let first = self.operations.len();
        for _ in 0..ATTEMPTS_MAX {
            self.clients[client].home = at;
            self.clients[client].pending = 0;
            self.operate(client, Some(Ticks(6 * self.setup.limits.election_ticks_max)));
            if self.operations[first..]
                .iter()
                .any(|operation| matches!(operation.request, Request::Call { .. }))
            {
                break;
            }
        }
    }

    /// A client makes its next operation, with this deadline or one that it draws.
    pub(super) fn operate(&mut self, client: usize, deadline: Option<Ticks>) -> bool {
        let number = client % self.clients.len();
        let client = &mut self.clients[number];
        if client.pending >= self.setup.limits.client_calls_max {
            return false;
        }
        let nodes = self.servers.len();
        if !self.servers[client.home].is_awake() {
            client.home = (client.home + 1) % nodes;
            return false;
        }
        let nth = client.operations;
        client.operations += 1;
        let operation_number = self.operations.len() as u64 + 1;
        let random = Random::of(mix(self.setup.seed, 100 + number as u64), nth);
        let mut client_view = Client::new(number, operation_number, random, &self.handle);
        (self.program.workload)(&mut client_view);
        let mut random = client_view.random().clone();
        let Some(keyed) = client_view.into_request() else { return false };
        let at = client.home;
        let drawn = Ticks(random.between(1, self.setup.limits.deadline_ticks_max));
        self.submit(number, at, keyed, deadline.unwrap_or(drawn))
    }

    /// In the liveness phase: a linearizable read at a node. Its value does not matter, only that it is served, and at
    /// which index.
    pub(super) fn read_at(&mut self, at: usize) {
        let request = Request::Read { read: Rc::new(|_| String::new()), local: false };
        // No client uses this key, and no client's history grows.
        let keyed = KeyedRequest { request, key: u64::MAX };
        self.submit(0, at, keyed, Ticks(6 * self.setup.limits.election_ticks_max));
    }

    /// Passes an operation to a node.
    fn submit(&mut self, number: usize, at: usize, keyed: KeyedRequest<T>, deadline: Ticks) -> bool {
        let id = OperationId(self.operations.len());
        let operation_number = id.0 as u64 + 1;
        self.operations.push(Operation {
            client: number,
            server: at,
            life: self.servers[at].lives,
            request: keyed.request.clone(),
            key: keyed.key,
            invoked: self.step,
            acknowledged_before: self.acknowledged,
            ended: None,
        });
        self.clients[number].pending += 1;
        let Some(process) = &mut self.servers[at].process else { return false };
        let pending = Pending { operation: id, deadline: Ticks(process.ticks.0 + deadline.0) };
        match keyed.request {
            Request::Call { method, arguments, .. } => {
                let call = CallId(operation_number);
                process.calls.insert(call, pending);
                process.node.call(call, method, arguments, deadline);
            }
            Request::Read { local: false, .. } => {
                let ticket = ReadTicket(operation_number);
                process.reads.insert(ticket, pending);
                process.node.read(ticket, deadline);
            }
            Request::Read { local: true, read } => {
                let (index, value) = (process.applied, read(&process.state.read()));
                self.end_operation(id, End::Read { index, value });
            }
        }
        self.handle_effects(at);
        true
    }

    /// A client sets another deadline for one of its calls. If the call has ended, that has no effect.
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
        let pending = process.calls.get_mut(&call);
        let is_pending = pending.is_some();
        pending.into_iter().for_each(|pending| pending.deadline = Ticks(process.ticks.0 + deadline.0));
        self.handle_effects(server);
        is_pending
    }

    /// An operation has ended: checks its outcome.
    pub(super) fn end_operation(&mut self, id: OperationId, end: End) {
        let operation = &mut self.operations[id.0];
        let end = if self.servers[operation.server].has_diverged() {
            // The index comes from the log and the sessions: only the reply may be wrong.
            let took_effect = end.index().map(|index| End::Applied { index });
            if let Some(applied) = took_effect {
                self.oracle.check_reply(
                    operation.client,
                    &operation.request,
                    &applied,
                    operation.acknowledged_before,
                );
            }
            end.untrusted()
        } else {
            end
        };
        ensure!(operation.ended.is_none(), "an operation ends once", "operation {} ends twice", id.0);
        let client = &mut self.clients[operation.client];
        client.pending = client.pending.saturating_sub(1);
        self.operations_ended += 1;
        let here = (operation.server, operation.life);
        self.hash = mix(self.hash, end.index().map_or(0, |index| index.0));
        if let (Request::Read { read, .. }, End::Read { index, value }) = (&operation.request, &end) {
            self.oracle.check_read(operation.server, *index, &**read, value);
        }
        match (&operation.request, &end) {
            (Request::Read { local: true, .. }, End::Read { index, .. }) => {
                // Sequential consistency: a client's reads of one process never go back, and see its own calls.
                for (server, life, before) in [client.last_local_read, client.last_call].into_iter().flatten()
                {
                    ensure!(
                        (server, life) != here || *index >= before,
                        "local reads never go back, and see the client's own calls",
                        "client {} reads n{} at {index} after {before}",
                        operation.client,
                        operation.server
                    );
                }
                client.last_local_read = Some((here.0, here.1, *index));
            }
            (Request::Read { .. }, End::Read { index, .. }) => {
                ensure!(
                    *index >= operation.acknowledged_before,
                    "a linearizable read sees all that was acknowledged before it was made",
                    "client {} reads n{} at {index}; {} had been acknowledged",
                    operation.client,
                    operation.server,
                    operation.acknowledged_before
                );
                self.acknowledged = self.acknowledged.max(*index);
            }
            (Request::Call { .. }, _) => {
                self.oracle.check_reply(
                    operation.client,
                    &operation.request,
                    &end,
                    operation.acknowledged_before,
                );
                if let Some(index) = end.index() {
                    let applied = self.servers[here.0].process.as_ref().map(|process| process.applied);
                    ensure!(
                        applied.is_some_and(|applied| applied >= index),
                        "a node acknowledges a call after it has applied it",
                        "client {}'s call is at {index}, n{} has applied {applied:?}",
                        operation.client,
                        operation.server
                    );
                    self.acknowledged = self.acknowledged.max(index);
                    client.last_call = Some((here.0, here.1, index));
                }
            }
            _ => {}
        }
        if matches!(end, End::Unknown | End::Refused) {
            // A client that got no result turns to another machine.
            client.home = (client.home + 1) % self.servers.len();
        }
        operation.ended = Some((self.step, end));
    }
}
