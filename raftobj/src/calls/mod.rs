//! The life of a call: numbering, window, re-send, deadline, forwarding, read tickets, outcome.
//!
//! Pure: time is ticks, peers are ids. It knows neither sockets nor disks.

pub mod outcome;
