//! Fuzzes every decoder of bytes from outside. `README.md` in this folder explains how to run it.
//!
//! The targets are those of the library (`raftobj/src/fuzz/`, compiled by `library/`), two for a user's object, and
//! the simulator with schedules as bytes. [`measure`] runs a target on an input. `bounded.rs` runs all targets on the
//! inputs in `regressions/` and `corpus/` and on mutations of them ([`mutate`]). `guided.rs` runs one target under a
//! coverage-guided fuzzer, for as long as you like.

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
