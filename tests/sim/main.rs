//! Seeds of the simulator: runs that have failed before, a fixed set, and a few new ones.
//!
//! When one of them fails, follow `tests/README.md`. For more seeds: `cargo run --release --example simulate -- --help`.

#![allow(clippy::disallowed_methods, reason = "fresh seeds come from the clock, and are printed")]
#![allow(clippy::unwrap_used, reason = "unwrap prints the failure in full")]

use raftobj::sim::standard::simulation;
use std::time::SystemTime;

/// Runs that have failed before, each with its cause.
const REGRESSIONS: &str = include_str!("regressions");

/// The hash of the first hundred seeds: it changes only when the behaviour of nodes changes.
const HASH: &str = include_str!("hash");

const HASHED: u64 = 100;

#[test]
fn runs_that_failed_before_pass() {
    let report = simulation().regressions(REGRESSIONS).seeds(0..0).run().unwrap();
    let lines = REGRESSIONS.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count();
    assert_eq!(report.runs(), lines as u64);
}

// Breaks: a seed that fails on one machine, or in a release build, passes on another, and cannot be debugged there.
#[test]
fn seeds_are_the_same_runs_on_every_machine() {
    let hash = |_| format!("{:016x}", simulation().seeds(0..HASHED).run().unwrap().hash());
    let [first, second] = [1, 2].map(hash);
    assert_eq!(first, second, "the same seeds, twice in one process");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/hash"), format!("{first}\n")).unwrap();
        return;
    }
    assert_eq!(
        first,
        HASH.trim(),
        "the first {HASHED} seeds are other runs than before: if you changed the behaviour of nodes, update the hash \
         with UPDATE_GOLDENFILES=1 cargo test -p raftobj-tests-sim; if not, something is not deterministic"
    );
}

#[test]
fn the_fixed_seeds_pass() {
    let report = simulation().seeds(1_000..3_000).run().unwrap();
    println!("{report:#}");
    assert_eq!(report.unreached(), [""; 0], "not reached by {} runs", report.runs());
}

#[test]
fn new_seeds_pass() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = (u64::from(now.subsec_nanos()) << 20) | (now.as_secs() % (1 << 20));
    let report = simulation().seeds(first..first + 200).run().unwrap();
    assert_eq!(report.runs(), 200);
}
