//! The behaviour of one server that receives chosen messages.

use crate::marks::{Counts, Mark};
use crate::object::fixture::TestRandom;
use crate::planted::{Bug, with};
use crate::raft::config::Config;
use crate::raft::election::Votes;
use crate::raft::membership::{Member, Membership};
use crate::raft::message::{Envelope, Message, ReadId};
use crate::raft::types::{
    Entry, EntryId, EntryKind, HardState, Incarnation, Index, NodeId, Term, Ticks, Time,
};
use crate::raft::{ProposeError, Raft, ReadReady, Restored, ServerState};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Server 1 of three, in this term and with these entries.
fn server(term: u64, entries: Vec<Entry>) -> Raft {
    let hard_state = HardState { term: Term(term), voted_for: None };
    let restored = Restored { hard_state, entries, ..Restored::default() };
    Raft::new(config(NodeId(1), 1), three(), restored)
}

/// One of three servers that has nothing on its disk. `seed` decides its election timeouts.
pub(super) fn three_members(id: NodeId, seed: u64) -> Raft {
    Raft::new(config(id, seed), three(), Restored::default())
}

fn config(id: NodeId, seed: u64) -> Config {
    Config {
        id,
        seed,
        heartbeat_ticks: Ticks(2),
        election_ticks_min: Ticks(8),
        election_ticks_max: Ticks(16),
        disk_stall_ticks_max: Ticks(60),
        append_bytes_max: 1_000,
        window_messages_max: 4,
        window_bytes_max: 100,
        log_bytes_max: 2_000,
        apply_entries_max: 100,
        tick_ms: 10,
        clock_jump_ms_max: 1_000_000,
    }
}

fn three() -> Membership {
    let member = |id| Member { incarnation: Incarnation(id), address: format!("n{id}:1") };
    Membership { members: (1..=3).map(|id| (NodeId(id), member(id))).collect() }
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let payload = Bytes::from(vec![0; bytes]);
    Entry { id: id(term, index), time: Time(0), kind: EntryKind::Command, payload }
}

fn receive(raft: &mut Raft, from: u64, term: u64, message: Message) {
    raft.step(Envelope { from: NodeId(from), to: NodeId(1), term: Term(term), message });
}

/// Completes all writes, and returns the messages that are sent.
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

/// Server 1 as the leader of term 2, with nothing in its log but its no-op, which nobody has acknowledged.
fn leader() -> Raft {
    let mut raft = server(1, Vec::new());
    tick_until_candidate(&mut raft);
    receive(&mut raft, 2, 1, Message::PreVoteReply { of: Term(1), granted: true });
    settle(&mut raft);
    receive(&mut raft, 2, 2, Message::VoteReply { granted: true });
    settle(&mut raft);
    assert!(raft.is_leader());
    raft
}

fn tick_until_candidate(raft: &mut Raft) {
    for now in 0..100 {
        raft.tick(Time(now));
        if raft.is_candidate() {
            return;
        }
    }
    panic!("it does not campaign");
}

// Breaks: in a cluster without new calls, a follower that has campaigned never applies the last committed entries.
#[test]
fn a_follower_that_has_campaigned_still_learns_the_commit_index() {
    let mut raft = server(1, Vec::new());
    let append = Message::AppendEntries { prev: id(0, 0), commit: Index(0), entries: vec![entry(1, 1, 0)] };
    receive(&mut raft, 2, 1, append);
    assert_eq!(settle(&mut raft), [Message::Appended { match_index: Index(1) }]);
    tick_until_candidate(&mut raft);
    settle(&mut raft);
    receive(&mut raft, 2, 1, Message::Heartbeat { commit: Index(1), round: 0 });
    assert_eq!(raft.leader(), Some(NodeId(2)));
    assert_eq!(raft.commit(), Index(1));
}

// Breaks: if the acknowledgement of a large entry is lost, the follower never accepts another entry.
#[test]
fn an_append_of_known_entries_needs_no_room() {
    let mut raft = server(1, Vec::new());
    let last = entry(1, 2, 900);
    let both = Message::AppendEntries {
        prev: id(0, 0),
        commit: Index(0),
        entries: vec![entry(1, 1, 900), last.clone()],
    };
    receive(&mut raft, 2, 1, both);
    assert_eq!(settle(&mut raft), [Message::Appended { match_index: Index(2) }]);
    receive(
        &mut raft,
        2,
        1,
        Message::AppendEntries { prev: id(1, 1), commit: Index(0), entries: vec![last] },
    );
    assert_eq!(settle(&mut raft), [Message::Appended { match_index: Index(2) }]);
}

// Breaks: a leader that was cut off with a full log can never follow the next leader.
#[test]
fn deleted_entries_make_room_for_their_replacements() {
    let mut raft = server(1, vec![entry(1, 1, 900), entry(1, 2, 900)]);
    let append = Message::AppendEntries { prev: id(0, 0), commit: Index(0), entries: vec![entry(2, 1, 900)] };
    receive(&mut raft, 2, 2, append);
    assert_eq!(settle(&mut raft).last(), Some(&Message::Appended { match_index: Index(1) }));
}

// The limit itself.
#[test]
fn an_append_beyond_the_logs_limit_is_not_answered() {
    let mut raft = server(1, vec![entry(1, 1, 900), entry(1, 2, 900)]);
    let append = Message::AppendEntries { prev: id(1, 2), commit: Index(0), entries: vec![entry(1, 3, 900)] };
    Counts::take();
    receive(&mut raft, 2, 1, append);
    assert_eq!(settle(&mut raft), []);
    assert_eq!(raft.log().last_index(), Index(2));
    assert_eq!(Counts::take().of(Mark::AppendWithoutRoom), 1);
}

// The same limit, to the byte.
#[test]
fn an_append_that_just_fits_is_accepted() {
    for (beyond, answers) in [(0, 1), (1, 0)] {
        let mut raft = server(1, vec![entry(1, 1, 900)]);
        let room = raft.config.log_bytes_max + raft.config.window_bytes_max - raft.log().bytes();
        let entries = vec![entry(1, 2, room + beyond)];
        receive(&mut raft, 2, 1, Message::AppendEntries { prev: id(1, 1), commit: Index(0), entries });
        assert_eq!(settle(&mut raft).len(), answers, "{beyond} bytes too many");
    }
}

// Breaks: a follower whose log is slightly over its limit (entries cost more than their payload) never matches a new
// leader's log, and never learns what it may apply.
#[test]
fn a_probe_and_a_no_op_need_no_room() {
    let mut raft = server(1, vec![entry(1, 1, 900), entry(1, 2, 900), entry(1, 3, 900)]);
    receive(
        &mut raft,
        2,
        2,
        Message::AppendEntries { prev: id(1, 3), commit: Index(0), entries: Vec::new() },
    );
    assert_eq!(settle(&mut raft), [Message::Appended { match_index: Index(3) }]);
    receive(
        &mut raft,
        2,
        2,
        Message::AppendEntries { prev: id(1, 3), commit: Index(0), entries: vec![entry(2, 4, 0)] },
    );
    assert_eq!(settle(&mut raft), [Message::Appended { match_index: Index(4) }]);
}

// Breaks: a leader accepts more than its followers have room for, or rejects a call below the limit.
#[test]
fn a_proposal_that_just_fits_is_accepted() {
    let mut raft = leader();
    let limit = raft.config.log_bytes_max;
    let room = limit - raft.log().bytes();
    let busy = ProposeError::Busy { bytes: limit + 1, limit };
    assert_eq!(raft.propose(Bytes::from(vec![0; room + 1])), Err(busy));
    assert_eq!(raft.propose(Bytes::from(vec![0; room])), Ok(id(2, 2)));
}

// Breaks: a misrouted message, or one of a node that is not a member, changes the term or the leader.
#[test]
fn only_messages_of_members_to_this_server_count() {
    for (from, to) in [(2, 3), (1, 1), (1, 3), (9, 1), (9, 9)] {
        let mut raft = server(3, Vec::new());
        let message = Message::Heartbeat { commit: Index(0), round: 0 };
        raft.step(Envelope { from: NodeId(from), to: NodeId(to), term: Term(7), message });
        assert_eq!((raft.term(), raft.leader()), (Term(3), None), "from {from} to {to}");
    }
}

// Breaks: a follower follows two leaders of one term (a bug elsewhere, or a forged message) in turn, and acknowledges to one
// the entries of the other.
#[test]
fn a_second_leader_of_a_term_is_not_followed() {
    let heartbeat = Message::Heartbeat { commit: Index(0), round: 0 };
    let mut raft = leader();
    receive(&mut raft, 3, 2, heartbeat.clone());
    assert!(raft.is_leader());
    assert_eq!(settle(&mut raft), []);
    let mut raft = server(2, Vec::new());
    for (from, answers) in [(2, 1), (3, 0), (2, 1)] {
        receive(&mut raft, from, 2, heartbeat.clone());
        assert_eq!((raft.leader(), settle(&mut raft).len()), (Some(NodeId(2)), answers));
    }
}

// Breaks: a follower that votes late, for a candidate that has lost already, forgets up to where its log matches the
// leader's: in a quiet cluster it does not learn the commit index.
#[test]
fn a_vote_in_the_leaders_own_term_keeps_leader_match() {
    let mut raft = server(1, Vec::new());
    let entries = vec![entry(1, 1, 0)];
    receive(&mut raft, 2, 1, Message::AppendEntries { prev: id(0, 0), commit: Index(0), entries });
    tick_until_candidate(&mut raft);
    settle(&mut raft);
    receive(&mut raft, 3, 1, Message::RequestVote { last: id(1, 1) });
    assert_eq!(settle(&mut raft), [Message::VoteReply { granted: true }]);
    receive(&mut raft, 2, 1, Message::Heartbeat { commit: Index(1), round: 0 });
    assert_eq!(raft.commit(), Index(1));
}

// Breaks: a candidate counts its own vote when an earlier write is durable, and after a crash votes for another.
#[test]
fn a_candidates_vote_counts_when_its_own_write_is_durable() {
    let mut raft = server(1, Vec::new());
    let entries = vec![entry(1, 1, 0)];
    receive(&mut raft, 2, 1, Message::AppendEntries { prev: id(0, 0), commit: Index(0), entries });
    let earlier = raft.ready().unwrap().persist.unwrap().id;
    tick_until_candidate(&mut raft);
    receive(&mut raft, 2, 1, Message::PreVoteReply { of: Term(1), granted: true });
    let vote_write = raft.ready().unwrap().persist.unwrap().id;
    receive(&mut raft, 3, 2, Message::VoteReply { granted: true });
    raft.persisted(earlier);
    assert!(!raft.is_leader());
    raft.persisted(vote_write);
    assert!(raft.is_leader());
}

// Proves that the test above would find it.
#[test]
fn planted_own_vote_counted_early_is_found() {
    let test = a_candidates_vote_counts_when_its_own_write_is_durable;
    assert!(catch_unwind(|| with(Bug::OwnVoteBeforeFsync, test)).is_err(), "it was not found");
}

// Breaks: unconfirmed reads fill the memory, or a leader refuses a read below the limit.
#[test]
fn a_leader_refuses_reads_beyond_the_limit() {
    let mut raft = leader();
    for read in 0..4_096 {
        raft.read_index(ReadId(read));
    }
    assert_eq!(raft.ready().map(|ready| ready.reads), None, "its no-op is not committed: the reads wait");
    raft.read_index(ReadId(5_000));
    let refused = ReadReady { id: ReadId(5_000), index: None };
    assert_eq!(raft.ready().unwrap().reads, [refused]);
}

// Breaks: a caller waits until its deadline instead of for the next leader, or gets the result of another node's read.
#[test]
fn a_leader_that_steps_down_ends_its_own_reads() {
    let mut raft = leader();
    receive(&mut raft, 2, 2, Message::ReadIndex { id: ReadId(8) });
    raft.read_index(ReadId(7));
    receive(&mut raft, 3, 9, Message::Heartbeat { commit: Index(0), round: 0 });
    assert_eq!(raft.ready().unwrap().reads, [ReadReady { id: ReadId(7), index: None }]);
}

// Breaks: an operator does not learn that a machine's clock jumps.
#[test]
fn a_refused_clock_reading_is_reported() {
    let mut raft = server(1, Vec::new());
    assert!(raft.tick(Time(1_000)));
    assert!(!raft.tick(Time(2_000_000)));
    assert_eq!(raft.clock().refused(), 1);
}

// Breaks: an invariant is not checked, and the runs of the simulator prove less than they claim.
#[test]
fn a_server_that_contradicts_itself_is_caught() {
    type Break = fn(&mut Raft);
    let violations: [(&str, Break); 11] = [
        ("beyond last 1", |raft| raft.commit = Index(2)),
        ("leader match 2 beyond last", |raft| raft.leader_match = Index(2)),
        ("durable up to 1, beyond last 0", |raft| raft.log.truncate(Index(1))),
        ("applying 1 beyond commit 0", |raft| raft.applying = Index(1)),
        ("applied 1 beyond applying 0", |raft| raft.applied = Index(1)),
        ("of a later term than 1", |raft| raft.hard_state.term = Term(1)),
        ("leads a term it did not vote in", |raft| raft.hard_state.voted_for = None),
        ("no-op 2 beyond last 1", |raft| {
            let ServerState::Leader(leader) = &mut raft.state else { unreachable!() };
            leader.noop = Index(2);
        }),
        ("candidate without its own vote", |raft| {
            raft.state = ServerState::Candidate(Votes::default());
            raft.hard_state.voted_for = Some(NodeId(2));
        }),
        ("pre-candidate without its own vote", |raft| {
            raft.state = ServerState::PreCandidate { pre_votes: Votes::default(), votes: Votes::default() }
        }),
        ("follows itself", |raft| raft.state = ServerState::Follower { leader: Some(NodeId(1)) }),
    ];
    for (words, break_it) in violations {
        let mut raft = leader();
        raft.check_invariants();
        break_it(&mut raft);
        let caught = catch_unwind(AssertUnwindSafe(|| raft.check_invariants())).expect_err(words);
        let message = caught.downcast_ref::<String>().cloned();
        let message = message.or(caught.downcast_ref::<&str>().map(|message| (*message).to_owned())).unwrap();
        assert!(message.contains(words), "{message}");
    }
}

// Breaks: a candidate whose vote requests were lost cannot be elected before others campaign.
#[test]
fn a_pre_vote_of_a_server_in_an_earlier_term_counts() {
    let mut raft = server(5, Vec::new());
    tick_until_candidate(&mut raft);
    settle(&mut raft);
    receive(&mut raft, 2, 4, Message::PreVoteReply { of: Term(4), granted: true });
    assert_eq!(raft.term(), Term(5), "the reply to an earlier request");
    receive(&mut raft, 2, 4, Message::PreVoteReply { of: Term(5), granted: true });
    assert_eq!(raft.term(), Term(6));
}

// Breaks: a forged message ends the process that receives it. (A forged message of a member can still stop the cluster from
// agreeing; peers are not authenticated.)
#[test]
fn a_server_survives_any_message() {
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
                    receive(&mut raft, 2 + random.below(2), term, message);
                }
            }
        }
    }
}

/// Any message that the codec accepts.
fn any_message(random: &mut TestRandom, term: u64) -> Message {
    let small = random.below(8);
    let index = Index(if random.one_in(20) { (1 << 62) - random.below(2) } else { random.below(8) });
    let last = EntryId { term: Term(random.below(8)), index };
    let granted = random.one_in(2);
    match random.below(12) {
        0 => Message::PreVote { last },
        1 => Message::PreVoteReply { of: Term(small), granted },
        2 => Message::RequestVote { last },
        3 => Message::VoteReply { granted },
        4 | 5 => {
            let prev = EntryId { term: Term(last.term.0.min(term)), index };
            let mut entries = Vec::new();
            let mut of = prev.term.0;
            for offset in 1..=random.below(4) {
                of = (of + random.below(2)).clamp(1, term);
                entries.push(entry(of, index.0 + offset, 5));
            }
            Message::AppendEntries { prev, commit: Index(small), entries }
        }
        6 => Message::Appended { match_index: index },
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
