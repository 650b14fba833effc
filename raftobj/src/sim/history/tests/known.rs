//! Histories whose verdict is known, from the literature and by hand.

use super::super::{
    ByKey, Checker, ClientId, Counter, CounterCall, History, RegisterCall, RegisterReply, Verdict, check,
};
use super::diagrams::{queue_history, register_history};
use super::{queue, register};

#[track_caller]
fn register_is(is_linearizable: bool, rows: &[&str]) {
    let verdict = check(&register(), &register_history(rows));
    assert_eq!(verdict.is_linearizable(), is_linearizable, "{rows:#?}\n{verdict:#?}");
}

#[track_caller]
fn queue_is(is_linearizable: bool, rows: &[&str]) {
    let verdict = check(&queue(), &queue_history(rows));
    assert_eq!(verdict.is_linearizable(), is_linearizable, "{rows:#?}\n{verdict:#?}");
}

/// The four queues of the paper that defined the word (Herlihy and Wing 1990, figure 1).
#[test]
fn the_queues_of_herlihy_and_wing() {
    queue_is(true, &["|e1----| |d1-| |d3--|", "  |e2-| |e3-| |d2---|"]);
    queue_is(false, &["|e1-|       |d2-|", "      |e2-|"]);
    queue_is(true, &["|e1----------|", "     |d1-|"]);
    queue_is(false, &["|e1-----|  |d2-|", "  |e2-|    |d2-|"]);
}

/// A queue loses nothing, invents nothing, and is empty only when it can be.
#[test]
fn queues() {
    queue_is(true, &["|e1-|   |d1-| |d_-|"]);
    queue_is(false, &["|e1-|   |d_-|"]);
    queue_is(true, &["|e1----|", "  |d_-|"]);
    queue_is(false, &["|d1-|   |e1-|"]);
    queue_is(true, &["|e1~", "      |d1-|"]);
    queue_is(true, &["|e1~", "      |d_-|   |d1-| |d_-|"]);
    queue_is(false, &["|e1~", "      |d1-|   |d1-|"]);
    // A pop of unknown outcome may have taken the first.
    queue_is(true, &["|e1-| |e2-| |d1~", "                   |d2-|"]);
    queue_is(false, &["|e1-| |e2-| |e3-| |d1~", "                         |d3-|"]);
}

/// Reads see the newest write that has ended, or any that is under way, and never go back.
#[test]
fn registers() {
    register_is(true, &[]);
    register_is(true, &["|r_-|"]);
    register_is(false, &["|r1-|"]);
    register_is(true, &["|w1-|", "      |r1-|"]);
    register_is(false, &["|w1-|", "      |r_-|"]);
    register_is(true, &["|w1------|", "  |r_-|", "  |r1--|"]);
    // Stale: sequentially consistent, not linearizable.
    register_is(false, &["|w1-| |w2-|", "             |r1-|"]);
    register_is(true, &["|w1---|", "  |w2-|", "         |r1-|"]);
    // New, then old.
    register_is(true, &["|w1-| |w2----------------|", "         |r1-| |r2-|"]);
    register_is(false, &["|w1-| |w2----------------|", "         |r2-| |r1-|"]);
    register_is(false, &["|w1-| |w2----------------|", "         |r2-|", "               |r1-|"]);
    // Two readers that disagree on the order of two writes.
    register_is(true, &["|w1---|", "|w2---|", "        |r1-| |r1-|", "        |r1-|"]);
    register_is(false, &["|w1---|", "|w2---|", "        |r1-|", "        |r2-|"]);
    // A touching point is concurrent.
    register_is(true, &["|w1-|", "    |r_-|"]);
}

/// Swaps and compare-and-sets: no update is lost.
#[test]
fn updates() {
    register_is(true, &["|s1=_-|", "       |s2=1-|"]);
    register_is(true, &["|s1=2-|", "|s2=_-|"]);
    register_is(false, &["|s1=_-|", "|s2=_-|"]);
    register_is(false, &["|s1=2-|", "|s2=1-|"]);
    register_is(true, &["|w1-| |c1,2+-|", "      |c1,3!-|"]);
    register_is(false, &["|w1-| |c1,2+-|", "      |c1,3+-|"]);
    register_is(false, &["|w1-| |c1,2!-|", "      |c1,3!-|"]);
    register_is(true, &["|c_,1+-|", "         |r1-|"]);
}

/// Unknown: may take effect at any later time, once, or never. Failed: never.
#[test]
fn unknown_outcomes() {
    register_is(true, &["|w1~", "     |r_-|"]);
    register_is(true, &["|w1~", "     |r1-|"]);
    register_is(true, &["|w1~", "     |r_-| |r_-| |r1-|"]);
    register_is(false, &["|w1~", "     |r_-| |r1-| |r_-|"]);
    register_is(false, &["     |w1~", "|r1-|"]);
    // It takes effect after a later write, but not twice.
    register_is(true, &["|w1~", "     |w2-| |r2-| |r1-|"]);
    register_is(false, &["|w1~", "     |w2-| |r1-| |r2-| |r1-|"]);
    register_is(false, &["|w1~", "     |r1-| |w2-| |r1-|"]);
    register_is(true, &["|w1~", "|w1~", "     |r1-| |w2-| |r1-|"]);
    // Several at once, seen in any order.
    register_is(true, &["|w1~", "|w2~", "|w3~", "     |r3-| |r1-| |r2-|"]);
    register_is(false, &["|w1~", "|w2~", "|w3~", "     |r3-| |r1-| |r3-|"]);
    register_is(true, &["|w1~", "|c1,2+~", "          |r2-|"]);
    register_is(false, &["|c1,2+~", "          |r2-|"]);
    register_is(true, &["|w1x", "     |r_-|"]);
    register_is(false, &["|w1x", "     |r1-|"]);
    register_is(true, &["|r5~", "     |r_-|"]);
}

/// A counter that counts a retry twice, or loses one of two at the same time.
#[test]
fn counters() {
    let counts = |replies: [i64; 2], last: i64| {
        let mut history = History::new();
        let add = [1, 2].map(|client| history.invoke(ClientId(client), CounterCall::Add(1)));
        history.complete(add[0], replies[0]);
        history.complete(add[1], replies[1]);
        let get = history.invoke(ClientId(3), CounterCall::Get);
        history.complete(get, last);
        check(&Counter, &history).is_linearizable()
    };
    assert!(counts([1, 2], 2));
    assert!(counts([2, 1], 2));
    assert!(!counts([1, 1], 1), "an update was lost");
    assert!(!counts([1, 2], 3), "one was counted twice");
}

/// Keys are independent, and the violated one is named.
#[test]
fn keys_are_checked_apart() {
    let mut history = History::new();
    for (key, seen) in [("a", 1), ("b", 2), ("c", 1)] {
        let write = history.invoke(ClientId(1), (key, RegisterCall::Write(1)));
        history.complete(write, RegisterReply::Done);
        let read = history.invoke(ClientId(1), (key, RegisterCall::Read));
        history.complete(read, RegisterReply::Value(Some(seen)));
    }
    let verdict = check(&ByKey::new(register()), &history);
    let Verdict::NotLinearizable(found) = verdict else { panic!("{verdict:?}") };
    assert_eq!((found.key.as_str(), found.calls_total), ("\"b\"", 2));
}

/// A client may hear late of what it had given up.
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

/// A bound ends the search with an honest answer, and a violation in another key is still found.
#[test]
fn a_bound_is_not_a_verdict() {
    let rows = ["|w1---|", "|w2---|", "|w3---|", "        |r1-|"];
    let history = register_history(&rows);
    let spent = Checker::new(&register()).steps_max(3).check(&history);
    assert_eq!(spent, Verdict::Undecided { key: "()".into(), steps: 3 });
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
