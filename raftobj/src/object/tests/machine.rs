use super::*;
use crate::codec::command::Number;
use crate::object::describe::describe;
use crate::object::digest::{DigestMismatch, DigestRing};
use crate::object::fixture::{
    ADD, BOOM, LARGE, SKEWED, Tally, TestRandom, UNENCODABLE, command, entry, noop, session,
};
use crate::raft::types::{NodeId, Term};
use std::sync::mpsc;

fn machine(skew: u64) -> Machine<Tally> {
    let state = Arc::new(StateLock::new(Tally { skew, ..Tally::default() }));
    let config = MachineConfig { own: session(1, 1), reply_bytes_max: 1_000, on_panic: OnPanic::default() };
    Machine::new(state, config)
}

fn apply(machine: &mut Machine<Tally>, entries: &[Entry]) -> Applied {
    machine.apply(entries, &mut || Between::Continue)
}

fn replied(applied: &Applied) -> Vec<(u64, u64, Reply)> {
    let reply = |decision: &Decision| match &decision.verdict {
        CallVerdict::Replied { entry, reply } => Some((decision.number.0, entry.index.0, reply.clone())),
        _ => None,
    };
    applied.decisions.iter().filter_map(reply).collect()
}

fn count(value: u64) -> Reply {
    Reply::Value(Bytes::copy_from_slice(&value.to_le_bytes()))
}

// Breaks: the apply thread, which does not know the object's type, cannot apply.
#[test]
fn a_machine_applies_behind_its_trait() {
    let mut machine: Box<dyn Apply> = Box::new(machine(0));
    assert_eq!(machine.apply(&[noop(1, 1)], &mut || Between::Continue).upto.index, Index(1));
}

// Breaks: a caller gets another entry than the one at which its call took effect.
#[test]
fn a_duplicate_is_answered_with_the_first_entry_and_reply() {
    let mut machine = machine(0);
    let call = command(session(1, 1), 1, 1, ADD, 5);
    let first = apply(&mut machine, &[noop(1, 1), entry(1, 2, &call)]);
    let again = apply(&mut machine, &[noop(2, 3), entry(2, 4, &call)]);
    let at = EntryId { term: Term(1), index: Index(2) };
    let verdict = CallVerdict::Replied { entry: at, reply: count(1) };
    assert_eq!(first.decisions, [Decision { number: Number(1), verdict: verdict.clone() }]);
    assert_eq!(again.decisions, [Decision { number: Number(1), verdict }]);
    assert_eq!(machine.state.read().counts[&5], 1);
    assert_eq!((again.upto.index, again.time), (Index(4), Time(1_004)));
}

#[test]
fn there_are_decisions_only_for_this_nodes_own_session() {
    let mut machine = machine(0);
    let entries = [
        entry(1, 1, &command(session(2, 1), 1, 1, ADD, 5)),
        entry(1, 2, &command(session(1, 1), 2, 1, ADD, 5)),
        entry(1, 3, &command(session(1, 1), 1, 1, ADD, 5)),
        entry(1, 4, &command(session(2, 1), 5, 1, ADD, 5)),
    ];
    let applied = apply(&mut machine, &entries);
    assert_eq!(applied.decisions[0], Decision { number: Number(2), verdict: CallVerdict::Gap });
    assert_eq!(replied(&applied), [(1, 3, count(2))]);
    assert_eq!(machine.answers(Number(1)).len(), 1);
    assert_eq!(machine.answers(Number(2)), []);
    let retired = [
        entry(1, 5, &command(session(1, 2), 1, 1, ADD, 5)),
        entry(1, 6, &command(session(1, 1), 2, 1, ADD, 5)),
    ];
    let applied = apply(&mut machine, &retired);
    assert_eq!(applied.decisions, [Decision { number: Number(2), verdict: CallVerdict::Retired }]);
    assert_eq!(machine.answers(Number(1)), []);
}

// Breaks: a method that fails stops all nodes for ever (PySyncObj), or makes replicas differ.
#[test]
fn a_panic_is_an_outcome_and_equal_on_every_replica() {
    let (mut one, mut two) = (machine(1), machine(2));
    let entries = [
        entry(1, 1, &command(session(1, 1), 1, 1, BOOM, 5)),
        entry(1, 2, &command(session(1, 1), 2, 1, ADD, 5)),
        entry(1, 3, &command(session(1, 1), 1, 1, BOOM, 5)),
    ];
    let applied = apply(&mut one, &entries);
    let elsewhere = apply(&mut two, &entries);
    assert_eq!(applied.checkpoints, elsewhere.checkpoints, "the messages differ, the digests do not");
    assert_eq!(one.sessions, two.sessions);
    assert_eq!((applied.panics, &applied.stop), (1, &None));
    let replies = replied(&applied);
    assert_eq!(replies[0], (1, 1, Reply::Panicked("boom 5 with skew 1".into())));
    assert_eq!(replies[1], (2, 2, count(2)), "the object is as the method left it");
    assert!(matches!(replies[2], (1, 1, Reply::Panicked(_))), "a duplicate: {:?}", replies[2]);
}

#[test]
fn a_panic_stops_the_node_if_the_option_is_set() {
    let mut machine = machine(0);
    machine.config.on_panic = OnPanic::Stop;
    let entries = [
        entry(1, 1, &command(session(1, 1), 1, 1, ADD, 5)),
        entry(1, 2, &command(session(1, 1), 2, 1, BOOM, 5)),
        entry(1, 3, &command(session(1, 1), 3, 1, ADD, 5)),
    ];
    let applied = apply(&mut machine, &entries);
    assert_eq!((applied.upto.index, applied.panics), (Index(1), 1));
    let stop = applied.stop.unwrap();
    assert_eq!((stop.index, stop.method), (Index(2), Some(BOOM)));
    assert_eq!(
        stop.to_string(),
        "entry 2 cannot be applied: `boom` panicked, and the option on_panic is Stop: boom 5 with skew 0"
    );
}

// Breaks: a node with another version of the code calls the wrong method (PySyncObj did).
#[test]
fn an_entry_that_cannot_be_called_stops_apply() {
    let good = command(session(1, 1), 1, 1, ADD, 5);
    let unknown = Command { method: MethodId(0xabc), ..good.clone() };
    let long = Command { arguments: Bytes::from_static(b"nine bytes"), ..good.clone() };
    let object = Command { object: ObjectId(3), ..good.clone() };
    let garbage = Entry { payload: Bytes::from_static(b"\0abc"), ..entry(1, 1, &good) };
    for (bad, expected) in [
        (entry(1, 1, &unknown), "entry 1 cannot be applied: no method with id 00000abc"),
        (entry(1, 1, &long), "entry 1 cannot be applied: the arguments of `add` do not decode"),
        (entry(1, 1, &object), "entry 1 cannot be applied: it is for object 3"),
        (garbage, "entry 1 cannot be applied: it is not a command: the bytes end inside `session node`"),
    ] {
        let mut machine = machine(0);
        let applied = apply(&mut machine, &[bad, entry(1, 2, &good)]);
        let stop = applied.stop.clone().unwrap();
        assert!(stop.to_string().starts_with(expected), "{stop}");
        assert_eq!((applied.upto, applied.checkpoints.len()), (EntryId::default(), 0));
        let later = apply(&mut machine, &[entry(1, 1, &good)]);
        assert_eq!((later.upto, later.stop), (EntryId::default(), Some(stop)), "it stays stopped");
        assert!(machine.state.read().counts.is_empty());
    }
}

#[test]
fn a_reply_that_is_too_large_or_does_not_encode_is_an_outcome() {
    let mut machine = machine(0);
    let entries = [
        entry(1, 1, &command(session(1, 1), 1, 1, LARGE, 1_001)),
        entry(1, 2, &command(session(1, 1), 2, 1, LARGE, 1_000)),
        entry(1, 3, &command(session(1, 1), 3, 1, UNENCODABLE, 5)),
    ];
    let applied = apply(&mut machine, &entries);
    let replies = replied(&applied);
    assert_eq!(replies[0], (1, 1, Reply::TooLarge { bytes: 1_001, limit: 1_000 }));
    assert_eq!(replies[1].2.bytes(), 1_000);
    assert_eq!(replies[2].2, Reply::Unencodable("no length".into()));
    assert_eq!(applied.stop, None);
}

// Breaks: replicas differ and nobody notices (jgroups-raft 2026; PySyncObj `ReplSet.pop`).
#[test]
fn a_divergence_is_found_at_its_first_index() {
    let (mut one, mut two) = (machine(1), machine(2));
    let method = |index| if index == 40 { SKEWED } else { ADD };
    let calls =
        (1..=100).map(|index| entry(1, index, &command(session(3, 1), index, index, method(index), 5)));
    let calls: Vec<Entry> = calls.collect();
    let mut ring = DigestRing::default();
    ring.extend(&apply(&mut one, &calls).checkpoints);
    let theirs = apply(&mut two, &calls).checkpoints;
    let DigestMismatch { ours, exact } = ring.first_mismatch(&theirs).unwrap();
    assert_eq!((ours.index, ours.method, exact), (Index(40), Some(SKEWED), true));
}

// Breaks: the results depend on the size of batches.
#[test]
fn batches_of_any_size_give_the_same_results() {
    for seed in 0..50 {
        let mut random = TestRandom(seed);
        let entries: Vec<Entry> = (1..=60)
            .map(|index| {
                let (node, number) = (1 + random.below(2), 1 + random.below(12));
                let lowest = number.saturating_sub(random.below(6)).max(1);
                let method = if random.one_in(10) { BOOM } else { ADD };
                entry(1, index, &command(session(node, 1), number, lowest, method, index))
            })
            .collect();
        let (mut whole, mut pieces) = (machine(0), machine(0));
        let at_once = apply(&mut whole, &entries);
        let mut piecewise = Applied::default();
        let mut rest = &entries[..];
        while !rest.is_empty() {
            let (batch, left) = rest.split_at(1 + random.below(rest.len() as u64) as usize);
            let applied = pieces
                .apply(batch, &mut || if random.one_in(2) { Between::Pause } else { Between::Continue });
            piecewise.upto = applied.upto;
            piecewise.checkpoints.extend(applied.checkpoints);
            piecewise.decisions.extend(applied.decisions);
            rest = left;
        }
        assert_eq!(at_once.upto, piecewise.upto, "seed {seed}");
        assert_eq!(at_once.checkpoints, piecewise.checkpoints, "seed {seed}");
        assert_eq!(at_once.decisions, piecewise.decisions, "seed {seed}");
        assert_eq!(whole.sessions, pieces.sessions, "seed {seed}");
    }
}

// Breaks: local reads wait until the end of a long batch.
#[test]
fn a_paused_batch_lets_readers_in() {
    let mut machine = machine(0);
    let state = Arc::clone(&machine.state);
    let calls = (1..=3).map(|index| entry(1, index, &command(session(1, 1), index, 1, ADD, 5)));
    let calls: Vec<Entry> = calls.collect();
    let (sender, receiver) = mpsc::channel();
    let mut reader = None;
    let mut calls_done = 0;
    machine.apply(&calls, &mut || {
        calls_done += 1;
        if calls_done == 1 {
            let (shared, sender) = (Arc::clone(&state), sender.clone());
            reader = Some(std::thread::spawn(move || sender.send(shared.read().counts[&5])));
            state.wait_for_a_reader();
        }
        if calls_done == 1 { Between::Pause } else { Between::Continue }
    });
    assert_eq!(receiver.recv(), Ok(1), "the reader saw the state between the first call and the second");
    reader.unwrap().join().unwrap().unwrap();
}

#[test]
#[should_panic(expected = "entries are applied without gaps")]
fn a_gap_in_the_log_is_a_bug() {
    apply(&mut machine(0), &[noop(1, 2)]);
}

#[test]
fn entries_are_described_as_text() {
    let machine = machine(0);
    let call = command(session(1, 1), 1, 1, ADD, 5);
    assert_eq!(describe::<Tally>(&noop(1, 1)), "no-op");
    assert_eq!(describe::<Tally>(&entry(1, 1, &call)), "add(5)");
    let unknown = Command { method: MethodId(1), ..call };
    assert!(describe::<Tally>(&entry(1, 1, &unknown)).starts_with("(no method with id 00000001"));
    let garbage = Entry { payload: Bytes::new(), ..entry(1, 1, &unknown) };
    assert_eq!(describe::<Tally>(&garbage), "(not a command: the bytes end inside `object`)");
    assert_eq!(machine.config.own.node, NodeId(1));
}
