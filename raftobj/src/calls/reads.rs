//! Linearizable reads: from the ticket to the read index that must be applied (thesis §6.4).
//!
//! ```text
//!  queued ──request──▶ requested ──index──▶ confirmed ──applied──▶ served
//!     ▲                  │ no reply in time, new leader or connection, reply without an index
//!     └──────────────────┘
//! ```
//!
//! One request for a read index serves all reads that are queued when it is sent: they were made before it. No request
//! is sent twice. A retry has a new id, so a reply always belongs to a request that was sent after the read was made
//! (etcd #20418).

use super::config::{CallsConfig, ReadTicket, after};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::message::ReadId;
use crate::raft::types::{Boot, Index, Ticks};
use std::collections::{BTreeMap, BTreeSet};

/// How many requests may be open. If it were one, a read would wait for the reply to an earlier request before its own
/// is sent; without a limit there would be one request for each read.
const REQUESTS_MAX: usize = 8;

/// The state of a read; see the diagram above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadState {
    Queued,
    Requested(ReadId),
    Confirmed(Index),
}

/// Invariant: each ticket has one deadline, and is in the collection of its state and in no other.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    resend_ticks: u64,
    next_id: ReadId,
    pause_until: Ticks,
    tickets: BTreeMap<ReadTicket, (Ticks, ReadState)>,
    deadlines: BTreeSet<(Ticks, ReadTicket)>,
    queued: BTreeSet<ReadTicket>,
    requests: BTreeMap<ReadId, Request>,
    confirmed: BTreeSet<(Index, ReadTicket)>,
}

#[derive(Clone, Debug)]
struct Request {
    sent_at: Ticks,
    tickets: BTreeSet<ReadTicket>,
}

impl Reads {
    /// NB: ids begin with the boot, so a reply to an earlier process of this node matches no request of this one.
    pub(super) fn new(boot: Boot, config: &CallsConfig) -> Reads {
        Reads {
            resend_ticks: config.resend_ticks,
            next_id: ReadId((boot.0 << 40) + 1),
            pause_until: Ticks(0),
            tickets: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            queued: BTreeSet::new(),
            requests: BTreeMap::new(),
            confirmed: BTreeSet::new(),
        }
    }

    /// How many reads have not ended.
    pub(super) fn open(&self) -> usize {
        self.tickets.len()
    }

    pub(super) fn add(&mut self, ticket: ReadTicket, deadline: Ticks) {
        let before = self.tickets.insert(ticket, (deadline, ReadState::Queued));
        assert_eq!(before, None, "read {} is made twice", ticket.0);
        self.deadlines.insert((deadline, ticket));
        self.queued.insert(ticket);
    }

    /// A request to send to the leader now, for all queued reads.
    pub(super) fn request(&mut self, now: Ticks) -> Option<ReadId> {
        if self.queued.is_empty() || now < self.pause_until || self.requests.len() >= REQUESTS_MAX {
            return None;
        }
        if planted!(ReadIdReused) {
            let first = ReadId(self.next_id.0 >> 40 << 40);
            self.next_id = self.requests.last_key_value().map_or(first, |(last, _)| ReadId(last.0 + 1));
        }
        let id = self.next_id;
        self.next_id = ReadId(id.0 + 1);
        let tickets = std::mem::take(&mut self.queued);
        for ticket in &tickets {
            self.set_state(*ticket, ReadState::Requested(id));
        }
        self.requests.insert(id, Request { sent_at: now, tickets });
        Some(id)
    }

    /// A reply; it is ignored if its request is no longer open.
    pub(super) fn reply(&mut self, id: ReadId, index: Option<Index>, now: Ticks) {
        let Some(request) = self.requests.remove(&id) else {
            mark!(ReadAnswerLate);
            return;
        };
        match index {
            Some(index) => {
                for ticket in request.tickets {
                    self.set_state(ticket, ReadState::Confirmed(index));
                    self.confirmed.insert((index, ticket));
                }
            }
            None => {
                self.requeue(request);
                self.pause_until = after(now, 1);
            }
        }
    }

    /// There is a new leader, or a new connection to it: all open requests are replaced by new ones.
    pub(super) fn request_again(&mut self) {
        for (_, request) in std::mem::take(&mut self.requests) {
            self.requeue(request);
        }
        self.pause_until = Ticks(0);
    }

    /// Removes the reads that may be served now that `applied` is applied.
    pub(super) fn take_served(&mut self, applied: Index) -> Vec<ReadTicket> {
        let mut served = Vec::new();
        while let Some((index, ticket)) = self.confirmed.first().copied() {
            if index > applied && !planted!(ReadBeforeApplied) {
                break;
            }
            self.remove(ticket);
            served.push(ticket);
        }
        served
    }

    /// Requeues the reads of overdue requests. Removes the reads whose deadline has passed, and returns them with their
    /// last states.
    pub(super) fn tick(&mut self, now: Ticks) -> Vec<(ReadTicket, ReadState)> {
        let mut late = Vec::new();
        while let Some((deadline, ticket)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            mark!(ReadDeadline);
            late.push((ticket, self.remove(ticket)));
        }
        // Requests are sent in the order of their ids: the first is the oldest.
        while let Some(first) = self.requests.first_entry() {
            if now < after(first.get().sent_at, self.resend_ticks) {
                break;
            }
            let request = first.remove();
            self.requeue(request);
        }
        late
    }

    /// Removes all reads.
    pub(super) fn stop(&mut self) -> Vec<ReadTicket> {
        let tickets: Vec<_> = self.tickets.keys().copied().collect();
        for ticket in &tickets {
            self.remove(*ticket);
        }
        tickets
    }

    fn requeue(&mut self, request: Request) {
        mark!(ReadAskedAgain if !request.tickets.is_empty());
        for ticket in request.tickets {
            self.set_state(ticket, ReadState::Queued);
            self.queued.insert(ticket);
        }
    }

    fn set_state(&mut self, ticket: ReadTicket, state: ReadState) {
        self.tickets.get_mut(&ticket).expect("a read with a state is open").1 = state;
    }

    fn remove(&mut self, ticket: ReadTicket) -> ReadState {
        let (deadline, state) = self.tickets.remove(&ticket).expect("a read ends once");
        self.deadlines.remove(&(deadline, ticket));
        match state {
            ReadState::Queued => self.queued.remove(&ticket),
            ReadState::Requested(id) => {
                self.requests.get_mut(&id).expect("its request is open").tickets.remove(&ticket)
            }
            ReadState::Confirmed(index) => self.confirmed.remove(&(index, ticket)),
        };
        state
    }
}
