//! Random faults: clients at every node, SIGKILL, SIGSTOP, cut networks, and a checker for what the clients saw.
//!
//! A [`round`] runs a cluster of three to five processes. Its faults are drawn from its seed, which is printed first.
//! Even seeds run on loopback: processes are killed, stopped and started again. Odd seeds run in a network of
//! namespaces, which is cut as well; if the machine does not allow one, that is printed, and they run on loopback too.
//!
//! `cargo test` runs two rounds, with new seeds every time. To run longer, from a given seed on:
//!
//! ```text
//! RAFTOBJ_PROCESS_SECONDS=600 RAFTOBJ_PROCESS_SEED=7 \
//!     cargo test -p raftobj-examples random_faults -- --nocapture
//! ```
//!
//! A seed repeats the draws, not the timing of the processes. So a failure keeps everything: it prints the checker's
//! timeline, the seed and the faults, and leaves the data directories, the nodes' stderr and all records in a folder,
//! whose path it prints.
//!
//! No speed is checked. While a majority is running and fully connected, it must serve; after the last fault every node
//! must. The bound of these waits is far more than any machine needs.

mod check;
mod client;
mod faults;
mod order;
mod record;
mod round;
mod summary;

use crate::harness::print_uncaptured;
use round::Round;
use std::env;
use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use summary::Summary;

/// If it fails, the answers are not linearizable, or a cluster that must serve does not.
#[test]
fn under_random_faults_the_cluster_acts_as_one_dictionary() {
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
            assert!(round.answers.contains_key(needed), "no answer was `{needed}`: {round}");
        }
        summary.add(&round);
        if seconds.is_some() {
            print_uncaptured(&format!("after {:.0} s: {summary}", start.elapsed().as_secs_f64()));
        }
    }
    print_uncaptured(&summary.to_string());
}

fn variable<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

/// Short enough to type again.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    now.as_micros() as u64 % 1_000_000_000
}
