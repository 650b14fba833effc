//! `kvstorage` as its users run it: processes, real TCP, real files, SIGKILL.
//!
//! [`harness`] runs them. Every test has addresses and directories of its own and ends what it started.

mod arguments;
mod bad_input;
mod crashes;
mod ends;
mod harness;
mod hostile_peers;
mod three_nodes;
