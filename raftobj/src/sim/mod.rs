//! A simulator: it runs clusters of your replicated object under seeds, with the faults of a data centre.
//!
//! It runs the production code: the protocol, sessions, founding, the log on its disk, the codec and the object. Only
//! sockets, threads and the operating system's files are replaced, by a network, disks and clocks that a seed controls:
//! messages are delayed, lost, repeated, reordered, cut off in one direction or both; machines lose power in the middle of
//! a write and keep any part of what was not synced; disks fail, fill up, hang, flip bits, are lost; clocks drift and
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
//! /// Chooses a client's next operation.
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
//! - **After every event**: one leader per term, log matching, leader completeness; committed entries never change and are
//!   durable on a majority; nothing is sent that is not durable; terms, votes and indexes never go back; replicas are
//!   equal.
//! - **When an operation ends**: a call took effect once, after every operation that had ended before it was made, and
//!   returned what the object returns when the calls of the log are made in order; a linearizable read returned no old
//!   state; local reads never go back, and see the client's own calls; each operation ends once, by its deadline.
//! - **At the end**, when faults are over: within a bound there is a leader, and every node has applied everything.
//! - **Linearizability, without the log**: [`Simulation::check_linearizability`] searches the clients' [`history`] for an
//!   order that explains it.
//!
//! A method that is not deterministic (it reads a clock, or iterates over a `HashMap`) is found when a reply or a read
//! differs. With [`Simulation::check_state`] it is found when the state differs, and named with the index of the call.
//!
//! # When a run fails
//! [`Failure`] displays the broken rule, a line that repeats the run, the last events, the last calls, each node's state,
//! and the shortest schedule found, as a test to paste beside a function `simulation()` that makes yours. With the
//! environment variable `RAFTOBJ_SIM='seed 17 steps 2000'` a test repeats that run and nothing else. Keep the lines of
//! failed runs in a file, and pass it to [`Simulation::regressions`].
//!
//! # Limits
//! - At most a minority of disks is lost, and none before the cluster is formed. A bit flips only where recovery can
//!   detect it (see the README's limits on damage to the very last write). At most one replica diverges at a time, and
//!   only while the others are a majority.
//! - All code runs on one thread: races of threads, sockets and files need tests with processes.
//! - The user's methods take no time, and all nodes run the same code.
//!
//! # Where to begin reading the code
//! 1. `run`: one run, from its first event to its end.
//! 2. `schedule/`: the data of a run. `event` lists what can happen, `setup` what a seed decides beforehand, `line` is a run
//!    as text. `event_generator` draws the events.
//! 3. `world/`: the cluster, and what each event does to it; `liveness` is the second phase of a run.
//! 4. `oracle/` and `linearizability`: what must hold. `history/` searches for linearizations, and knows nothing of the rest.
//! 5. `simulation`, `client` and `report` are the user's interface, `shrink` makes failing schedules short, and
//!    [`standard`] is the object that raftobj's own seeds run.

pub mod history;

mod client;
mod coverage;
mod event_generator;
mod linearizability;
mod operation;
mod oracle;
mod program;
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
