use raftobj::replicated;
use raftobj::serde::{Deserialize, Serialize};

#[replicated]
#[derive(Default, Serialize, Deserialize)]
#[serde(crate = "raftobj::serde")]
struct Counter {
    count: u64,
}

fn main() {}
