//! Whole nodes in this process, with threads, sockets and files, and the calls of their users.

#![allow(clippy::disallowed_methods, reason = "waits have bounds, and entries have times")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod calls;
mod cluster;
mod ends;
mod full_disk;
mod limits;
