//! Tests of the simulator itself: runs repeat, runs of a correct cluster pass, and failures show what a person needs.

mod planted;

use super::schedule::event::{Event, from_text};
use super::schedule::setup::Setup;
use super::standard::simulation;
use super::world::World;
use super::{Client, Failure, Simulation};
use crate::codec::message::Message;
use crate::planted::{Bug, with};
use crate::raft::types::Index;
use bytes::Bytes;
use std::cell::Cell;
use std::collections::BTreeMap;

// Breaks: a seed that failed does not fail again.
#[test]
fn a_seed_determines_its_run() {
    for seed in 0..20 {
        let hash = |seed| simulation().run_seed(seed).unwrap().hash();
        assert_eq!(hash(seed), hash(seed));
        assert_ne!(hash(seed), hash(seed + 1));
    }
}

#[test]
fn the_standard_seeds_pass() {
    let report = simulation().seeds(0..300).run().unwrap();
    assert!(report.applied_calls() > 5_000, "{report}");
}

/// The failure of the first seed that fails.
fn failure(seeds: u64) -> Failure {
    (0..seeds).find_map(|seed| simulation().run_seed(seed).err()).expect("the bug is found")
}

// Breaks: a person has to read two thousand events, or gets a schedule that does not fail.
#[test]
fn a_failure_is_shrunk_and_can_be_repeated() {
    with(Bug::AcknowledgedBeforeFsync, || {
        let failure = failure(20);
        let rule = |failure: &Failure| failure.reason().split(':').next().unwrap().to_owned();
        for line in [failure.run(), failure.shrunk_run()] {
            let again = simulation().replay(&line).unwrap_err();
            assert_eq!(rule(&again), rule(&failure), "{line}");
        }
        let events = failure.shrunk_run().split(';').count();
        assert!(events < 100, "{events} events are left:\n{failure}");
        println!("{failure}");
        let text = failure.to_string();
        assert!(text.contains("RAFTOBJ_SIM='seed"), "{text}");
        assert!(text.contains("n0 ") && text.contains("#[test]"), "{text}");
        assert_eq!(text.matches(&failure.0.observed).count(), 1, "{text}");
    });
}

// Breaks: a report that a user prints has eighty lines.
#[test]
fn a_report_is_short_unless_its_table_is_asked_for() {
    let report = simulation().run_seed(0).unwrap();
    assert_eq!(report.to_string().lines().count(), 2, "{report}");
    let long = format!("{report:#}");
    assert!(long.starts_with(&report.to_string()), "{long}");
    assert!(long.contains("events: tick ") && long.contains("rare events:"), "{long}");
}

// Breaks: the table of reached events counts events without effect.
#[test]
fn a_fault_that_is_already_there_has_no_effect() {
    let simulation = simulation();
    let setup = Setup { nodes: 3, ..Setup::draw(0, &simulation.bounds) };
    let mut world = World::new(simulation.runner.program, setup);
    assert!(!world.inject_fault(Event::Heal {}));
    for event in from_text("hang 0; fill 1; cut 0 1; rate 2 150; fail 0 1 2; pause 1; split 1").unwrap() {
        assert!(world.inject_fault(event), "{event}");
        assert!(!world.inject_fault(event), "{event} again");
    }
    for event in from_text("unhang 0; free 1; rate 2 100; resume 1; heal").unwrap() {
        assert!(world.inject_fault(event), "{event}");
        assert!(!world.inject_fault(event), "{event} again");
    }
}

// Breaks: seeds try orders of inputs that no engine has, and never try those that it has.
#[test]
fn in_a_turn_messages_arrive_after_the_reports_of_the_threads() {
    let simulation = simulation();
    let setup = Setup { nodes: 3, ..Setup::draw(0, &simulation.bounds) };
    let seed = setup.seed;
    let mut world = World::new(simulation.runner.program, setup);
    world.end_faults();
    for _ in 0..100 {
        world.round();
    }
    let replies = |world: &mut World<_>| {
        world.network.at(0, 1).copy_to_echoes();
        let sent = std::iter::from_fn(|| world.network.at(0, 1).take_echo());
        let is_reply = |message: Vec<u8>| {
            matches!(Message::decode(Bytes::from(message).slice(8..)), Ok(Message::Digests { .. }))
        };
        sent.map(is_reply).filter(|is| *is).count()
    };
    for (fails, expected) in [(false, 1), (true, 0)] {
        world.network.at(0, 1).lose_all();
        assert!(world.begin_turn(0));
        let mut question = world.servers[1].id(seed).0.to_le_bytes().to_vec();
        Message::DigestsWanted { upto: Index(1) }.encode(&mut question);
        assert!(world.receive(1, 0, question));
        if fails {
            world.set_full(0, true);
            world.disk_failed(0, "no storage space".to_owned());
        }
        assert_eq!(replies(&mut world), 0, "not before the turn's end");
        assert!(world.end_turn(0));
        assert_eq!(replies(&mut world), expected, "a node that has stopped replies to nothing");
    }
}

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// An object with methods that read something like a clock.
#[raftobj::replicated]
#[derive(Default, PartialEq)]
struct Clocked {
    touched: BTreeMap<u64, u64>,
}

#[raftobj::replicated]
impl Clocked {
    #[replicated]
    fn put(&mut self, key: u64) -> Option<u64> {
        self.touched.insert(key, 0)
    }

    #[replicated]
    fn touch(&mut self, key: u64) -> Option<u64> {
        let now = CLOCK.get() + 1;
        CLOCK.set(now);
        self.touched.insert(key, now)
    }

    /// As `touch`, but no reply shows it.
    #[replicated]
    fn stamp(&mut self, key: u64) {
        let now = CLOCK.get() + 1;
        CLOCK.set(now);
        self.touched.insert(key, now);
    }
}

// Breaks: a user whose method is not deterministic does not learn which method, and at which index.
#[test]
fn a_method_that_is_not_deterministic_is_named_with_its_index() {
    let workload = |client: &mut Client<'_, Clocked>| {
        let key = client.random().below(3);
        match client.random().below(4) {
            0 => client.call(|clocked| clocked.touch(key)),
            _ => client.call(|clocked| clocked.put(key)),
        }
    };
    let simulation = || Simulation::new(Clocked::default, workload).without_faults();
    let reason = simulation().check_state().run().unwrap_err().reason();
    assert!(reason.starts_with("replicas of an object are equal"), "{reason}");
    assert!(reason.contains("after index ") && reason.contains("`touch("), "{reason}");
    // Without `==` only a reply shows the difference, and that may be the reply of `put`.
    let reason = simulation().run().unwrap_err().reason();
    assert!(reason.starts_with("replicas of an object are equal"), "{reason}");
}

// Breaks: a difference that only reads show is not found.
#[test]
fn a_method_that_is_not_deterministic_is_found_by_reads_alone() {
    let workload = |client: &mut Client<'_, Clocked>| match client.random().below(2) {
        0 => client.call(|clocked| clocked.stamp(1)),
        _ => client.read(|clocked| clocked.touched.clone()),
    };
    let failure = Simulation::new(Clocked::default, workload).without_faults().run().unwrap_err();
    let reason = failure.reason();
    assert!(reason.starts_with("replicas of an object are equal: a read at n"), "{reason}");
    let text = failure.to_string();
    assert!(
        text.contains("the last calls that took effect\n  index ") && text.contains(": stamp(1)\n"),
        "{text}"
    );
}
