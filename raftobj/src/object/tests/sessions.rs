use super::*;
use crate::object::fixture::{TestRandom, session};
use crate::raft::types::{Index, Term};
use bytes::Bytes;
use std::collections::BTreeSet;

fn entry(index: u64) -> EntryId {
    EntryId { term: Term(1), index: Index(index) }
}

fn value(length: usize) -> Reply {
    Reply::Value(Bytes::from(vec![1; length]))
}

/// What a command did, without borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Applied,
    Repeated(u64),
    Forgotten,
    Gap,
    Retired,
}

fn offer(sessions: &mut Sessions, id: SessionId, number: u64, lowest: u64, index: u64) -> Did {
    let did = match sessions.receive(id, Number(number), Number(lowest)) {
        CommandStatus::Fresh => Did::Applied,
        CommandStatus::Duplicate(kept) => Did::Repeated(kept.entry.index.0),
        CommandStatus::Forgotten => Did::Forgotten,
        CommandStatus::Gap => Did::Gap,
        CommandStatus::Retired => Did::Retired,
    };
    if did == Did::Applied {
        sessions.record(id, Number(number), entry(index), value(number as usize % 5));
    }
    sessions.check_invariants();
    did
}

// Breaks: a retry applies twice (etcd #14890, #18424; jetcd #1444).
#[test]
fn a_repeat_is_answered_from_where_it_took_effect() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    assert_eq!(offer(&mut sessions, id, 1, 1, 10), Did::Applied);
    assert_eq!(offer(&mut sessions, id, 2, 1, 11), Did::Applied);
    assert_eq!(offer(&mut sessions, id, 1, 1, 12), Did::Repeated(10));
    assert_eq!(offer(&mut sessions, id, 2, 2, 13), Did::Repeated(11));
    assert_eq!(offer(&mut sessions, id, 1, 1, 14), Did::Forgotten, "2 had said that 1 is answered");
}

#[test]
fn a_call_ahead_of_a_missing_one_has_no_effect() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    assert_eq!(offer(&mut sessions, id, 2, 1, 10), Did::Gap);
    assert_eq!(offer(&mut sessions, id, 1, 1, 11), Did::Applied);
    assert_eq!(offer(&mut sessions, id, 2, 1, 12), Did::Applied);
}

// Breaks: a call whose outcome was told as unknown applies after calls made later.
#[test]
fn a_call_given_up_never_applies_after_a_raised_lowest() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    assert_eq!(offer(&mut sessions, id, 1, 1, 10), Did::Applied);
    // 2 and 3 were given up; even a command without effect says so.
    assert_eq!(offer(&mut sessions, id, 5, 4, 11), Did::Gap);
    assert_eq!(offer(&mut sessions, id, 2, 1, 12), Did::Forgotten);
    assert_eq!(offer(&mut sessions, id, 3, 2, 13), Did::Forgotten);
    assert_eq!(offer(&mut sessions, id, 4, 4, 14), Did::Applied);
    assert_eq!(offer(&mut sessions, id, 5, 4, 15), Did::Applied);
}

#[test]
fn a_higher_boot_retires_its_predecessor() {
    let mut sessions = Sessions::default();
    assert_eq!(offer(&mut sessions, session(1, 1), 1, 1, 10), Did::Applied);
    assert_eq!(offer(&mut sessions, session(1, 3), 1, 1, 11), Did::Applied);
    assert_eq!(offer(&mut sessions, session(1, 1), 2, 1, 12), Did::Retired);
    assert_eq!(offer(&mut sessions, session(1, 2), 1, 1, 13), Did::Retired, "never seen, and already over");
    assert_eq!(offer(&mut sessions, session(1, 3), 2, 1, 14), Did::Applied, "an equal boot changes nothing");
    assert_eq!(offer(&mut sessions, session(2, 1), 1, 1, 15), Did::Applied, "another node's is another's");
    let wiped = SessionId { incarnation: Incarnation(9), boot: Boot(7), ..session(1, 1) };
    assert_eq!(offer(&mut sessions, wiped, 1, 1, 16), Did::Retired, "another disk is not this member");
}

#[test]
fn a_sessions_table_is_bounded_in_calls_and_in_bytes() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    for number in 1..=SESSION_CALLS_MAX {
        assert_eq!(offer_unchecked(&mut sessions, id, number, 1, value(9_000)), Did::Applied);
    }
    sessions.check_invariants();
    let beyond = SESSION_CALLS_MAX + 1;
    assert_eq!(offer_unchecked(&mut sessions, id, beyond, 1, value(1)), Did::Gap, "beyond the window");
    assert_eq!(offer_unchecked(&mut sessions, id, beyond, 2, value(1)), Did::Applied);
    sessions.check_invariants();
    let bytes = |kept: &KeptReply| kept.reply.bytes();
    let (oldest, newest) =
        (sessions.by_node[&id.node].kept(Number(2)), sessions.by_node[&id.node].kept(Number(beyond)));
    assert_eq!(oldest.reply, Reply::Forgotten);
    assert_eq!(oldest.entry, entry(2), "where it took effect is still known");
    assert_eq!(bytes(newest), 1);
    let total: usize = sessions.decided(id, Number(1)).map(|(_, kept)| bytes(kept)).sum();
    assert!(total <= SESSION_REPLY_BYTES_MAX, "{total} bytes kept");
}

// Breaks: replies are forgotten without need, or kept without a bound.
#[test]
fn the_oldest_reply_is_forgotten_at_one_byte_too_many() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    let half = || Reply::Value(Bytes::from(vec![0; SESSION_REPLY_BYTES_MAX / 2]));
    let kept = |sessions: &Sessions, number| sessions.by_node[&id.node].kept(Number(number)).reply.bytes();
    offer_unchecked(&mut sessions, id, 1, 1, half());
    offer_unchecked(&mut sessions, id, 2, 1, half());
    assert_eq!(kept(&sessions, 1), SESSION_REPLY_BYTES_MAX / 2);
    offer_unchecked(&mut sessions, id, 3, 1, value(1));
    assert_eq!((kept(&sessions, 1), kept(&sessions, 2)), (0, SESSION_REPLY_BYTES_MAX / 2));
    sessions.check_invariants();
}

fn offer_unchecked(sessions: &mut Sessions, id: SessionId, number: u64, lowest: u64, reply: Reply) -> Did {
    match sessions.receive(id, Number(number), Number(lowest)) {
        CommandStatus::Fresh => sessions.record(id, Number(number), entry(number), reply),
        other => {
            assert_eq!(other, CommandStatus::Gap);
            return Did::Gap;
        }
    }
    Did::Applied
}

/// Remembers every call that ever took effect, and decides by looking at them all.
#[derive(Default)]
struct Twin {
    /// (incarnation, boot) in force by node.
    boots: BTreeMap<NodeId, (Incarnation, Boot)>,
    applied: BTreeMap<(SessionId, u64), u64>,
    seen_lowest: BTreeMap<SessionId, BTreeSet<u64>>,
}

impl Twin {
    fn offer(&mut self, id: SessionId, number: u64, lowest: u64, index: u64) -> Did {
        let (incarnation, boot) = *self.boots.entry(id.node).or_insert((id.incarnation, id.boot));
        if incarnation != id.incarnation || id.boot < boot {
            return Did::Retired;
        }
        self.boots.insert(id.node, (incarnation, id.boot));
        self.seen_lowest.entry(id).or_default().insert(lowest);
        let lowest = *self.seen_lowest[&id].last().unwrap();
        if number < lowest {
            return Did::Forgotten;
        }
        if let Some(index) = self.applied.get(&(id, number)) {
            return Did::Repeated(*index);
        }
        // All calls that are still asked for, and are before this one, took effect.
        if (lowest..number).any(|before| !self.applied.contains_key(&(id, before))) {
            return Did::Gap;
        }
        self.applied.insert((id, number), index);
        Did::Applied
    }
}

// Breaks: any of the rules above in a combination nobody thought of.
#[test]
fn the_table_decides_as_one_that_remembers_everything() {
    for seed in 0..300 {
        let mut random = TestRandom(seed);
        let (mut sessions, mut twin) = (Sessions::default(), Twin::default());
        let mut base = 1;
        for index in 1..200 {
            if random.one_in(8) {
                base += random.below(3);
            }
            let mut id = session(1 + random.below(2), 1 + random.below(index / 50 + 1));
            if random.one_in(40) {
                id.incarnation = Incarnation(1);
            }
            let lowest = base.saturating_sub(random.below(4)).max(1);
            let number = lowest + random.below(5);
            let (ours, twins) =
                (offer(&mut sessions, id, number, lowest, index), twin.offer(id, number, lowest, index));
            assert_eq!(ours, twins, "seed {seed}, index {index}, {id:?}, number {number}, lowest {lowest}");
        }
    }
}
