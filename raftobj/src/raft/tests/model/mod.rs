//! Bounded exploration: every schedule of three members within bounds.
//!
//! The members are [`Raft`](crate::raft::Raft) itself, run by [stateright] as the transitions of a model. A state has the
//! members with their disks, all messages ever sent, and the history that the properties need.
//!
//! # Where to begin
//! `scopes`: where an exploration starts, its [`Bounds`], and what it must reach. Then [`Broken`]: what must never
//! happen; [`Cluster::after`]: a step; `member`: what an event does to one member; `tables`: why it is fast.
//!
//! # What is abstracted, and what that leaves out
//! - **The network** is the set of all messages ever sent. A message arrives never, once or many times, at any time, in
//!   any order: this covers loss, delay, duplication and reordering without limits. Replies of a term that is over for
//!   good at their receiver are removed: the core ignores them.
//! - **Clocks** are not related to each other. A follower's only event is its whole election timeout, because its
//!   behaviour does not depend on the ticks before; it elapses only when term and vote are durable. A leader sends heartbeats when it is elected and for reads; where a
//!   scope lets leaders tick, also at each tick, and the second tick without an answer is a timeout. The shortest
//!   election timeout is the longest one, so timeouts do not depend on the number of campaigns. Only differences
//!   between times are kept.
//! - **Disks** write in order. A write in flight completes by an event, or by a crash that keeps the oldest of them;
//!   scopes about something else write at once. A restart follows a crash immediately: a member that is down is the same
//!   as one that receives nothing.
//! - **`ready`** is called after each event, and its entries are applied. Several events before one `ready`, and slow
//!   apply, are left to random schedules.
//!
//! # Bounds
//! Breadth first, so a failure is shown by a shortest schedule; depth first would follow one schedule and miss those
//! beside it. A scope ends when there are no more states, or at a number of steps, between two blocks of 1,500 states.
//! One thread runs it, so every machine visits the same states. Deeper, with larger bounds:
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

/// The bounds of an exploration.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// No member goes beyond this term.
    term_max: u64,
    /// The members that may campaign. Members differ only by name, so fewer than all lose little.
    candidates: &'static [u64],
    leaders_tick: bool,
    /// Commands proposed in all.
    proposals: u8,
    /// Crashes in all.
    crashes: u8,
    /// Reads requested in all.
    reads: usize,
    /// Writes of one member in flight at a time.
    unwritten_max: usize,
}

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Broken {
    /// Two members led one term (§5.2).
    ElectionSafety,
    /// Two logs have an entry of one index and term, and differ there or before (§5.3).
    LogMatching,
    /// A leader lacks an entry that was committed in an earlier term (§5.4).
    LeaderCompleteness,
    /// Two entries were known as committed at one index.
    CommittedChanged,
    /// An entry was applied that is not the committed one (§5.4.3).
    StateMachineSafety,
    /// A term decreased, or a commit index without a restart.
    Decreased,
    /// A vote changed within its term: without a restart, or on the disk.
    VoteChanged,
    /// A term, a vote or an entry left a member before it was on its disk.
    SentTooEarly,
    /// A read got an index below what was committed when it was requested.
    StaleRead,
    /// An assertion of the core failed; its message is on standard error.
    Assertion,
}

/// What an exploration must reach to be worth something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// A leader was elected in a term after another's.
    LeaderChange,
    /// A leader does not know that there is one of a later term.
    TwoLeadersAtOnce,
    /// Uncommitted entries were replaced.
    TailOverwritten,
    /// An entry of an earlier term became committed together with one of the leader's own (§5.4.2).
    EarlierTermCommitted,
    /// A crash lost a write in flight.
    WriteLost,
    /// A leader answered a read of its own or of another member.
    ReadAnswered,
    /// A read ended without an index.
    ReadRefused,
}

/// The cluster and its history, as far as the properties need it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// By id. Numbers of the tables, as all others here.
    members: [usize; MEMBERS],
    /// All messages ever sent, sorted.
    sent: Vec<usize>,
    /// By index: the entry that a member first knew to be committed, and the term of that member then.
    committed: Vec<(usize, Term)>,
    /// The leader of each term, sorted.
    leaders: Vec<(Term, NodeId)>,
    /// By read: how much was committed when it was requested.
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

/// The model.
struct Cluster {
    bounds: Bounds,
    start: Vec<State>,
    /// Not checked, so a planted bug must be found by its consequences.
    ignored: &'static [Broken],
    tables: Mutex<Tables>,
    /// How often each was reached.
    reached: Mutex<BTreeMap<Reached, u64>>,
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
        for &message in &outcome.sent {
            insert(&mut next.sent, message);
            if let Some(leader) = tables.leader_shown_by(message) {
                insert(&mut next.leaders, leader);
            }
        }
        let durable_terms = next.members.map(|member| tables.facts(member).durable_term);
        next.sent.retain(|&message| !tables.has_no_effect(message, durable_terms));
        let known = &tables.facts(outcome.member).log[..tables.facts(outcome.member).commit];
        let term = tables.facts(outcome.member).term;
        let news = known.iter().skip(next.committed.len()).map(|&entry| (entry, term));
        next.committed.extend(news);
        if next == *state && outcome.broken.is_none() {
            return None;
        }
        let broken = outcome.broken.or_else(|| judge(&tables, &next, at, &outcome));
        next.broken = broken.filter(|broken| !self.ignored.contains(broken));
        self.count_reached(&tables, state, &next, action, &outcome);
        Some(next)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds the tables")
    }

    /// Counts what this step has reached.
    fn count_reached(&self, tables: &Tables, state: &State, next: &State, action: Action, outcome: &Outcome) {
        let mut reached = self.reached.lock().expect("nothing panics while it holds the counts");
        let mut count = |mark, was_reached: bool| *reached.entry(mark).or_default() += u64::from(was_reached);
        let at = action.to.0 as usize - 1;
        let (old, new) = (tables.facts(state.members[at]), tables.facts(outcome.member));
        let crashed = matches!(action.event, Event::Crash { .. });
        let leading = next.members.iter().filter(|&&member| tables.facts(member).leads).count();
        count(Reached::LeaderChange, next.leaders.len() > state.leaders.len() && !state.leaders.is_empty());
        count(Reached::TwoLeadersAtOnce, new.leads && leading > 1);
        count(Reached::TailOverwritten, !crashed && !new.log.starts_with(&old.log));
        let before = new.leads.then(|| new.log[..new.commit].get(old.commit)).flatten();
        count(
            Reached::EarlierTermCommitted,
            before.is_some_and(|&entry| tables.entry(entry).term < new.term),
        );
        count(Reached::WriteLost, matches!(action.event, Event::Crash { kept } if kept < old.unwritten));
        count(Reached::ReadAnswered, outcome.reads.iter().any(|read| read.index.is_some()));
        count(Reached::ReadRefused, outcome.reads.iter().any(|read| read.index.is_none()));
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
    if !outcome.applied.iter().all(|&entry| is_committed(tables.entry(entry).index.0 as usize - 1, entry)) {
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
    missed.then_some(Broken::StaleRead)
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
                false if facts.may_time_out && bounds.candidates.contains(&id.0) => add(Event::Timeout),
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
        let receive =
            |&message: &usize| Action { to: tables.message(message).to, event: Event::Receive(message) };
        actions.extend(state.sent.iter().map(receive));
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
                // A request that arrives twice may open two rounds; more rounds show nothing new.
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
            never!(Decreased),
            never!(VoteChanged),
            never!(SentTooEarly),
            never!(StaleRead),
            never!(Assertion),
            Property::sometimes("a leader is elected", |_, state: &State| !state.leaders.is_empty()),
            Property::sometimes("an entry is committed", |_, state: &State| !state.committed.is_empty()),
        ]
    }

    fn format_action(&self, action: &Action) -> String {
        let to = action.to;
        match action.event {
            Event::Receive(message) => {
                let envelope = self.tables().message(message).clone();
                format!(
                    "n{to} receives from n{} in term {}: {:?}",
                    envelope.from, envelope.term, envelope.message
                )
            }
            event => format!("n{to}: {event:?}"),
        }
    }
}
