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

/// The effect of a command: a [`CommandStatus`] without borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Applied,
    Duplicate(u64),
    Forgotten,
    Gap,
    Retired,
}

fn offer(sessions: &mut Sessions, id: SessionId, number: u64, lowest: u64, index: u64) -> Effect {
    let effect = match sessions.receive(id, Number(number), Number(lowest)) {
        CommandStatus::Fresh => Effect::Applied,
        CommandStatus::Duplicate(kept) => Effect::Duplicate(kept.entry.index.0),
        CommandStatus::Forgotten => Effect::Forgotten,
        CommandStatus::Gap => Effect::Gap,
        CommandStatus::Retired => Effect::Retired,
    };
    if effect == Effect::Applied {
        sessions.record(id, Number(number), entry(index), value(number as usize % 5));
    }
    sessions.check_invariants();
    effect
}

// Breaks: a retry is applied twice (etcd #14890, #18424; jetcd #1444).
#[test]
fn a_duplicate_is_answered_with_the_first_entry() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    assert_eq!(offer(&mut sessions, id, 1, 1, 10), Effect::Applied);
    assert_eq!(offer(&mut sessions, id, 2, 1, 11), Effect::Applied);
    assert_eq!(offer(&mut sessions, id, 1, 1, 12), Effect::Duplicate(10));
    assert_eq!(offer(&mut sessions, id, 2, 2, 13), Effect::Duplicate(11));
    assert_eq!(
        offer(&mut sessions, id, 1, 1, 14),
        Effect::Forgotten,
        "lowest of call 2 was 2: call 1 is answered"
    );
}

#[test]
fn a_call_after_a_missing_one_has_no_effect() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    assert_eq!(offer(&mut sessions, id, 2, 1, 10), Effect::Gap);
    assert_eq!(offer(&mut sessions, id, 1, 1, 11), Effect::Applied);
    assert_eq!(offer(&mut sessions, id, 2, 1, 12), Effect::Applied);
}

// Breaks: a call that ended as unknown is applied after later calls.
#[test]
fn a_call_below_the_highest_lowest_is_never_applied() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    assert_eq!(offer(&mut sessions, id, 1, 1, 10), Effect::Applied);
    // 2 and 3 were given up; even a command without effect raises lowest.
    assert_eq!(offer(&mut sessions, id, 5, 4, 11), Effect::Gap);
    assert_eq!(offer(&mut sessions, id, 2, 1, 12), Effect::Forgotten);
    assert_eq!(offer(&mut sessions, id, 3, 2, 13), Effect::Forgotten);
    assert_eq!(offer(&mut sessions, id, 4, 4, 14), Effect::Applied);
    assert_eq!(offer(&mut sessions, id, 5, 4, 15), Effect::Applied);
}

#[test]
fn a_higher_boot_retires_the_lower_ones() {
    let mut sessions = Sessions::default();
    assert_eq!(offer(&mut sessions, session(1, 1), 1, 1, 10), Effect::Applied);
    assert_eq!(offer(&mut sessions, session(1, 3), 1, 1, 11), Effect::Applied);
    assert_eq!(offer(&mut sessions, session(1, 1), 2, 1, 12), Effect::Retired);
    assert_eq!(
        offer(&mut sessions, session(1, 2), 1, 1, 13),
        Effect::Retired,
        "retired before its first command"
    );
    assert_eq!(offer(&mut sessions, session(1, 3), 2, 1, 14), Effect::Applied, "the same boot");
    assert_eq!(
        offer(&mut sessions, session(2, 1), 1, 1, 15),
        Effect::Applied,
        "boots of other nodes are not compared"
    );
    let wiped = SessionId { incarnation: Incarnation(9), boot: Boot(7), ..session(1, 1) };
    assert_eq!(offer(&mut sessions, wiped, 1, 1, 16), Effect::Retired, "a new disk is another incarnation");
}

#[test]
fn a_session_is_bounded_in_calls_and_in_bytes() {
    let mut sessions = Sessions::default();
    let id = session(1, 1);
    for number in 1..=SESSION_CALLS_MAX {
        assert_eq!(offer_unchecked(&mut sessions, id, number, 1, value(9_000)), Effect::Applied);
    }
    sessions.check_invariants();
    let beyond = SESSION_CALLS_MAX + 1;
    assert_eq!(offer_unchecked(&mut sessions, id, beyond, 1, value(1)), Effect::Gap, "beyond the window");
    assert_eq!(offer_unchecked(&mut sessions, id, beyond, 2, value(1)), Effect::Applied);
    sessions.check_invariants();
    let bytes = |kept: &KeptReply| kept.reply.bytes();
    let (oldest, newest) =
        (sessions.by_node[&id.node].kept(Number(2)), sessions.by_node[&id.node].kept(Number(beyond)));
    assert_eq!(oldest.reply, Reply::Forgotten);
    assert_eq!(oldest.entry, entry(2), "its entry is still known");
    assert_eq!(bytes(newest), 1);
    let total: usize = sessions.decided(id, Number(1)).map(|(_, kept)| bytes(kept)).sum();
    assert!(total <= SESSION_REPLY_BYTES_MAX, "{total} bytes kept");
}

// Breaks: replies are dropped too early, or kept without a bound.
#[test]
fn the_oldest_reply_is_dropped_at_one_byte_over_the_limit() {
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

fn offer_unchecked(sessions: &mut Sessions, id: SessionId, number: u64, lowest: u64, reply: Reply) -> Effect {
    match sessions.receive(id, Number(number), Number(lowest)) {
        CommandStatus::Fresh => sessions.record(id, Number(number), entry(number), reply),
        other => {
            assert_eq!(other, CommandStatus::Gap);
            return Effect::Gap;
        }
    }
    Effect::Applied
}

/// A naive session table: it keeps every call that took effect.
#[derive(Default)]
struct NaiveSessions {
    /// The registered (incarnation, boot) of each node.
    boots: BTreeMap<NodeId, (Incarnation, Boot)>,
    applied: BTreeMap<(SessionId, u64), u64>,
    seen_lowest: BTreeMap<SessionId, BTreeSet<u64>>,
}

impl NaiveSessions {
    fn offer(&mut self, id: SessionId, number: u64, lowest: u64, index: u64) -> Effect {
        let (incarnation, boot) = *self.boots.entry(id.node).or_insert((id.incarnation, id.boot));
        if incarnation != id.incarnation || id.boot < boot {
            return Effect::Retired;
        }
        self.boots.insert(id.node, (incarnation, id.boot));
        self.seen_lowest.entry(id).or_default().insert(lowest);
        let lowest = *self.seen_lowest[&id].last().unwrap();
        if number < lowest {
            return Effect::Forgotten;
        }
        if let Some(index) = self.applied.get(&(id, number)) {
            return Effect::Duplicate(*index);
        }
        // A gap: an earlier call from `lowest` on has not taken effect.
        if (lowest..number).any(|before| !self.applied.contains_key(&(id, before))) {
            return Effect::Gap;
        }
        self.applied.insert((id, number), index);
        Effect::Applied
    }
}

// Breaks: any of the rules above, in a combination that no test above has.
#[test]
fn the_table_decides_as_one_that_keeps_everything() {
    for seed in 0..300 {
        let mut random = TestRandom(seed);
        let (mut sessions, mut naive) = (Sessions::default(), NaiveSessions::default());
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
            let (status, expected) =
                (offer(&mut sessions, id, number, lowest, index), naive.offer(id, number, lowest, index));
            assert_eq!(
                status, expected,
                "seed {seed}, index {index}, {id:?}, number {number}, lowest {lowest}"
            );
        }
    }
}
