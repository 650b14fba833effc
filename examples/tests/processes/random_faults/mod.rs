//! Faults at random: clients at every node, SIGKILL, SIGSTOP, cut networks, and a checker for what the clients saw.
//!
//! A [`round`] is a cluster of three to five processes and is drawn from its seed, which is printed first. Rounds of
//! even seeds are on loopback: processes are killed, stopped and started again. Rounds of odd seeds are in a network of
//! namespaces, which is cut as well; where there can be none, that is said, and they are on loopback too.
//!
//! `cargo test` runs two rounds, of new seeds every time. Longer, and from a given seed on:
//!
//! ```text
//! RAFTOBJ_PROCESS_SECONDS=600 RAFTOBJ_PROCESS_SEED=7 \
//!     cargo test -p raftobj-examples random_faults -- --nocapture
//! ```
//!
//! A seed repeats what is drawn, not what the machine makes of it: processes run as they like. So a finding keeps all:
//! it prints the checker's timeline, the seed and what was done, and leaves the directories, what the nodes told and all
//! records in a folder that it names.
//!
//! Nothing is timed. While a majority runs and hears itself, it has to serve, and in the end every node has to, within a bound
//! that is far more than any machine needs.

mod check;
mod client;
mod faults;
mod order;
mod record;
mod round;
mod summary;

use crate::harness::say;
use round::Round;
use std::env;
use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use summary::Summary;

/// If it fails, what the processes said could not have happened, or a cluster that should serve does not.
#[test]
fn whatever_fails_the_answers_are_those_of_one_dictionary() {
    let seconds: Option<u64> = variable("RAFTOBJ_PROCESS_SECONDS");
    let first = variable("RAFTOBJ_PROCESS_SEED").unwrap_or_else(new_seed);
    let start = Instant::now();
    let mut summary = Summary::default();
    for seed in first.. {
        let is_over = match seconds {
            Some(seconds) => start.elapsed() >= Duration::from_secs(seconds),
            None => summary.rounds == 2,
        };
        if is_over && summary.rounds > 0 {
            break;
        }
        let round = Round::run(seed, seed % 2 == 1);
        for needed in ["changed", "read", "read locally"] {
            assert!(round.answers.contains_key(needed), "no command was {needed}: {round}");
        }
        summary.add(&round);
        if seconds.is_some() {
            say(&format!("after {:.0} s: {summary}", start.elapsed().as_secs_f64()));
        }
    }
    say(&summary.to_string());
}

fn variable<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

/// Small enough to be typed in again.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("1970 is over");
    now.as_micros() as u64 % 1_000_000_000
}
