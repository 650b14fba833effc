//! The examples as users run them: `kvstorage` as processes with real TCP, real files, SIGKILL and cut networks.
//!
//! [`harness`] runs one process, [`cluster`] several. Every test has its own addresses and directories, and ends the
//! processes that it started. [`random_faults`] is the longest test, and can be made longer.

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
