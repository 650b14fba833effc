//! Single stories of one server: what it does with the messages that it is given, and nothing else around it.

use super::config::Config;
use super::membership::{Member, Membership};
use super::message::{Envelope, Message, ReadId};
use super::types::{Entry, EntryId, EntryKind, HardState, Incarnation, Index, NodeId, Term, Ticks, Time};
use super::{Raft, Restored};
use crate::marks::{Counts, Mark};
use crate::object::fixture::TestRandom;
use bytes::Bytes;

/// Server 1 of three, with these entries and in this term.
fn server(term: u64, entries: Vec<Entry>) -> Raft {
    let config = Config {
        id: NodeId(1),
        seed: 1,
        heartbeat_ticks: Ticks(2),
        election_ticks_min: Ticks(8),
        election_ticks_max: Ticks(16),
        append_bytes_max: 1_000,
        window_messages_max: 4,
        window_bytes_max: 100,
        log_bytes_max: 2_000,
        apply_entries_max: 100,
        tick_ms: 10,
        clock_jump_ms_max: 1_000_000,
    };
    let member = |id| Member { incarnation: Incarnation(id), address: format!("n{id}:1") };
    let membership = Membership { members: (1..=3).map(|id| (NodeId(id), member(id))).collect() };
    let hard_state = HardState { term: Term(term), voted_for: None };
    Raft::new(config, membership, Restored { hard_state, entries, ..Restored::default() })
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let payload = Bytes::from(vec![0; bytes]);
    Entry { id: id(term, index), time: Time(0), kind: EntryKind::Command, payload }
}

fn hear(raft: &mut Raft, from: u64, term: u64, message: Message) {
    raft.step(Envelope { from: NodeId(from), to: NodeId(1), term: Term(term), message });
}

/// Writes all, and returns what it then sends.
fn settle(raft: &mut Raft) -> Vec<Message> {
    let mut sent = Vec::new();
    while let Some(ready) = raft.ready() {
        sent.extend(ready.messages.into_iter().map(|envelope| envelope.message));
        if let Some(persist) = ready.persist {
            raft.persisted(persist.id);
        }
    }
    sent
}

fn tick_until_candidate(raft: &mut Raft) {
    for now in 0..100 {
        raft.tick(Time(now));
        if raft.is_candidate() {
            return;
        }
    }
    panic!("it never campaigns");
}

// Breaks: in a cluster where nobody writes, a follower that once lost patience never applies what is committed.
#[test]
fn a_follower_that_doubted_its_leader_still_learns_the_commit() {
    let mut raft = server(1, Vec::new());
    let append = Message::Append { prev: id(0, 0), commit: Index(0), entries: vec![entry(1, 1, 0)] };
    hear(&mut raft, 2, 1, append);
    assert_eq!(settle(&mut raft), [Message::Appended { matched: Index(1) }]);
    tick_until_candidate(&mut raft);
    settle(&mut raft);
    hear(&mut raft, 2, 1, Message::Heartbeat { commit: Index(1), round: 0 });
    assert_eq!(raft.leader(), Some(NodeId(2)));
    assert_eq!(raft.commit(), Index(1));
}

// Breaks: where the acknowledgement of a large entry is lost, that follower never takes another entry.
#[test]
fn an_append_that_is_here_already_needs_no_room() {
    let mut raft = server(1, Vec::new());
    let last = entry(1, 2, 900);
    let both =
        Message::Append { prev: id(0, 0), commit: Index(0), entries: vec![entry(1, 1, 900), last.clone()] };
    hear(&mut raft, 2, 1, both);
    assert_eq!(settle(&mut raft), [Message::Appended { matched: Index(2) }]);
    hear(&mut raft, 2, 1, Message::Append { prev: id(1, 1), commit: Index(0), entries: vec![last] });
    assert_eq!(settle(&mut raft), [Message::Appended { matched: Index(2) }]);
}

// Breaks: a leader that was cut off with a full log can never follow the next one.
#[test]
fn a_tail_that_is_cut_makes_room_for_what_replaces_it() {
    let mut raft = server(1, vec![entry(1, 1, 900), entry(1, 2, 900)]);
    let append = Message::Append { prev: id(0, 0), commit: Index(0), entries: vec![entry(2, 1, 900)] };
    hear(&mut raft, 2, 2, append);
    assert_eq!(settle(&mut raft).last(), Some(&Message::Appended { matched: Index(1) }));
}

// The bound itself.
#[test]
fn an_append_beyond_the_logs_limit_is_not_answered() {
    let mut raft = server(1, vec![entry(1, 1, 900), entry(1, 2, 900)]);
    let append = Message::Append { prev: id(1, 2), commit: Index(0), entries: vec![entry(1, 3, 900)] };
    Counts::take();
    hear(&mut raft, 2, 1, append);
    assert_eq!(settle(&mut raft), []);
    assert_eq!(raft.log().last_index(), Index(2));
    assert_eq!(Counts::take().of(Mark::AppendWithoutRoom), 1);
}

// Breaks: a candidate whose vote requests got lost waits for others to campaign before it may lead.
#[test]
fn a_pre_vote_of_a_server_in_an_earlier_term_counts() {
    let mut raft = server(5, Vec::new());
    tick_until_candidate(&mut raft);
    settle(&mut raft);
    hear(&mut raft, 2, 4, Message::PreVoteReply { of: Term(4), granted: true });
    assert_eq!(raft.term(), Term(5), "the answer to an earlier question");
    hear(&mut raft, 2, 4, Message::PreVoteReply { of: Term(5), granted: true });
    assert_eq!(raft.term(), Term(6));
}

// Breaks: a frame that lies ends the process that reads it. (What lies, as far as a member's word counts, may stop
// the cluster from agreeing; peers are not authenticated.)
#[test]
fn whatever_a_peer_says_a_server_goes_on() {
    for seed in 0..10_000 {
        let mut random = TestRandom(seed);
        let mut raft = server(3, vec![entry(1, 1, 5), entry(1, 2, 5), entry(3, 3, 5)]);
        for _ in 0..60 {
            match random.below(4) {
                0 => drop(raft.tick(Time(0))),
                1 => drop(settle(&mut raft)),
                _ => {
                    let term = 1 + random.below(6);
                    let message = any_message(&mut random, term);
                    hear(&mut raft, 2 + random.below(2), term, message);
                }
            }
        }
    }
}

/// Any message that the codec lets through.
fn any_message(random: &mut TestRandom, term: u64) -> Message {
    let small = random.below(8);
    let index = Index(if random.one_in(20) { (1 << 62) - random.below(2) } else { random.below(8) });
    let last = EntryId { term: Term(random.below(8)), index };
    let granted = random.one_in(2);
    match random.below(12) {
        0 => Message::PreVote { last },
        1 => Message::PreVoteReply { of: Term(small), granted },
        2 => Message::Vote { last },
        3 => Message::VoteReply { granted },
        4 | 5 => {
            let prev = EntryId { term: Term(last.term.0.min(term)), index };
            let mut entries = Vec::new();
            let mut of = prev.term.0;
            for offset in 1..=random.below(4) {
                of = (of + random.below(2)).clamp(1, term);
                entries.push(entry(of, index.0 + offset, 5));
            }
            Message::Append { prev, commit: Index(small), entries }
        }
        6 => Message::Appended { matched: index },
        7 => Message::Conflict { rejected: index, hint: last },
        8 => Message::Commit { commit: index },
        9 => Message::Heartbeat { commit: index, round: random.below(4) },
        10 => Message::HeartbeatReply { round: if random.one_in(9) { u64::MAX } else { small } },
        _ => match granted {
            true => Message::ReadIndex { id: ReadId(small) },
            false => Message::ReadIndexReply { id: ReadId(small), index: Some(index) },
        },
    }
}
