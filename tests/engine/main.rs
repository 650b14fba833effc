//! Whole nodes in this process: threads, sockets, files, and the calls of their users.

mod calls;
mod cluster;
mod ends;
mod limits;
