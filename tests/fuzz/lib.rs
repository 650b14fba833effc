//! Fuzzing of every decoder that faces bytes from outside: what `README.md` beside this file runs.
//!
//! The targets are the library's, behind its hidden door, two about a user's object, and the simulator, whose
//! schedules are bytes here. [`measure`] runs one on
//! one input, `bounded.rs` all of them on the inputs of the folders `regressions` and `corpus` and on what
//! [`mutate`] makes of them, `guided.rs` one of them for as long as one likes, led by coverage.

pub mod folders;
pub mod measure;
pub mod mutate;
mod object;
mod schedule;

pub use raftobj::__fuzz::{MemoryBound, Target};

/// All targets, by name.
pub fn targets() -> Vec<Target> {
    let mut targets = [raftobj::__fuzz::targets(), object::targets(), schedule::targets()].concat();
    targets.sort_by_key(|target| target.name);
    targets
}
