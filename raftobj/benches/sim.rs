//! How many schedules a second one core simulates, every check on.
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
        report += &simulation.run_seed(seed).expect("the standard seeds hold");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} schedules of {STEPS} steps a second", SEEDS as f64 / seconds);
    println!(
        "{:.2} us a step, {} steps, peace included",
        seconds * 1e6 / report.steps() as f64,
        report.steps()
    );
}
