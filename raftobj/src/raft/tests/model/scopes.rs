//! The scopes: where an exploration starts, how far it goes, and what it must come across.

use super::member::{Disk, Event, Member, Writes};
use super::tables::Tables;
use super::{Action, Bounds, Broken, Cluster, Mark, State};
use crate::planted::Bug;
use crate::raft::message::{Envelope, Message};
use crate::raft::types::{Entry, EntryId, EntryKind, HardState, Index, NodeId, Term, Time};
use bytes::Bytes;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// An exploration, before it begins.
#[derive(Clone, Copy)]
struct Scope {
    name: &'static str,
    writes: Writes,
    bounds: Bounds,
    start: fn(&Scope) -> Cluster,
    planted: Option<Bug>,
    /// Not looked at, so that a planted bug must be found by what it leads to.
    blind_to: &'static [Broken],
}

/// Steps after which an exploration ends, if there are as many; those that lead to a known state count too.
const STEPS: usize = 1_200_000;

const BOUNDS: Bounds = Bounds {
    term_max: 1,
    candidates: &[1, 2, 3],
    leaders_tick: false,
    proposals: 0,
    crashes: 0,
    reads: 0,
    unwritten_max: 2,
};

impl Scope {
    /// Members with these disks, of which nobody has heard anything.
    fn of(&self, disks: [Disk; 3]) -> Cluster {
        let mut tables = Tables::new(self.writes, self.planted);
        let mut id = 0;
        let members = disks.map(|disk| {
            id += 1;
            tables.member(Member::new(NodeId(id), disk))
        });
        let state = State {
            members,
            said: Vec::new(),
            committed: Vec::new(),
            leaders: Vec::new(),
            floors: Vec::new(),
            proposals: 0,
            crashes: 0,
            broken: None,
        };
        Cluster {
            bounds: self.bounds,
            start: vec![state],
            blind_to: self.blind_to,
            tables: Mutex::new(tables),
            marks: Mutex::default(),
        }
    }

    /// Explores, and demands that nothing is broken, that a leader was elected and what else must come up.
    fn hold(self, marks: &[Mark], distinct_min: usize) {
        let mut cluster = (self.start)(&self);
        let mut steps = STEPS;
        if let Some(asked) = std::env::var_os("RAFTOBJ_MODEL_STEPS") {
            let asked = asked.into_string().ok().and_then(|asked| asked.parse().ok());
            steps = asked.expect("RAFTOBJ_MODEL_STEPS is a number");
            cluster.bounds.term_max += 1;
            cluster.bounds.proposals += 1;
            cluster.bounds.crashes += 1;
            cluster.bounds.reads += 1;
        }
        let checker = cluster
            .checker()
            .target_state_count(steps)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let seen = checker.model().marks.lock().unwrap().clone();
        println!(
            "{}: {} states by {} steps, up to {} deep; {:?} members, messages, entries; {seen:?}",
            self.name,
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth() - 1,
            checker.model().tables().sizes()
        );
        for (name, path) in checker.discoveries() {
            if checker.model().property(name).expectation.discovery_is_failure() {
                let actions: Vec<_> =
                    path.into_actions().iter().map(|action| checker.model().format_action(action)).collect();
                panic!("{}: {name}, by\n  {}", self.name, actions.join("\n  "));
            }
        }
        checker.assert_properties();
        for mark in marks {
            assert!(seen[mark] > 0, "{}: {mark:?} never came up", self.name);
        }
        let distinct = checker.unique_state_count();
        assert!(distinct >= distinct_min, "{}: only {distinct} states", self.name);
    }

    /// Explores until something is broken: whether it is `broken`. Prints the shortest schedule to it.
    fn finds(self, broken: Broken) -> bool {
        let name = format!("{broken:?}");
        let checker = (self.start)(&self)
            .checker()
            .target_state_count(STEPS)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let planted = self.planted;
        println!("{planted:?}, {}: {} states", self.name, checker.unique_state_count());
        let mut discoveries = checker.discoveries().into_iter();
        discoveries.find(|(found, _)| **found == name).is_some_and(|(_, path)| {
            let path = path.into_actions();
            let actions: Vec<_> = path.iter().map(|action| checker.model().format_action(action)).collect();
            println!("{name}, by\n  {}", actions.join("\n  "));
            true
        })
    }
}

/// Lets `wanted` events happen until there is none that changes anything. Each message arrives once: repeated for ever,
/// two of them might undo each other for ever.
fn driven(cluster: &Cluster, mut state: State, wanted: impl Fn(NodeId, Option<&Envelope>) -> bool) -> State {
    let mut done = BTreeSet::new();
    loop {
        let mut actions = Vec::new();
        cluster.actions(&state, &mut actions);
        actions.retain(|action| match action.event {
            Event::Hear(message) => {
                !done.contains(&message) && wanted(action.to, Some(cluster.tables().message(message)))
            }
            Event::Write => wanted(action.to, None),
            _ => false,
        });
        let Some(&action) = actions.first() else { return state };
        if let Event::Hear(message) = action.event {
            done.insert(message);
        }
        state = cluster.after(&state, action).unwrap_or(state);
    }
}

fn timeout(cluster: &Cluster, state: &State, id: u64) -> State {
    cluster.after(state, Action { to: NodeId(id), event: Event::Timeout }).unwrap()
}

/// Member 1 leads term 1; all have its first entry, and it alone knows that this is committed.
fn led(scope: &Scope) -> Cluster {
    let mut cluster = scope.of(Default::default());
    let state = timeout(&cluster, &cluster.start[0], 1);
    let tells_commit = |message: &Message| match message {
        Message::Append { commit, .. } | Message::Heartbeat { commit, .. } | Message::Commit { commit } => {
            commit.0 > 0
        }
        _ => false,
    };
    let state = driven(&cluster, state, |_, envelope| {
        envelope.is_none_or(|envelope| !tells_commit(&envelope.message))
    });
    cluster.start = vec![State { said: Vec::new(), ..state }];
    cluster.marks = Mutex::default();
    cluster
}

/// Members 1 and 2 are candidates in term 1: member 3 would vote for either.
fn contested(scope: &Scope) -> Cluster {
    let mut cluster = scope.of(Default::default());
    let state = timeout(&cluster, &timeout(&cluster, &cluster.start[0], 1), 2);
    let asked = |_, envelope: Option<&Envelope>| {
        envelope.is_some_and(|envelope| match envelope.message {
            Message::PreVote { .. } => envelope.to == NodeId(3),
            Message::PreVoteReply { .. } => true,
            _ => false,
        })
    };
    let mut state = driven(&cluster, state, asked);
    let is_vote = |message: &Message| matches!(message, Message::Vote { .. });
    state.said.retain(|&message| is_vote(&cluster.tables().message(message).message));
    cluster.start = vec![state];
    cluster
}

/// Member 1 leads term 4 by the vote of member 3, and has sent it an entry of term 2, which is not committed; member 2
/// has one of term 3 in its place.
fn figure_8_c(scope: &Scope) -> Cluster {
    let mut cluster = scope.of([disk(3, &[1, 2]), disk(4, &[1, 3]), disk(3, &[1])]);
    let state = timeout(&cluster, &cluster.start[0], 1);
    let carries =
        |message: &Message| matches!(message, Message::Append { entries, .. } if !entries.is_empty());
    let between = |_, envelope: Option<&Envelope>| {
        envelope.is_some_and(|envelope| {
            ![envelope.from, envelope.to].contains(&NodeId(2)) && !carries(&envelope.message)
        })
    };
    let mut state = driven(&cluster, state, between);
    state.said.retain(|&message| carries(&cluster.tables().message(message).message));
    cluster.start = vec![state];
    cluster.marks = Mutex::default();
    cluster
}

/// A disk of this term, with a log of these terms.
fn disk(term: u64, log: &[u64]) -> Disk {
    let entry = |(i, &term): (usize, &u64)| Entry {
        id: EntryId { term: Term(term), index: Index(i as u64 + 1) },
        time: Time(0),
        kind: EntryKind::Command,
        payload: Bytes::from(vec![100 + term as u8; 2]),
    };
    Disk {
        hard_state: HardState { term: Term(term), voted_for: None },
        entries: log.iter().enumerate().map(entry).collect(),
    }
}

const ONE_CANDIDATE: Scope = Scope {
    name: "one candidate",
    writes: Writes::Late,
    bounds: Bounds { candidates: &[1], crashes: 1, ..BOUNDS },
    start: |scope| scope.of(Default::default()),
    planted: None,
    blind_to: &[],
};

const TWO_CANDIDATES: Scope = Scope {
    name: "two candidates",
    bounds: Bounds { candidates: &[], crashes: 2, ..BOUNDS },
    start: contested,
    ..ONE_CANDIDATE
};

const NEW_LEADER: Scope = Scope {
    name: "a new leader",
    writes: Writes::AtOnce,
    bounds: Bounds { candidates: &[2, 3], term_max: 2, proposals: 1, ..BOUNDS },
    start: led,
    ..ONE_CANDIDATE
};

const READS: Scope = Scope {
    name: "reads",
    bounds: Bounds { candidates: &[2, 3], term_max: 2, reads: 1, ..BOUNDS },
    ..NEW_LEADER
};

const FIGURE_8: Scope = Scope {
    name: "figure 8",
    bounds: Bounds { candidates: &[2, 3], term_max: 5, ..BOUNDS },
    start: figure_8_c,
    ..NEW_LEADER
};

const TICKING_LEADER: Scope = Scope {
    name: "a leader that ticks",
    writes: Writes::Late,
    bounds: Bounds { candidates: &[2], leaders_tick: true, term_max: 2, proposals: 1, ..BOUNDS },
    ..NEW_LEADER
};

// Breaks: a term, a vote or an entry is told, and a crash takes it back.
#[test]
fn one_candidate_late_writes_and_a_crash() {
    ONE_CANDIDATE.hold(&[Mark::WriteLost], 250_000);
}

// Breaks: two lead one term, because a crash made a voter forget.
#[test]
fn two_candidates_and_a_crash() {
    TWO_CANDIDATES.hold(&[Mark::WriteLost], 180_000);
}

// Breaks: what an old leader says undoes what a new one has done, or the other way round.
#[test]
fn a_new_leader_beside_the_old_one() {
    NEW_LEADER.hold(&[Mark::LeaderChange, Mark::TwoLeadersAtOnce, Mark::TailOverwritten], 250_000);
}

// Breaks: a leader that is one no more answers a read from the past.
#[test]
fn reads_while_the_leader_changes() {
    READS.hold(&[Mark::LeaderChange, Mark::ReadAnswered, Mark::ReadRefused], 250_000);
}

// Breaks: what was counted as committed gives way (§5.4.2). It starts at the figure's (c).
#[test]
fn figure_8() {
    FIGURE_8.hold(&[Mark::EarlierTermCommitted, Mark::LeaderChange, Mark::TailOverwritten], 200_000);
}

// Breaks: what is sent again, or a leader that steps down, makes a member forget.
#[test]
fn a_leader_that_ticks() {
    TICKING_LEADER.hold(&[Mark::LeaderChange], 180_000);
}

// The exploration finds a vote that was told before it was durable by what follows from it: two leaders of one term.
#[test]
fn planted_a_disk_that_reports_early() {
    let blind_to = &[Broken::ToldTooEarly];
    assert!(
        Scope { writes: Writes::ReportedEarly, blind_to, ..TWO_CANDIDATES }.finds(Broken::ElectionSafety)
    );
}

/// Bugs, the scope that finds each within its steps, and by which property.
const PLANTED: &[(Bug, Scope, Broken)] = &[
    (Bug::VoteBeforePersist, BLIND, Broken::ElectionSafety),
    (Bug::VoteForgottenAtStart, TWO_CANDIDATES, Broken::VoteChanged),
    (Bug::TermNotPersisted, ONE_CANDIDATE, Broken::ToldTooEarly),
    (Bug::AcknowledgedBeforeFsync, ONE_CANDIDATE, Broken::ToldTooEarly),
    (Bug::AppliedBeforeDurable, ONE_CANDIDATE, Broken::Assertion),
    (Bug::CommitByCounting, FIGURE_8, Broken::LeaderCompleteness),
    (Bug::StaleAppendTruncates, NEW_LEADER, Broken::Assertion),
    (Bug::NextIndexTakenForMatchIndex, NEW_LEADER, Broken::LeaderCompleteness),
    (Bug::ReadBeforeNoop, READS, Broken::ReadFromThePast),
    (Bug::ReadWithoutRound, READS, Broken::ReadFromThePast),
];

const BLIND: Scope = Scope { blind_to: &[Broken::ToldTooEarly], ..TWO_CANDIDATES };

// Each is a proof that the exploration would find such a bug.
#[test]
fn planted_bugs_are_found() {
    let is_missed =
        |&&(bug, scope, broken): &&(Bug, Scope, Broken)| !Scope { planted: Some(bug), ..scope }.finds(broken);
    let missed: Vec<Bug> = PLANTED.iter().filter(is_missed).map(|(bug, ..)| *bug).collect();
    assert!(missed.is_empty(), "not found, or by another property: {missed:?}");
}
