//! Histories drawn as diagrams, random histories, and a naive twin of the checker.

mod counterexamples;
mod diagrams;
mod guarantees;
mod known;
mod other_checker;
mod random;
mod twin;

use super::{History, Queue, QueueCall, Register, RegisterCall, RegisterReply};

type RegisterHistory = History<RegisterCall<u64>, RegisterReply<u64>>;
type QueueHistory = History<QueueCall<u64>, Option<u64>>;

fn register() -> Register<u64> {
    Register::new()
}

fn queue() -> Queue<u64> {
    Queue::new()
}
