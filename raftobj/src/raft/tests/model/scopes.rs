//! The scopes: where an exploration starts, how far it goes, and what it must reach.

use super::member::{Event, Member, ModelDisk, Writes};
use super::tables::Tables;
use super::{Action, Bounds, Broken, Cluster, Reached, State};
use crate::planted::Bug;
use crate::raft::message::{Envelope, Message};
use crate::raft::types::{Entry, EntryId, EntryKind, HardState, Index, NodeId, Term, Time};
use bytes::Bytes;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// What is explored.
#[derive(Clone, Copy)]
struct Scope {
    name: &'static str,
    writes: Writes,
    bounds: Bounds,
    start: fn(&Scope) -> Cluster,
    planted: Option<Bug>,
    /// Not looked at, so that a planted bug must be found by what it leads to.
    ignored: &'static [Broken],
}

/// The number of steps after which an exploration ends. Steps to a known state count, too.
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
    /// Members with these disks that have not received anything.
    fn of(&self, disks: [ModelDisk; 3]) -> Cluster {
        let mut tables = Tables::new(self.writes, self.planted);
        let mut id = 0;
        let members = disks.map(|disk| {
            id += 1;
            tables.member(Member::new(NodeId(id), disk))
        });
        let state = State {
            members,
            sent: Vec::new(),
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
            ignored: self.ignored,
            tables: Mutex::new(tables),
            reached: Mutex::default(),
        }
    }

    /// Explores, and requires that nothing is broken, that a leader is elected, and that `reached` is reached.
    fn hold(self, reached: &[Reached], distinct_min: usize) {
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
        let seen = checker.model().reached.lock().unwrap().clone();
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
        for mark in reached {
            assert!(seen[mark] > 0, "{}: {mark:?} never came up", self.name);
        }
        let distinct = checker.unique_state_count();
        assert!(distinct >= distinct_min, "{}: only {distinct} states", self.name);
    }

    /// Explores until something is broken. Returns whether that is `broken`, and prints the shortest schedule to it.
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

/// Does the `wanted` events until none changes anything. Each message arrives once: with duplicates, two of them might undo
/// each other without end.
fn driven(cluster: &Cluster, mut state: State, wanted: impl Fn(NodeId, Option<&Envelope>) -> bool) -> State {
    let mut done = BTreeSet::new();
    loop {
        let mut actions = Vec::new();
        cluster.actions(&state, &mut actions);
        actions.retain(|action| match action.event {
            Event::Receive(message) => {
                !done.contains(&message) && wanted(action.to, Some(cluster.tables().message(message)))
            }
            Event::Write => wanted(action.to, None),
            _ => false,
        });
        let Some(&action) = actions.first() else { return state };
        if let Event::Receive(message) = action.event {
            done.insert(message);
        }
        state = cluster.after(&state, action).unwrap_or(state);
    }
}

fn timeout(cluster: &Cluster, state: &State, id: u64) -> State {
    cluster.after(state, Action { to: NodeId(id), event: Event::Timeout }).unwrap()
}

/// Member 1 leads term 1. All have its first entry, and only member 1 knows that it is committed.
fn led(scope: &Scope) -> Cluster {
    let mut cluster = scope.of(Default::default());
    let state = timeout(&cluster, &cluster.start[0], 1);
    let carries_commit = |message: &Message| match message {
        Message::AppendEntries { commit, .. }
        | Message::Heartbeat { commit, .. }
        | Message::Commit { commit } => commit.0 > 0,
        _ => false,
    };
    let state = driven(&cluster, state, |_, envelope| {
        envelope.is_none_or(|envelope| !carries_commit(&envelope.message))
    });
    cluster.start = vec![State { sent: Vec::new(), ..state }];
    cluster.reached = Mutex::default();
    cluster
}

/// Member 1 was elected in term 1, and none of its appends has arrived.
fn elected(scope: &Scope) -> Cluster {
    let mut cluster = scope.of(Default::default());
    let state = timeout(&cluster, &cluster.start[0], 1);
    let is_election = |message: &Message| {
        let pre_vote = matches!(message, Message::PreVote { .. } | Message::PreVoteReply { .. });
        pre_vote || matches!(message, Message::RequestVote { .. } | Message::VoteReply { .. })
    };
    let election = |_, envelope: Option<&Envelope>| envelope.is_none_or(|e| is_election(&e.message));
    let state = driven(&cluster, state, election);
    cluster.start = vec![state];
    cluster.reached = Mutex::default();
    cluster
}

/// Members 1 and 2 are candidates in term 1: member 3 would vote for either.
fn contested(scope: &Scope) -> Cluster {
    let mut cluster = scope.of(Default::default());
    let state = timeout(&cluster, &timeout(&cluster, &cluster.start[0], 1), 2);
    let pre_votes = |_, envelope: Option<&Envelope>| {
        envelope.is_some_and(|envelope| match envelope.message {
            Message::PreVote { .. } => envelope.to == NodeId(3),
            Message::PreVoteReply { .. } => true,
            _ => false,
        })
    };
    let mut state = driven(&cluster, state, pre_votes);
    let is_vote = |message: &Message| matches!(message, Message::RequestVote { .. });
    state.sent.retain(|&message| is_vote(&cluster.tables().message(message).message));
    cluster.start = vec![state];
    cluster
}

/// Member 1 leads term 4 by the vote of member 3, and has sent it an entry of term 2 that is not committed. Member 2 has an
/// entry of term 3 at that index.
fn figure_8_c(scope: &Scope) -> Cluster {
    let mut cluster = scope.of([disk(3, &[1, 2]), disk(4, &[1, 3]), disk(3, &[1])]);
    let state = timeout(&cluster, &cluster.start[0], 1);
    let carries =
        |message: &Message| matches!(message, Message::AppendEntries { entries, .. } if !entries.is_empty());
    let between = |_, envelope: Option<&Envelope>| {
        envelope.is_some_and(|envelope| {
            ![envelope.from, envelope.to].contains(&NodeId(2)) && !carries(&envelope.message)
        })
    };
    let mut state = driven(&cluster, state, between);
    state.sent.retain(|&message| carries(&cluster.tables().message(message).message));
    cluster.start = vec![state];
    cluster.reached = Mutex::default();
    cluster
}

/// A disk of this term, with a log of these terms.
fn disk(term: u64, log: &[u64]) -> ModelDisk {
    let entry = |(i, &term): (usize, &u64)| Entry {
        id: EntryId { term: Term(term), index: Index(i as u64 + 1) },
        time: Time(0),
        kind: EntryKind::Command,
        payload: Bytes::from(vec![100 + term as u8; 2]),
    };
    ModelDisk {
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
    ignored: &[],
};

const FIRST_ENTRY: Scope = Scope {
    name: "the first entry of a leader",
    bounds: Bounds { candidates: &[], ..BOUNDS },
    start: elected,
    ..ONE_CANDIDATE
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

// Breaks: a term, a vote or an acknowledgement is sent, and a crash takes it back.
#[test]
fn one_candidate_late_writes_and_a_crash() {
    ONE_CANDIDATE.hold(&[Reached::WriteLost], 250_000);
}

// Breaks: two members lead one term, because a crash made a voter forget its vote.
#[test]
fn two_candidates_and_a_crash() {
    TWO_CANDIDATES.hold(&[Reached::WriteLost], 180_000);
}

// Breaks: messages of an old leader undo what a new one has done, or the other way round.
#[test]
fn a_new_leader_beside_the_old_one() {
    NEW_LEADER.hold(&[Reached::LeaderChange, Reached::TwoLeadersAtOnce, Reached::TailOverwritten], 250_000);
}

// Breaks: a deposed leader answers a read with an old index.
#[test]
fn reads_while_the_leader_changes() {
    READS.hold(&[Reached::LeaderChange, Reached::ReadAnswered, Reached::ReadRefused], 250_000);
}

// Breaks: an entry that counted as committed is replaced (§5.4.2). It starts at (c) of figure 8.
#[test]
fn figure_8() {
    FIGURE_8.hold(&[Reached::EarlierTermCommitted, Reached::LeaderChange, Reached::TailOverwritten], 200_000);
}

// Breaks: a member loses state when messages are sent again, or when a leader steps down.
#[test]
fn a_leader_that_ticks() {
    TICKING_LEADER.hold(&[Reached::LeaderChange], 180_000);
}

// The exploration finds a vote that was sent before it was durable by its consequence: two leaders of one term.
#[test]
fn planted_writes_reported_early_are_found() {
    let ignored = &[Broken::SentTooEarly];
    assert!(Scope { writes: Writes::ReportedEarly, ignored, ..TWO_CANDIDATES }.finds(Broken::ElectionSafety));
}

/// Planted bugs, each with the scope that finds it and the property that is broken.
const PLANTED: &[(Bug, Scope, Broken)] = &[
    (Bug::VoteBeforePersist, CONSEQUENCES_ONLY, Broken::ElectionSafety),
    (Bug::VoteForgottenAtStart, TWO_CANDIDATES, Broken::VoteChanged),
    (Bug::TermNotPersisted, ONE_CANDIDATE, Broken::SentTooEarly),
    (Bug::AcknowledgedBeforeFsync, ONE_CANDIDATE, Broken::SentTooEarly),
    (Bug::AppliedBeforeDurable, FIRST_ENTRY, Broken::Assertion),
    (Bug::CommitByCounting, FIGURE_8, Broken::LeaderCompleteness),
    (Bug::StaleAppendTruncates, NEW_LEADER, Broken::Assertion),
    (Bug::NextIndexTakenForMatchIndex, NEW_LEADER, Broken::LeaderCompleteness),
    (Bug::ReadBeforeNoop, READS, Broken::StaleRead),
    (Bug::ReadWithoutRound, READS, Broken::StaleRead),
];

const CONSEQUENCES_ONLY: Scope = Scope { ignored: &[Broken::SentTooEarly], ..TWO_CANDIDATES };

// Proves that the exploration would find such bugs.
#[test]
fn planted_bugs_are_found() {
    let is_missed =
        |&&(bug, scope, broken): &&(Bug, Scope, Broken)| !Scope { planted: Some(bug), ..scope }.finds(broken);
    let missed: Vec<Bug> = PLANTED.iter().filter(is_missed).map(|(bug, ..)| *bug).collect();
    assert!(missed.is_empty(), "not found, or by another property: {missed:?}");
}
