//! Members, messages and entries under numbers, each kept once; and every step of a member, computed once.
//!
//! A member's step depends only on the member and the event, so it is computed once and looked up afterwards: some
//! thousand different steps make up a million states. States hold numbers instead of logs and messages, so a
//! breadth-first frontier fits into memory.

use super::Broken;
use super::member::{Event, MEMBERS, Member, Writes};
use crate::planted::{self, Bug};
use crate::raft::ServerState;
use crate::raft::message::{Envelope, Message};
use crate::raft::read::ReadReady;
use crate::raft::types::{Entry, EntryId, Index, NodeId, Term};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Values under numbers. Equal values have one number.
#[derive(Debug)]
struct Numbered<T> {
    values: Vec<T>,
    by_hash: BTreeMap<u64, usize>,
}

impl<T: Eq + Hash> Numbered<T> {
    fn new() -> Numbered<T> {
        Numbered { values: Vec::new(), by_hash: BTreeMap::new() }
    }

    fn number(&mut self, value: T) -> usize {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let new = self.values.len();
        let number = *self.by_hash.entry(hasher.finish()).or_insert(new);
        if number == new {
            self.values.push(value);
        } else {
            assert!(self.values[number] == value, "two values of one hash: take another hash");
        }
        number
    }

    fn get(&self, number: usize) -> &T {
        &self.values[number]
    }
}

/// What the properties check of a member, computed once.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) term: Term,
    pub(super) leads: bool,
    /// Whether its election timeout can elapse: term and vote are durable.
    pub(super) may_time_out: bool,
    pub(super) commit: usize,
    /// The log: numbers of entries.
    pub(super) log: Vec<usize>,
    pub(super) durable_term: Term,
    pub(super) unwritten: usize,
    pub(super) read_rounds: u64,
}

/// What follows from an event, in numbers.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) member: usize,
    pub(super) sent: Vec<usize>,
    pub(super) applied: Vec<usize>,
    pub(super) reads: Vec<ReadReady>,
    pub(super) broken: Option<Broken>,
}

/// The numbers and the steps.
#[derive(Debug)]
pub(super) struct Tables {
    writes: Writes,
    planted: Option<Bug>,
    members: Numbered<Member>,
    messages: Numbered<Envelope>,
    entries: Numbered<Entry>,
    facts: Vec<Facts>,
    steps: BTreeMap<(usize, Event), Outcome>,
}

impl Tables {
    pub(super) fn new(writes: Writes, planted: Option<Bug>) -> Tables {
        Tables {
            writes,
            planted,
            members: Numbered::new(),
            messages: Numbered::new(),
            entries: Numbered::new(),
            facts: Vec::new(),
            steps: BTreeMap::new(),
        }
    }

    pub(super) fn member(&mut self, member: Member) -> usize {
        let raft = &member.raft;
        let log = raft.log().iter_from(Index(1)).map(|entry| self.entries.number(entry.clone())).collect();
        let facts = Facts {
            term: raft.term(),
            leads: raft.is_leader(),
            may_time_out: raft.durability.hard_state_is_durable(),
            commit: raft.commit().0 as usize,
            log,
            durable_term: member.disk.hard_state.term,
            unwritten: member.unwritten.len(),
            read_rounds: match &raft.state {
                ServerState::Leader(leader) => leader.reads.round(),
                _ => 0,
            },
        };
        let number = self.members.number(member);
        if number == self.facts.len() {
            self.facts.push(facts);
        }
        number
    }

    pub(super) fn facts(&self, member: usize) -> &Facts {
        &self.facts[member]
    }

    pub(super) fn message(&self, number: usize) -> &Envelope {
        self.messages.get(number)
    }

    /// How many members, messages and entries there are.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.members.values.len(), self.messages.values.len(), self.entries.values.len()]
    }

    pub(super) fn entry(&self, number: usize) -> EntryId {
        self.entries.get(number).id
    }

    /// What follows from `event` at `member`.
    pub(super) fn step(&mut self, member: usize, event: Event) -> Outcome {
        if let Some(outcome) = self.steps.get(&(member, event)) {
            return outcome.clone();
        }
        let received = match event {
            Event::Receive(message) => Some(self.messages.get(message)),
            _ => None,
        };
        let after = || self.members.get(member).after(event, received, self.writes);
        // The switch is per thread, and the checker has threads of its own.
        let (next, effects) = match self.planted {
            Some(bug) => planted::with(bug, after),
            None => after(),
        };
        let mut sent: Vec<usize> =
            effects.sent.into_iter().map(|envelope| self.messages.number(envelope)).collect();
        sent.sort_unstable();
        sent.dedup();
        let outcome = Outcome {
            member: self.member(next),
            sent,
            applied: effects.applied.into_iter().map(|entry| self.entries.number(entry)).collect(),
            reads: effects.reads,
            broken: effects.broken,
        };
        self.steps.insert((member, event), outcome.clone());
        outcome
    }

    /// The leader and term that `message` shows: only a leader sends these kinds.
    pub(super) fn leader_shown_by(&self, message: usize) -> Option<(Term, NodeId)> {
        let envelope = self.messages.get(message);
        let leads = matches!(
            envelope.message,
            Message::AppendEntries { .. } | Message::Heartbeat { .. } | Message::Commit { .. }
        );
        leads.then_some((envelope.term, envelope.from))
    }

    /// Whether receiving `message` can have no effect any more: it is a reply of a term that is over at its receiver, and
    /// stays over after a crash.
    pub(super) fn has_no_effect(&self, message: usize, durable_terms: [Term; MEMBERS]) -> bool {
        let envelope = self.messages.get(message);
        let term = durable_terms[envelope.to.0 as usize - 1];
        match envelope.message {
            // It counts in the term of its request, whatever the sender's term.
            Message::PreVoteReply { of, .. } => of.max(envelope.term) < term,
            Message::VoteReply { .. }
            | Message::Appended { .. }
            | Message::Conflict { .. }
            | Message::HeartbeatReply { .. }
            | Message::Commit { .. } => envelope.term < term,
            _ => false,
        }
    }
}
