//! Bounded exploration: the schedules of three members within bounds, each of them, not a sample.
//!
//! The members are [`Raft`](crate::raft::Raft) itself, run by [stateright] as the transitions of a model. A state is the
//! members with their disks, everything that was ever said, and what history the properties need.
//!
//! # Where to begin
//! `scopes` has the scopes: where an exploration starts, its [`Bounds`], and what it must come across. Then [`Broken`],
//! what must never be; [`Cluster::after`], a step; `member`, what an event does to one member; `tables`, why it is fast.
//!
//! # What is abstracted, and what that loses
//! - **The network** is the set of what was ever said. A message arrives never, once or often, at any time, in any
//!   order: lost, delayed, repeated and reordered are one thing, without budgets. Replies of a term that is over for
//!   good at their receiver are forgotten: the core does nothing with them.
//! - **Clocks** are not related to each other. A follower's only event is its whole election timeout, as what it does
//!   does not depend on the ticks before. A leader sends heartbeats when it is elected and for reads; where a scope
//!   lets leaders tick, at each tick, and the second without an answer ends its patience. The shortest election
//!   timeout is the longest, so that the number of campaigns draws nothing. Only differences between times are kept.
//! - **Disks** write in order. A write that is under way is done by an event, or by a crash that keeps the oldest of
//!   them; scopes that are about something else write at once. A restart follows a crash immediately: a member that
//!   is down is one that nothing arrives at.
//! - **`ready`** is asked after each event, and what it hands out is applied. Several events before one `ready`, and
//!   applying that lags, are left to random schedules.
//!
//! # Bounds
//! Breadth first, so that what breaks is shown by a shortest schedule; a depth-first search would wander down one
//! schedule and leave its neighbours. A scope ends when it has no more states, or at a number of steps, between two
//! blocks of 1,500 states and by one thread, so the same states are seen on every machine. Deeper, with larger bounds:
//! `RAFTOBJ_MODEL_STEPS=100000000 cargo test --release -p raftobj --lib raft::tests::model -- --nocapture --test-threads 1`

mod member;
mod scopes;
mod tables;

use crate::raft::message::ReadId;
use crate::raft::types::{NodeId, Term};
use member::{Event, MEMBERS};
use stateright::{Model, Property};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tables::{Outcome, Tables};

/// How far an exploration goes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// No member goes beyond this term.
    term_max: u64,
    /// Those that may campaign. Which ones is a matter of names, so fewer than all lose little.
    candidates: &'static [u64],
    leaders_tick: bool,
    /// Commands proposed in all.
    proposals: u8,
    /// Crashes in all.
    crashes: u8,
    /// Reads asked for in all.
    reads: usize,
    /// Writes of one member that are under way at a time.
    unwritten_max: usize,
}

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Broken {
    /// Two led one term (§5.2).
    ElectionSafety,
    /// Two logs have an entry of one index and term, and differ there or before (§5.3).
    LogMatching,
    /// A leader lacks what was committed in a term before its own (§5.4).
    LeaderCompleteness,
    /// Two entries were known as committed at one index.
    CommittedChanged,
    /// An entry was handed out to be applied that is not the committed one (§5.4.3).
    StateMachineSafety,
    /// A term, or a commit index in one life of a member, went back.
    WentBack,
    /// A vote changed within its term: in one life of a member, or on its disk.
    VoteChanged,
    /// A term, a vote or an entry left a member before it was on its disk.
    ToldTooEarly,
    /// A read was given an index below what was committed when it was asked for.
    ReadFromThePast,
    /// An assertion of the core failed; its words are on standard error.
    Assertion,
}

/// What must come up, or the exploration says little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// A leader was elected in a term after another's.
    LeaderChange,
    /// A leader does not know that there is one of a later term.
    TwoLeadersAtOnce,
    /// A tail that was not committed gave way to another.
    TailOverwritten,
    /// An entry of an earlier term became committed together with one of the leader's own (§5.4.2).
    EarlierTermCommitted,
    /// A crash lost a write that was under way.
    WriteLost,
    /// A leader answered a read that was asked for here or elsewhere.
    ReadAnswered,
    /// A read ended without an index.
    ReadRefused,
}

/// The cluster, and what must be remembered of its history.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// By id; numbers in the tables, as all others here.
    members: [usize; MEMBERS],
    /// What was ever said, sorted.
    said: Vec<usize>,
    /// By index: the entry that some member knew to be committed, and the term of that member when it did.
    committed: Vec<(usize, Term)>,
    /// Who led which term, sorted.
    leaders: Vec<(Term, NodeId)>,
    /// By read: how much was committed when it was asked for.
    floors: Vec<usize>,
    proposals: u8,
    crashes: u8,
    broken: Option<Broken>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Action {
    to: NodeId,
    event: Event,
}

/// The model. See the module.
struct Cluster {
    bounds: Bounds,
    start: Vec<State>,
    /// Not looked at, so that a planted bug must be found by what it leads to.
    blind_to: &'static [Broken],
    tables: Mutex<Tables>,
    /// How often each came up.
    marks: Mutex<BTreeMap<Mark, u64>>,
}

impl Cluster {
    /// The state after `action`; `None` where nothing changes.
    fn after(&self, state: &State, action: Action) -> Option<State> {
        let mut tables = self.tables();
        let at = action.to.0 as usize - 1;
        let outcome = tables.step(state.members[at], action.event);
        let mut next = state.clone();
        match action.event {
            Event::Propose(_) => next.proposals += 1,
            Event::Crash { .. } => next.crashes += 1,
            Event::Read(_) => next.floors.push(state.committed.len()),
            _ => {}
        }
        next.members[at] = outcome.member;
        for &message in &outcome.said {
            insert(&mut next.said, message);
            if let Some(leader) = tables.leader_told_by(message) {
                insert(&mut next.leaders, leader);
            }
        }
        let durable_terms = next.members.map(|member| tables.facts(member).durable_term);
        next.said.retain(|&message| !tables.is_spent(message, durable_terms));
        let known = &tables.facts(outcome.member).log[..tables.facts(outcome.member).commit];
        let term = tables.facts(outcome.member).term;
        let news = known.iter().skip(next.committed.len()).map(|&entry| (entry, term));
        next.committed.extend(news);
        if next == *state && outcome.broken.is_none() {
            return None;
        }
        let broken = outcome.broken.or_else(|| judge(&tables, &next, at, &outcome));
        next.broken = broken.filter(|broken| !self.blind_to.contains(broken));
        self.note(&tables, state, &next, action, &outcome);
        Some(next)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds the tables")
    }

    /// Counts what is rare.
    fn note(&self, tables: &Tables, state: &State, next: &State, action: Action, outcome: &Outcome) {
        let mut marks = self.marks.lock().expect("nothing panics while it holds the marks");
        let mut note = |mark, came_up: bool| *marks.entry(mark).or_default() += u64::from(came_up);
        let at = action.to.0 as usize - 1;
        let (old, new) = (tables.facts(state.members[at]), tables.facts(outcome.member));
        let crashed = matches!(action.event, Event::Crash { .. });
        let leading = next.members.iter().filter(|&&member| tables.facts(member).leads).count();
        note(Mark::LeaderChange, next.leaders.len() > state.leaders.len() && !state.leaders.is_empty());
        note(Mark::TwoLeadersAtOnce, new.leads && leading > 1);
        note(Mark::TailOverwritten, !crashed && !new.log.starts_with(&old.log));
        let before = new.leads.then(|| new.log[..new.commit].get(old.commit)).flatten();
        note(Mark::EarlierTermCommitted, before.is_some_and(|&entry| tables.entry(entry).term < new.term));
        note(Mark::WriteLost, matches!(action.event, Event::Crash { kept } if kept < old.unwritten));
        note(Mark::ReadAnswered, outcome.reads.iter().any(|read| read.index.is_some()));
        note(Mark::ReadRefused, outcome.reads.iter().any(|read| read.index.is_none()));
    }
}

/// What is broken in `next`, whose last step was taken by the member at `at`.
fn judge(tables: &Tables, next: &State, at: usize, outcome: &Outcome) -> Option<Broken> {
    let facts = tables.facts(outcome.member);
    if next.leaders.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Some(Broken::ElectionSafety);
    }
    let others = next.members.iter().enumerate().filter(|(other, _)| *other != at);
    for (_, &other) in others {
        let other = &tables.facts(other).log;
        let same_id = |&i: &usize| tables.entry(facts.log[i]) == tables.entry(other[i]);
        if let Some(last) = (0..facts.log.len().min(other.len())).rev().find(same_id)
            && facts.log[..=last] != other[..=last]
        {
            return Some(Broken::LogMatching);
        }
    }
    let is_committed = |index: usize, entry: usize| next.committed.get(index).is_some_and(|c| c.0 == entry);
    if !(0..facts.commit).all(|index| is_committed(index, facts.log[index])) {
        return Some(Broken::CommittedChanged);
    }
    if !outcome.handed.iter().all(|&entry| is_committed(tables.entry(entry).index.0 as usize - 1, entry)) {
        return Some(Broken::StateMachineSafety);
    }
    for &member in &next.members {
        let leader = tables.facts(member);
        let before = next.committed.iter().enumerate().filter(|(_, (_, term))| *term < leader.term);
        let has_all = before.into_iter().all(|(index, (entry, _))| leader.log.get(index) == Some(entry));
        if leader.leads && !has_all {
            return Some(Broken::LeaderCompleteness);
        }
    }
    let misses = |id: ReadId, index: u64| index < next.floors[id.0 as usize] as u64;
    let missed = outcome.reads.iter().any(|read| read.index.is_some_and(|index| misses(read.id, index.0)));
    missed.then_some(Broken::ReadFromThePast)
}

fn insert<T: Ord>(sorted: &mut Vec<T>, value: T) {
    if let Err(place) = sorted.binary_search(&value) {
        sorted.insert(place, value);
    }
}

macro_rules! never {
    ($broken:ident) => {
        Property::always(stringify!($broken), |_, state: &State| state.broken != Some(Broken::$broken))
    };
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.start.clone()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let (tables, bounds) = (self.tables(), &self.bounds);
        for (id, &member) in (1..).map(NodeId).zip(&state.members) {
            let facts = tables.facts(member);
            let mut add = |event| actions.push(Action { to: id, event });
            match facts.leads {
                true if bounds.leaders_tick => add(Event::Tick),
                false if bounds.candidates.contains(&id.0) => add(Event::Timeout),
                _ => {}
            }
            if facts.unwritten > 0 {
                add(Event::Write);
            }
            if state.crashes < bounds.crashes {
                (0..=facts.unwritten).for_each(|kept| add(Event::Crash { kept }));
            }
            if state.proposals < bounds.proposals && facts.leads {
                add(Event::Propose(state.proposals + 1));
            }
            if state.floors.len() < bounds.reads {
                add(Event::Read(ReadId(state.floors.len() as u64)));
            }
        }
        let hear = |&message: &usize| Action { to: tables.message(message).to, event: Event::Hear(message) };
        actions.extend(state.said.iter().map(hear));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.after(state, action)
    }

    fn within_boundary(&self, state: &State) -> bool {
        let tables = self.tables();
        state.members.iter().all(|&member| {
            let facts = tables.facts(member);
            facts.term.0 <= self.bounds.term_max
                && facts.unwritten <= self.bounds.unwritten_max
                // A request that arrives twice may open two rounds; more of them tell nothing new.
                && facts.read_rounds <= 2 * self.bounds.reads as u64
        })
    }

    fn properties(&self) -> Vec<Property<Cluster>> {
        vec![
            never!(ElectionSafety),
            never!(LogMatching),
            never!(LeaderCompleteness),
            never!(CommittedChanged),
            never!(StateMachineSafety),
            never!(WentBack),
            never!(VoteChanged),
            never!(ToldTooEarly),
            never!(ReadFromThePast),
            never!(Assertion),
            Property::sometimes("a leader is elected", |_, state: &State| !state.leaders.is_empty()),
            Property::sometimes("an entry is committed", |_, state: &State| !state.committed.is_empty()),
        ]
    }

    fn format_action(&self, action: &Action) -> String {
        let to = action.to;
        match action.event {
            Event::Hear(message) => {
                let envelope = self.tables().message(message).clone();
                format!("n{to} hears n{} in term {}: {:?}", envelope.from, envelope.term, envelope.message)
            }
            event => format!("n{to}: {event:?}"),
        }
    }
}
