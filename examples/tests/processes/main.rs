//! `kvstorage` as its users run it: processes, real TCP, real files, SIGKILL.
//!
//! [`harness`] runs them. Every test has addresses and directories of its own and ends what it started.

mod arguments;
mod ends;
mod harness;
mod three_nodes;
