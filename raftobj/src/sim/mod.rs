//! A simulator: clusters of a replicated object under seeds, with every fault that a data centre has.
//!
//! What runs is what runs in production: the protocol, sessions, founding, the log on its disk, the codec and the object,
//! all but sockets, threads and the operating system's files. In their place are a network, disks and clocks that do what
//! a seed says: messages are late, lost, repeated, overtaken, cut off one way or both; machines lose power in the middle
//! of a write, with any part of what was not synced; disks fail, fill, hang, flip bits, are lost; clocks drift and
//! jump. A run is a function of its seed, on every machine and in every build.
//!
//! ```
//! use raftobj::replicated;
//! use raftobj::sim::{Client, Simulation};
//!
//! #[replicated]
//! #[derive(Default, PartialEq)]
//! pub struct Counter {
//!     value: u64,
//! }
//!
//! #[replicated]
//! impl Counter {
//!     #[replicated]
//!     pub fn add(&mut self, more: u64) -> u64 {
//!         self.value += more;
//!         self.value
//!     }
//!
//!     pub fn value(&self) -> u64 {
//!         self.value
//!     }
//! }
//!
//! /// Asks for one operation, each time that a client makes one.
//! fn workload(client: &mut Client<'_, Counter>) {
//!     match client.random().below(3) {
//!         0 => client.read(|counter| counter.value()),
//!         _ => client.call(|counter| counter.add(1)),
//!     }
//! }
//!
//! let simulation = Simulation::new(Counter::default, workload).check_state().seeds(0..20);
//! println!("{}", simulation.run().unwrap());
//! ```
//!
//! # What is checked
//! After every event: one leader a term, log matching, leader completeness, committed entries that never change and are
//! durable at a majority, nothing told that is not durable, terms, votes and indexes that never go back, equal replicas.
//! At every answer: a call took effect once, after everything that ended before it was made, and replied what the
//! object replies when the calls of the log are made one after the other; a linearizable read missed nothing; local
//! reads go forward and see the client's own calls; each caller is answered once, by its deadline. At the
//! end, when faults are over: within a bound a leader serves and every node has everything. What clients saw can be
//! judged a second time by a checker that knows nothing of the log: [`Simulation::check_linearizability`], [`history`].
//!
//! A method that is not deterministic (it reads a clock, or walks through a `HashMap`) is found where a reply or a read
//! shows it; with [`Simulation::check_state`] where the state does, and it is named, with the index of the call.
//!
//! # When a run fails
//! [`Failure`] displays as the rule that was broken, the line that repeats the run, the last events, the last calls, and the
//! nodes as they were, and the shortest schedule that was found, as a test that is ready to be pasted beside a function
//! `simulation()` that makes yours. With the environment variable `RAFTOBJ_SIM='seed 17 steps 2000'` the same test repeats that run and nothing else. Keep what failed in a file
//! and give it to [`Simulation::regressions`].
//!
//! # Limits
//! - A minority of disks is lost at most, and none while the cluster is founded; a bit flips only where the log can tell
//!   (see the README's limits for damage to the very last write). One object at a time goes wrong, and only while those
//!   that agree are a majority.
//! - Code runs on one thread: what real threads, sockets and files add is for tests with processes.
//! - The user's methods take no time, and all nodes run the same code.
//!
//! # Where to begin reading the code
//! [`Simulation`], then the private modules: `world` (what an event does) and `oracle` (what must hold); `event` lists what can happen,
//! `setup` and `schedule` draw it from a seed, `peace` is the end of a run, `shrink` makes failures short. [`standard`] is the
//! object that raftobj's own seeds run.

pub mod history;

mod client;
mod coverage;
mod event_generator;
mod linearizability;
mod oracle;
mod random;
mod report;
mod run;
mod schedule;
mod shrink;
mod simulation;
pub mod standard;
#[cfg(test)]
mod tests;
mod violation;
mod world;

pub use client::Client;
pub use random::Random;
pub use report::{Failure, Report};
pub use simulation::Simulation;
