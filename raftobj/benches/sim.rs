//! How many schedules per second one core simulates, with every check.
//!
//! `cargo bench -p raftobj --features sim --bench sim`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use raftobj::sim::{Report, standard};
use std::time::Instant;

const SEEDS: u64 = 1_000;
const STEPS: usize = 2_000;

fn main() {
    let simulation = standard::simulation().steps(STEPS);
    let mut report = Report::default();
    let began = Instant::now();
    for seed in 0..SEEDS {
        report += &simulation.run_seed(seed).expect("the standard seeds pass");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} schedules of {STEPS} steps per second", SEEDS as f64 / seconds);
    println!(
        "{:.2} us per step, {} steps, liveness phases included",
        seconds * 1e6 / report.steps() as f64,
        report.steps()
    );
}
