use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
enum Choice {
    A,
    B,
}

#[replicated]
fn free() {}

#[replicated]
impl Counter {
    #[replicated]
    const ONE: u64 = 1;
}

fn main() {}
