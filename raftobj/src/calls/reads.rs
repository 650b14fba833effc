//! Linearizable reads: from the ticket to the index that must be applied.
//!
//! ```text
//!  queued ──ask──▶ asked ──index──▶ confirmed ──applied──▶ served
//!     ▲              │ no answer in time, another leader, told to ask again
//!     └──────────────┘
//! ```
//!
//! All that is queued when an index is asked for is served by it: the question is put after the reads were
//! made. A question is never put twice: a retry has a fresh id, so that an answer can only be to a question that
//! is younger than the read (etcd #20418).

use super::config::{CallsConfig, ReadTicket, after};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::message::ReadId;
use crate::raft::types::{Boot, Index, Ticks};
use std::collections::{BTreeMap, BTreeSet};

/// How many questions may be open: one would make a read wait for another's answer before its own is asked,
/// without a limit there would be one for each read.
const ASKS_MAX: usize = 8;

/// Where a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadState {
    Queued,
    Asked(ReadId),
    Confirmed(Index),
}

/// Invariant: each ticket has one deadline, and is in exactly the collection of its state.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    resend_ticks: u64,
    next: ReadId,
    pause_until: Ticks,
    tickets: BTreeMap<ReadTicket, (Ticks, ReadState)>,
    deadlines: BTreeSet<(Ticks, ReadTicket)>,
    queued: BTreeSet<ReadTicket>,
    asked: BTreeMap<ReadId, Ask>,
    confirmed: BTreeSet<(Index, ReadTicket)>,
}

#[derive(Clone, Debug)]
struct Ask {
    at: Ticks,
    tickets: BTreeSet<ReadTicket>,
}

impl Reads {
    /// NB: ids begin with the boot, so that no answer to an earlier life of this process is taken for ours.
    pub(super) fn new(boot: Boot, config: &CallsConfig) -> Reads {
        Reads {
            resend_ticks: config.resend_ticks,
            next: ReadId((boot.0 << 40) + 1),
            pause_until: Ticks(0),
            tickets: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            queued: BTreeSet::new(),
            asked: BTreeMap::new(),
            confirmed: BTreeSet::new(),
        }
    }

    pub(super) fn tickets(&self) -> usize {
        self.tickets.len()
    }

    pub(super) fn queue(&mut self, ticket: ReadTicket, deadline: Ticks) {
        let before = self.tickets.insert(ticket, (deadline, ReadState::Queued));
        assert_eq!(before, None, "read {} is made twice", ticket.0);
        self.deadlines.insert((deadline, ticket));
        self.queued.insert(ticket);
    }

    /// A question to put to the leader now, for all reads that are queued.
    pub(super) fn ask(&mut self, now: Ticks) -> Option<ReadId> {
        if self.queued.is_empty() || now < self.pause_until || self.asked.len() >= ASKS_MAX {
            return None;
        }
        if planted!(ReadIdReused) {
            let first = ReadId(self.next.0 >> 40 << 40);
            self.next = self.asked.last_key_value().map_or(first, |(last, _)| ReadId(last.0 + 1));
        }
        let id = self.next;
        self.next = ReadId(id.0 + 1);
        let tickets = std::mem::take(&mut self.queued);
        for ticket in &tickets {
            self.set_state(*ticket, ReadState::Asked(id));
        }
        self.asked.insert(id, Ask { at: now, tickets });
        Some(id)
    }

    /// An answer; of a question that is no longer open it is dropped.
    pub(super) fn answered(&mut self, id: ReadId, index: Option<Index>, now: Ticks) {
        let Some(ask) = self.asked.remove(&id) else {
            mark!(ReadAnswerLate);
            return;
        };
        match index {
            Some(index) => {
                for ticket in ask.tickets {
                    self.set_state(ticket, ReadState::Confirmed(index));
                    self.confirmed.insert((index, ticket));
                }
            }
            None => {
                self.requeue(ask);
                self.pause_until = after(now, 1);
            }
        }
    }

    /// All open questions are void: there is another leader, or another connection to it.
    pub(super) fn ask_again(&mut self) {
        for (_, ask) in std::mem::take(&mut self.asked) {
            self.requeue(ask);
        }
        self.pause_until = Ticks(0);
    }

    /// The reads that may be served now that `applied` is applied.
    pub(super) fn served(&mut self, applied: Index) -> Vec<ReadTicket> {
        let mut served = Vec::new();
        while let Some((index, ticket)) = self.confirmed.first().copied() {
            if index > applied && !planted!(ReadBeforeApplied) {
                break;
            }
            self.end(ticket);
            served.push(ticket);
        }
        served
    }

    /// Puts late questions anew; returns the reads whose deadline has passed, and how far they were.
    pub(super) fn tick(&mut self, now: Ticks) -> Vec<(ReadTicket, ReadState)> {
        let mut late = Vec::new();
        while let Some((deadline, ticket)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            mark!(ReadDeadline);
            late.push((ticket, self.end(ticket)));
        }
        // Asked in the order of their ids: the first is the oldest.
        while let Some(first) = self.asked.first_entry() {
            if now < after(first.get().at, self.resend_ticks) {
                break;
            }
            let ask = first.remove();
            self.requeue(ask);
        }
        late
    }

    /// Ends them all.
    pub(super) fn stop(&mut self) -> Vec<ReadTicket> {
        let tickets: Vec<_> = self.tickets.keys().copied().collect();
        for ticket in &tickets {
            self.end(*ticket);
        }
        tickets
    }

    fn requeue(&mut self, ask: Ask) {
        mark!(ReadAskedAgain if !ask.tickets.is_empty());
        for ticket in ask.tickets {
            self.set_state(ticket, ReadState::Queued);
            self.queued.insert(ticket);
        }
    }

    fn set_state(&mut self, ticket: ReadTicket, state: ReadState) {
        self.tickets.get_mut(&ticket).expect("what has a state is open").1 = state;
    }

    fn end(&mut self, ticket: ReadTicket) -> ReadState {
        let (deadline, state) = self.tickets.remove(&ticket).expect("a read ends once");
        self.deadlines.remove(&(deadline, ticket));
        match state {
            ReadState::Queued => self.queued.remove(&ticket),
            ReadState::Asked(id) => self.asked.get_mut(&id).expect("asked").tickets.remove(&ticket),
            ReadState::Confirmed(index) => self.confirmed.remove(&(index, ticket)),
        };
        state
    }
}
