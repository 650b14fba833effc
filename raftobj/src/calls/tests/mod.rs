//! What [`Calls`] does with each input.

mod exactly_once;

use super::*;
use crate::object::fixture::{ADD, arguments, session};
use crate::raft::types::{Incarnation, Term};

const HERE: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

fn config() -> CallsConfig {
    CallsConfig {
        window_calls_max: 4,
        queue_calls_max: 3,
        reads_max: 3,
        resend_ticks: 50,
        ..CallsConfig::default()
    }
}

fn calls() -> Calls {
    Calls::new(session(1, 1), config())
}

fn led_by(node: NodeId, term: u64) -> Option<LeaderId> {
    Some(LeaderId { node, term: Term(term) })
}

fn submit(calls: &mut Calls, ids: std::ops::RangeInclusive<u64>, deadline: u64) {
    for id in ids {
        calls.submit(CallId(id), ADD, arguments(id), Ticks(deadline));
        calls.check_invariants();
    }
}

/// What is sent now, as (number, lowest).
fn sent(calls: &mut Calls) -> Vec<(u64, u64)> {
    let ready = calls.ready();
    calls.check_invariants();
    ready.commands.iter().map(|command| (command.number.0, command.lowest.0)).collect()
}

fn replied(calls: &mut Calls, number: u64) {
    let entry = EntryId { term: Term(3), index: Index(100 + number) };
    let verdict = CallVerdict::Replied { entry, reply: Reply::Value(Bytes::from_static(b"value")) };
    calls.decided(Decision { number: Number(number), verdict });
    calls.check_invariants();
}

fn gap(calls: &mut Calls, number: u64) {
    let leader = calls.leader.expect("a leader refuses it").node;
    calls.refused(leader, Number(number), CallsRefusal::Gap);
}

/// How calls ended, in short: `7 ok 107@3`, `7 not applied: …`.
fn ended(calls: &mut Calls) -> Vec<String> {
    let describe = |(call, outcome): &(CallId, Result<Committed<Bytes>, CallError>)| match outcome {
        Ok(done) => format!("{} ok {}@{}", call.0, done.index, done.term),
        Err(error) => {
            format!("{} {}", call.0, error.to_string().split([';', '(']).next().unwrap().trim_end())
        }
    };
    let ready = calls.ready();
    assert_eq!(ready.commands, [], "nothing is to be sent here");
    ready.completions.iter().map(describe).collect()
}

#[test]
fn calls_are_sent_in_order_and_end_where_they_took_effect() {
    let mut calls = calls();
    submit(&mut calls, 1..=2, 500);
    assert_eq!(sent(&mut calls), [], "no leader is known");
    calls.set_leader(led_by(HERE, 1));
    assert_eq!(sent(&mut calls), [(1, 1), (2, 1)]);
    assert_eq!(sent(&mut calls), [], "each is sent once");
    replied(&mut calls, 1);
    assert_eq!(ended(&mut calls), ["1 ok 101@3"]);
    submit(&mut calls, 3..=3, 500);
    assert_eq!(sent(&mut calls), [(3, 2)]);
    replied(&mut calls, 1);
    assert_eq!(ended(&mut calls), [] as [&str; 0], "a call ends once");
}

#[test]
fn a_full_window_queues_calls_and_a_full_queue_refuses_them() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=3, 500);
    assert_eq!(sent(&mut calls), [(1, 1), (2, 1), (3, 1)]);
    submit(&mut calls, 4..=6, 500);
    assert_eq!(sent(&mut calls), [(4, 1)], "the window has four");
    submit(&mut calls, 7..=7, 20);
    submit(&mut calls, 8..=8, 500);
    assert_eq!(ended(&mut calls), ["8 not applied: the node's queue is full"]);
    replied(&mut calls, 1);
    assert_eq!(sent(&mut calls), [(5, 2)], "it gets its number when there is room");
    calls.tick(Ticks(20));
    assert_eq!(
        ended(&mut calls),
        ["7 not applied: the deadline passed while the call waited behind 5 others"]
    );
}

#[test]
fn bytes_are_limited_as_the_number_of_calls_is() {
    let limits = CallsConfig {
        command_bytes_max: 1_000,
        window_bytes_max: 1_500,
        queue_bytes_max: 2_000,
        ..CallsConfig::default()
    };
    let mut calls = Calls::new(session(1, 1), limits);
    let mut submit = |id: u64, bytes: usize| {
        calls.submit(CallId(id), ADD, Bytes::from(vec![0; bytes]), Ticks(500));
        calls.ready().completions
    };
    let ended = submit(1, 1_000);
    assert!(matches!(
        ended[0].1,
        Err(CallError::NotApplied {
            reason: NotAppliedReason::TooLarge { limit: 1_000, .. },
            retry: Retry::Never
        })
    ));
    assert_eq!(submit(2, 900), []);
    assert_eq!(submit(3, 900), []);
    let ended = submit(4, 900);
    assert!(matches!(
        ended[0].1,
        Err(CallError::NotApplied { reason: NotAppliedReason::QueueFull { .. }, .. })
    ));
    calls.set_leader(led_by(HERE, 1));
    assert_eq!(sent(&mut calls), [(1, 1)], "two do not fit in the window");
}

// Breaks: a call within the limits is refused; or calls that left the queue still count, until it refuses all.
#[test]
fn a_call_that_just_fits_is_accepted_and_one_that_left_makes_room() {
    let (large, small) = (900, 1_000 - 2 * COMMAND_OVERHEAD_MAX);
    let limits = CallsConfig {
        command_bytes_max: COMMAND_OVERHEAD_MAX + large,
        window_bytes_max: 2 * COMMAND_OVERHEAD_MAX + large + small,
        queue_bytes_max: 2 * COMMAND_OVERHEAD_MAX + large + small,
        ..CallsConfig::default()
    };
    let mut calls = Calls::new(session(1, 1), limits);
    let submit = |calls: &mut Calls, id: u64, bytes: usize, deadline: u64| {
        calls.submit(CallId(id), ADD, Bytes::from(vec![0; bytes]), Ticks(deadline));
        calls.ready().completions.len()
    };
    assert_eq!(submit(&mut calls, 1, large, 500), 0);
    assert_eq!(submit(&mut calls, 2, small, 10), 0);
    assert_eq!(submit(&mut calls, 3, 0, 500), 1, "the queue is full to the byte");
    calls.tick(Ticks(10));
    assert_eq!(calls.ready().completions.len(), 1);
    assert_eq!(submit(&mut calls, 4, small, 500), 0, "one call left the queue at its deadline");
    calls.set_leader(led_by(HERE, 1));
    assert_eq!(sent(&mut calls).len(), 2, "the window has room for both");
    assert_eq!(submit(&mut calls, 5, large, 500), 0);
    assert_eq!(submit(&mut calls, 6, small, 500), 0, "the queue was empty");
    assert_eq!(sent(&mut calls), []);
}

#[test]
fn a_call_that_times_out_in_the_queue_reports_how_many_were_ahead() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=3, 500);
    assert_eq!(sent(&mut calls).len(), 3);
    submit(&mut calls, 4..=4, 500);
    assert_eq!(sent(&mut calls).len(), 1);
    submit(&mut calls, 5..=5, 10);
    submit(&mut calls, 6..=6, 500);
    submit(&mut calls, 7..=7, 20);
    calls.tick(Ticks(10));
    assert_eq!(
        ended(&mut calls),
        ["5 not applied: the deadline passed while the call waited behind 4 others"]
    );
    calls.tick(Ticks(20));
    assert_eq!(
        ended(&mut calls),
        ["7 not applied: the deadline passed while the call waited behind 5 others"]
    );
}

// Breaks: a call in flight is lost, or applied twice, when the leader changes.
#[test]
fn a_new_leader_is_sent_all_unanswered_calls() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=3, 500);
    assert_eq!(sent(&mut calls).len(), 3);
    replied(&mut calls, 1);
    calls.set_leader(None);
    submit(&mut calls, 4..=4, 500);
    assert_eq!(sent(&mut calls), []);
    calls.set_leader(led_by(PEER, 2));
    assert_eq!(sent(&mut calls), [(2, 2), (3, 2), (4, 2)], "the same node in another term");
    calls.set_leader(led_by(PEER, 2));
    assert_eq!(sent(&mut calls), []);
    calls.set_leader(led_by(HERE, 3));
    assert_eq!(sent(&mut calls), [(2, 2), (3, 2), (4, 2)]);
}

// Breaks: the connection to the leader is lost after a call was forwarded, and its caller never gets an answer.
#[test]
fn a_new_connection_to_the_leader_is_sent_all_unanswered_calls() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=2, 500);
    assert_eq!(sent(&mut calls).len(), 2);
    calls.reconnected(NodeId(3));
    assert_eq!(sent(&mut calls), []);
    calls.reconnected(PEER);
    assert_eq!(sent(&mut calls), [(1, 1), (2, 1)]);
}

#[test]
fn many_gaps_of_one_loss_cause_one_resend() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=3, 500);
    assert_eq!(sent(&mut calls).len(), 3);
    gap(&mut calls, 2);
    gap(&mut calls, 3);
    assert_eq!(sent(&mut calls), [(1, 1), (2, 1), (3, 1)]);
    gap(&mut calls, 3);
    assert_eq!(sent(&mut calls), [], "a gap of the earlier copies");
    replied(&mut calls, 1);
    gap(&mut calls, 3);
    assert_eq!(sent(&mut calls), [(2, 2), (3, 2)], "after a decision, a gap shows another loss");
}

#[test]
fn a_refused_call_is_sent_again_after_a_pause_that_grows() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=3, 500);
    assert_eq!(sent(&mut calls).len(), 3);
    calls.refused(NodeId(3), Number(1), CallsRefusal::NotLeader);
    calls.refused(PEER, Number(2), CallsRefusal::NotLeader);
    calls.refused(PEER, Number(3), CallsRefusal::NotLeader);
    assert_eq!(sent(&mut calls), [], "no busy loop");
    calls.tick(Ticks(1));
    assert_eq!(sent(&mut calls), [(2, 1), (3, 1)], "from the refused one on");
    calls.refused(PEER, Number(2), CallsRefusal::NotLeader);
    replied(&mut calls, 1);
    calls.tick(Ticks(2));
    assert_eq!(sent(&mut calls), []);
    calls.tick(Ticks(3));
    assert_eq!(sent(&mut calls), [(2, 2), (3, 2)], "two ticks the second time");
    calls.refused(PEER, Number(2), CallsRefusal::NotLeader);
    calls.set_leader(led_by(HERE, 2));
    assert_eq!(sent(&mut calls), [(2, 2), (3, 2)], "a new leader is sent them at once");
}

#[test]
fn without_a_decision_the_waits_between_resends_grow() {
    let mut calls = calls();
    calls.tick(Ticks(1_000));
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=1, 9_000);
    let mut sent_at = Vec::new();
    for now in 1_000..4_000 {
        calls.tick(Ticks(now));
        if !sent(&mut calls).is_empty() {
            sent_at.push(now - 1_000);
        }
    }
    assert_eq!(sent_at, [0, 50, 150, 350, 750, 1_550, 2_350]);
}

// Breaks: after an idle hour each call is sent twice; or a lost call is not sent again while new calls are made.
#[test]
fn the_wait_begins_with_the_first_call_in_flight() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    calls.tick(Ticks(1_000));
    submit(&mut calls, 1..=1, 9_000);
    assert_eq!(sent(&mut calls), [(1, 1)]);
    calls.tick(Ticks(1_049));
    submit(&mut calls, 2..=2, 9_000);
    assert_eq!(sent(&mut calls), [(2, 1)]);
    calls.tick(Ticks(1_050));
    assert_eq!(sent(&mut calls), [(1, 1), (2, 1)]);
}

// Breaks: after one slow period, every later loss and refusal causes the longest wait.
#[test]
fn a_decision_resets_the_waits() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=3, 9_000);
    assert_eq!(sent(&mut calls).len(), 3);
    for now in [50, 150] {
        calls.tick(Ticks(now));
        assert_eq!(sent(&mut calls).len(), 3);
    }
    calls.tick(Ticks(300));
    replied(&mut calls, 1);
    assert_eq!(ended(&mut calls), ["1 ok 101@3"]);
    calls.tick(Ticks(349));
    assert_eq!(sent(&mut calls), []);
    calls.tick(Ticks(350));
    assert_eq!(sent(&mut calls), [(2, 2), (3, 2)]);

    for (now, next) in [(350, 351), (351, 353)] {
        calls.tick(Ticks(now));
        calls.refused(PEER, Number(2), CallsRefusal::Busy);
        calls.tick(Ticks(next));
        assert_eq!(sent(&mut calls), [(2, 2), (3, 2)]);
    }
    replied(&mut calls, 2);
    assert_eq!(ended(&mut calls), ["2 ok 102@3"]);
    calls.refused(PEER, Number(3), CallsRefusal::Busy);
    calls.tick(Ticks(354));
    assert_eq!(sent(&mut calls), [(3, 3)], "the row of refusals is over");
}

// Breaks: a late refusal delays calls that it is not about.
#[test]
fn a_refusal_of_a_call_that_is_not_in_flight_is_ignored() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=1, 500);
    assert_eq!(sent(&mut calls).len(), 1);
    calls.refused(PEER, Number(2), CallsRefusal::Busy);
    submit(&mut calls, 2..=2, 500);
    assert_eq!(sent(&mut calls), [(2, 1)]);
}

#[test]
fn ready_is_empty_only_if_all_its_parts_are() {
    let nothing = CallsReady::default();
    assert!(nothing.is_empty());
    let mut calls = calls();
    calls.set_leader(led_by(HERE, 1));
    calls.read(ReadTicket(1), Ticks(500));
    let read = calls.ready();
    assert!(read.read.is_some() && !read.is_empty());
    calls.tick(Ticks(500));
    assert!(!calls.ready().is_empty(), "a read has ended");
    submit(&mut calls, 1..=1, 600);
    assert!(!calls.ready().is_empty(), "a command");
    calls.tick(Ticks(600));
    assert!(!calls.ready().is_empty(), "a call has ended");
    assert!(calls.ready().is_empty());
}

#[test]
fn a_founding_error_names_the_missing_nodes() {
    for (waiting_for, words) in
        [(vec![], "this node's own disk"), (vec!["b:1".into(), "c:1".into()], "b:1, c:1")]
    {
        let reason = NotAppliedReason::ClusterNotFormed { waiting_for };
        assert!(reason.to_string().contains(words), "{reason}");
    }
}

#[test]
#[should_panic(expected = "fits in no window")]
fn limits_that_no_call_can_meet_are_refused() {
    Calls::new(session(1, 1), CallsConfig { window_bytes_max: 1, ..config() });
}

// Breaks: a caller never gets an answer, or gets "not applied" for a call that may be in a log.
#[test]
fn at_its_deadline_a_call_is_not_applied_if_never_sent_and_else_unknown() {
    let mut calls = calls();
    calls.founding(vec!["b:1".into(), "c:1".into()]);
    submit(&mut calls, 1..=1, 10);
    calls.tick(Ticks(10));
    assert_eq!(ended(&mut calls), ["1 not applied: the cluster is not formed yet"]);
    calls.formed();
    submit(&mut calls, 2..=2, 20);
    submit(&mut calls, 3..=3, 10);
    assert_eq!(
        ended(&mut calls),
        ["3 not applied: no leader within the deadline"],
        "its deadline had passed when it was made"
    );
    calls.set_leader(led_by(PEER, 1));
    assert_eq!(sent(&mut calls), [(1, 1)]);
    calls.set_leader(None);
    calls.tick(Ticks(20));
    assert_eq!(
        ended(&mut calls),
        ["2 outcome unknown: the call was sent, but no majority confirmed it within the deadline"]
    );
    replied(&mut calls, 1);
    assert_eq!(ended(&mut calls), [] as [&str; 0], "it has ended");
}

#[test]
fn a_call_given_up_raises_lowest_and_is_not_sent_again() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=1, 500);
    submit(&mut calls, 2..=2, 30);
    submit(&mut calls, 3..=3, 500);
    assert_eq!(sent(&mut calls).len(), 3);
    calls.tick(Ticks(30));
    assert_eq!(calls.ready().completions.len(), 1);
    calls.set_leader(led_by(HERE, 2));
    assert_eq!(sent(&mut calls), [(1, 1)], "while 1 is unanswered, lowest cannot rise, and 3 would be a gap");
    replied(&mut calls, 1);
    assert_eq!(sent(&mut calls), [(3, 3)]);
}

#[test]
fn deadlines_can_be_moved_either_way() {
    let mut calls = calls();
    submit(&mut calls, 1..=3, 100);
    calls.set_deadline(CallId(1), Ticks(200));
    calls.set_deadline(CallId(2), Ticks(50));
    calls.set_deadline(CallId(9), Ticks(50));
    let ends = |calls: &mut Calls, now| {
        calls.tick(Ticks(now));
        calls.check_invariants();
        calls.ready().completions.iter().map(|(call, _)| call.0).collect::<Vec<_>>()
    };
    assert_eq!(ends(&mut calls, 50), [2]);
    assert_eq!(ends(&mut calls, 199), [3]);
    calls.set_deadline(CallId(1), Ticks(10));
    assert_eq!(ends(&mut calls, 199), [1]);
}

// Breaks: a caller waits for ever for a node that has stopped.
#[test]
fn a_stopped_node_ends_open_and_later_calls_and_reads() {
    let mut calls = calls();
    calls.set_leader(led_by(PEER, 1));
    submit(&mut calls, 1..=1, 500);
    assert_eq!(sent(&mut calls).len(), 1);
    submit(&mut calls, 2..=2, 500);
    calls.read(ReadTicket(1), Ticks(500));
    calls.stop("shut down");
    calls.check_invariants();
    submit(&mut calls, 3..=3, 500);
    calls.read(ReadTicket(2), Ticks(500));
    let ready = calls.ready();
    assert_eq!((&ready.commands[..], ready.read), (&[][..], None));
    let stopped = || "shut down".to_owned();
    let not_applied =
        || CallError::NotApplied { reason: NotAppliedReason::Stopped(stopped()), retry: Retry::Elsewhere };
    let unknown = CallError::Unknown { reason: UnknownReason::Stopped(stopped()) };
    assert_eq!(
        ready.completions,
        [(CallId(1), Err(unknown)), (CallId(2), Err(not_applied())), (CallId(3), Err(not_applied()))]
    );
    let error = || Err(ReadError::Stopped(stopped()));
    assert_eq!(ready.read_completions, [(ReadTicket(1), error()), (ReadTicket(2), error())]);
}

#[test]
fn a_call_without_a_reply_is_reported_as_applied() {
    let mut calls = calls();
    calls.set_leader(led_by(HERE, 1));
    submit(&mut calls, 1..=3, 500);
    assert_eq!(sent(&mut calls).len(), 3);
    submit(&mut calls, 4..=4, 500);
    assert_eq!(sent(&mut calls).len(), 1);
    let entry = EntryId { term: Term(1), index: Index(9) };
    let replies = [
        Reply::Panicked("boom".into()),
        Reply::Unencodable("no length".into()),
        Reply::TooLarge { bytes: 2, limit: 1 },
        Reply::Forgotten,
    ];
    for (number, reply) in (1..).zip(replies) {
        calls.decided(Decision { number: Number(number), verdict: CallVerdict::Replied { entry, reply } });
    }
    assert_eq!(
        ended(&mut calls),
        [
            "1 applied at index 9, but the method panicked: boom",
            "2 applied at index 9, but its reply does not encode: no length",
            "3 applied at index 9, but its reply has 2 bytes, more than the limit of 1",
            "4 applied at index 9, but its reply is no longer kept",
        ]
    );
}

#[test]
fn a_retired_session_ends_its_calls_as_unknown() {
    let mut calls = calls();
    calls.set_leader(led_by(HERE, 1));
    submit(&mut calls, 1..=1, 500);
    assert_eq!(sent(&mut calls).len(), 1);
    calls.decided(Decision { number: Number(1), verdict: CallVerdict::Retired });
    assert!(ended(&mut calls)[0].starts_with("1 outcome unknown: the node stopped"));
}

fn requested(calls: &mut Calls) -> Option<ReadId> {
    calls.ready().read
}

// Breaks: a retry with the id of an earlier request accepts the reply to that one (etcd #20418).
#[test]
fn one_request_serves_all_earlier_reads_and_a_retry_has_a_new_id() {
    let mut calls = calls();
    calls.read(ReadTicket(1), Ticks(500));
    assert_eq!(requested(&mut calls), None, "no leader is known");
    calls.set_leader(led_by(PEER, 1));
    calls.read(ReadTicket(2), Ticks(500));
    let first = requested(&mut calls).unwrap();
    assert_eq!(requested(&mut calls), None);
    calls.read(ReadTicket(3), Ticks(500));
    let second = requested(&mut calls).unwrap();
    calls.read_index_reply(first, Some(Index(10)));
    assert_eq!(calls.ready().read_completions, []);
    calls.applied(Index(9));
    assert_eq!(calls.ready().read_completions, []);
    calls.applied(Index(12));
    assert_eq!(
        calls.ready().read_completions,
        [(ReadTicket(1), Ok(Index(12))), (ReadTicket(2), Ok(Index(12)))]
    );
    calls.tick(Ticks(50));
    let third = requested(&mut calls).unwrap();
    assert!(third > second, "{third:?} after {second:?}");
    calls.read_index_reply(second, Some(Index(1)));
    assert_eq!(calls.ready().read_completions, [], "the reply to a request that was replaced");
    calls.read_index_reply(third, None);
    assert_eq!(requested(&mut calls), None, "no busy loop");
    calls.tick(Ticks(51));
    let fourth = requested(&mut calls).unwrap();
    calls.set_leader(led_by(HERE, 2));
    let fifth = requested(&mut calls).unwrap();
    calls.read_index_reply(fourth, Some(Index(1)));
    calls.read_index_reply(fifth, Some(Index(12)));
    assert_eq!(
        calls.ready().read_completions,
        [(ReadTicket(3), Ok(Index(12)))],
        "its index is applied already"
    );
}

#[test]
fn a_read_that_times_out_reports_what_was_missing() {
    let mut calls = calls();
    let timed_out = |calls: &mut Calls, ticket: u64, now: u64| {
        calls.tick(Ticks(now));
        let completions = calls.ready().read_completions;
        assert_eq!(completions.len(), 1, "{completions:?}");
        assert_eq!(completions[0].0, ReadTicket(ticket));
        completions[0].1.clone().unwrap_err()
    };
    calls.founding(vec!["b:1".into()]);
    calls.read(ReadTicket(1), Ticks(10));
    assert_eq!(timed_out(&mut calls, 1, 10), ReadError::ClusterNotFormed { waiting_for: vec!["b:1".into()] });
    calls.formed();
    calls.read(ReadTicket(2), Ticks(20));
    assert_eq!(timed_out(&mut calls, 2, 20), ReadError::NoLeader);
    calls.set_leader(led_by(PEER, 1));
    calls.read(ReadTicket(3), Ticks(30));
    let id = requested(&mut calls).unwrap();
    assert_eq!(timed_out(&mut calls, 3, 30), ReadError::LeaderUnconfirmed);
    calls.read_index_reply(id, Some(Index(1)));
    calls.read(ReadTicket(4), Ticks(40));
    let id = requested(&mut calls).unwrap();
    calls.read_index_reply(id, Some(Index(7)));
    assert_eq!(timed_out(&mut calls, 4, 40), ReadError::Behind { index: Index(7), applied: Index(0) });
    for ticket in 5..=8 {
        calls.read(ReadTicket(ticket), Ticks(100));
    }
    assert_eq!(calls.ready().read_completions, [(ReadTicket(8), Err(ReadError::QueueFull { limit: 3 }))]);
}

// Breaks: a reply to an earlier process of this node serves a read of this one with stale state.
#[test]
fn read_ids_of_two_boots_differ() {
    let id = |boot| {
        let mut calls = Calls::new(SessionId { incarnation: Incarnation(7), ..session(1, boot) }, config());
        calls.set_leader(led_by(PEER, 1));
        calls.read(ReadTicket(1), Ticks(500));
        requested(&mut calls).unwrap()
    };
    assert_ne!(id(1), id(2));
}
