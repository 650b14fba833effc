//! Histories whose verdict is known, from the literature or by reasoning.

use super::super::{
    ByKey, Checker, ClientId, Counter, CounterCall, History, RegisterCall, RegisterReply, Verdict, check,
};
use super::diagrams::{queue_history, register_history};
use super::{queue, register};

#[track_caller]
fn assert_register(is_linearizable: bool, rows: &[&str]) {
    let verdict = check(&register(), &register_history(rows));
    assert_eq!(verdict.is_linearizable(), is_linearizable, "{rows:#?}\n{verdict:#?}");
}

#[track_caller]
fn assert_queue(is_linearizable: bool, rows: &[&str]) {
    let verdict = check(&queue(), &queue_history(rows));
    assert_eq!(verdict.is_linearizable(), is_linearizable, "{rows:#?}\n{verdict:#?}");
}

/// The four queues of the paper that defined linearizability (Herlihy and Wing 1990, figure 1).
#[test]
fn the_queues_of_herlihy_and_wing() {
    assert_queue(true, &["|e1----| |d1-| |d3--|", "  |e2-| |e3-| |d2---|"]);
    assert_queue(false, &["|e1-|       |d2-|", "      |e2-|"]);
    assert_queue(true, &["|e1----------|", "     |d1-|"]);
    assert_queue(false, &["|e1-----|  |d2-|", "  |e2-|    |d2-|"]);
}

/// A queue loses nothing, invents nothing, and is empty only when it can be.
#[test]
fn queues() {
    assert_queue(true, &["|e1-|   |d1-| |d_-|"]);
    assert_queue(false, &["|e1-|   |d_-|"]);
    assert_queue(true, &["|e1----|", "  |d_-|"]);
    assert_queue(false, &["|d1-|   |e1-|"]);
    assert_queue(true, &["|e1~", "      |d1-|"]);
    assert_queue(true, &["|e1~", "      |d_-|   |d1-| |d_-|"]);
    assert_queue(false, &["|e1~", "      |d1-|   |d1-|"]);
    // A pop of unknown outcome may have removed the first value.
    assert_queue(true, &["|e1-| |e2-| |d1~", "                   |d2-|"]);
    assert_queue(false, &["|e1-| |e2-| |e3-| |d1~", "                         |d3-|"]);
}

/// Reads return the newest write that has returned, or any concurrent one, and never go back.
#[test]
fn registers() {
    assert_register(true, &[]);
    assert_register(true, &["|r_-|"]);
    assert_register(false, &["|r1-|"]);
    assert_register(true, &["|w1-|", "      |r1-|"]);
    assert_register(false, &["|w1-|", "      |r_-|"]);
    assert_register(true, &["|w1------|", "  |r_-|", "  |r1--|"]);
    // A stale read: sequentially consistent, not linearizable.
    assert_register(false, &["|w1-| |w2-|", "             |r1-|"]);
    assert_register(true, &["|w1---|", "  |w2-|", "         |r1-|"]);
    // The new value is read, then the old one.
    assert_register(true, &["|w1-| |w2----------------|", "         |r1-| |r2-|"]);
    assert_register(false, &["|w1-| |w2----------------|", "         |r2-| |r1-|"]);
    assert_register(false, &["|w1-| |w2----------------|", "         |r2-|", "               |r1-|"]);
    // Two readers that disagree on the order of two writes.
    assert_register(true, &["|w1---|", "|w2---|", "        |r1-| |r1-|", "        |r1-|"]);
    assert_register(false, &["|w1---|", "|w2---|", "        |r1-|", "        |r2-|"]);
    // With the same timestamp, they are concurrent.
    assert_register(true, &["|w1-|", "    |r_-|"]);
}

/// No update is lost by swap or compare-and-set.
#[test]
fn updates() {
    assert_register(true, &["|s1=_-|", "       |s2=1-|"]);
    assert_register(true, &["|s1=2-|", "|s2=_-|"]);
    assert_register(false, &["|s1=_-|", "|s2=_-|"]);
    assert_register(false, &["|s1=2-|", "|s2=1-|"]);
    assert_register(true, &["|w1-| |c1,2+-|", "      |c1,3!-|"]);
    assert_register(false, &["|w1-| |c1,2+-|", "      |c1,3+-|"]);
    assert_register(false, &["|w1-| |c1,2!-|", "      |c1,3!-|"]);
    assert_register(true, &["|c_,1+-|", "         |r1-|"]);
}

/// Unknown: may take effect at any later time, once, or never. Failed: never.
#[test]
fn unknown_outcomes() {
    assert_register(true, &["|w1~", "     |r_-|"]);
    assert_register(true, &["|w1~", "     |r1-|"]);
    assert_register(true, &["|w1~", "     |r_-| |r_-| |r1-|"]);
    assert_register(false, &["|w1~", "     |r_-| |r1-| |r_-|"]);
    assert_register(false, &["     |w1~", "|r1-|"]);
    // It may take effect after a later write, but not twice.
    assert_register(true, &["|w1~", "     |w2-| |r2-| |r1-|"]);
    assert_register(false, &["|w1~", "     |w2-| |r1-| |r2-| |r1-|"]);
    assert_register(false, &["|w1~", "     |r1-| |w2-| |r1-|"]);
    assert_register(true, &["|w1~", "|w1~", "     |r1-| |w2-| |r1-|"]);
    // Several may take effect in any order.
    assert_register(true, &["|w1~", "|w2~", "|w3~", "     |r3-| |r1-| |r2-|"]);
    assert_register(false, &["|w1~", "|w2~", "|w3~", "     |r3-| |r1-| |r3-|"]);
    assert_register(true, &["|w1~", "|c1,2+~", "          |r2-|"]);
    assert_register(false, &["|c1,2+~", "          |r2-|"]);
    assert_register(true, &["|w1x", "     |r_-|"]);
    assert_register(false, &["|w1x", "     |r1-|"]);
    assert_register(true, &["|r5~", "     |r_-|"]);
}

/// A counter that counts a retry twice, or loses one of two concurrent calls, is not linearizable.
#[test]
fn counters() {
    let is_linearizable = |replies: [i64; 2], last: i64| {
        let mut history = History::new();
        let add = [1, 2].map(|client| history.invoke(ClientId(client), CounterCall::Add(1)));
        history.complete(add[0], replies[0]);
        history.complete(add[1], replies[1]);
        let get = history.invoke(ClientId(3), CounterCall::Get);
        history.complete(get, last);
        check(&Counter, &history).is_linearizable()
    };
    assert!(is_linearizable([1, 2], 2));
    assert!(is_linearizable([2, 1], 2));
    assert!(!is_linearizable([1, 1], 1), "an update was lost");
    assert!(!is_linearizable([1, 2], 3), "one was counted twice");
}

/// Keys are independent, and the violated one is named.
#[test]
fn keys_are_checked_apart() {
    let mut history = History::new();
    for (key, value) in [("a", 1), ("b", 2), ("c", 1)] {
        let write = history.invoke(ClientId(1), (key, RegisterCall::Write(1)));
        history.complete(write, RegisterReply::Done);
        let read = history.invoke(ClientId(1), (key, RegisterCall::Read));
        history.complete(read, RegisterReply::Value(Some(value)));
    }
    let verdict = check(&ByKey::new(register()), &history);
    let Verdict::NotLinearizable(found) = verdict else { panic!("{verdict:?}") };
    assert_eq!((found.key.as_str(), found.calls_total), ("\"b\"", 2));
}

/// A reply may come after the client had given up.
#[test]
fn a_late_reply_counts() {
    let mut history = History::new();
    let write = history.invoke(ClientId(1), RegisterCall::Write(1));
    history.mark_unknown(write);
    let read = history.invoke(ClientId(1), RegisterCall::Read);
    history.complete(read, RegisterReply::Value(None));
    history.complete(write, RegisterReply::Done);
    check(&register(), &history).expect_linearizable();
    let read = history.invoke(ClientId(1), RegisterCall::Read);
    history.complete(read, RegisterReply::Value(None));
    assert!(!check(&register(), &history).is_linearizable());
}

/// A step limit ends the search undecided, and a violation of another key is still found.
#[test]
fn a_step_limit_is_not_a_verdict() {
    let rows = ["|w1---|", "|w2---|", "|w3---|", "        |r1-|"];
    let history = register_history(&rows);
    let limited = Checker::new(&register()).steps_max(3).check(&history);
    assert_eq!(limited, Verdict::Undecided { key: "()".into(), steps: 3 });
    let model = register();
    let stopped = Checker::new(&model).stop_when(|| true).check(&history);
    assert_eq!(stopped, Verdict::Undecided { key: "()".into(), steps: 0 });

    let mut history = History::new();
    for client in 0..20 {
        history.invoke(ClientId(client), ("a", RegisterCall::Write(client)));
    }
    let read = history.invoke(ClientId(20), ("a", RegisterCall::Read));
    history.complete(read, RegisterReply::Value(None));
    let read = history.invoke(ClientId(20), ("b", RegisterCall::Read));
    history.complete(read, RegisterReply::Value(Some(1)));
    let verdict = Checker::new(&ByKey::new(register())).steps_max(10).check(&history);
    let Verdict::NotLinearizable(found) = verdict else { panic!("{verdict:?}") };
    assert_eq!(found.key, "\"b\"");
}
