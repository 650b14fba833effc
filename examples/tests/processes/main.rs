//! `kvstorage` as its users run it: processes, real TCP, real files, SIGKILL, networks that are cut.
//!
//! [`harness`] runs them, [`cluster`] several at once. Every test has addresses and directories of its own and ends what
//! it started. [`random_faults`] is the longest of them, and can be made longer.

#![allow(clippy::disallowed_methods, reason = "waits have bounds, in one place")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod arguments;
mod bad_input;
mod cleanup;
mod cluster;
mod counter;
mod crashes;
mod ends;
mod harness;
mod hostile_peers;
mod network;
mod partitions;
mod random_faults;
mod three_nodes;
