use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

struct Lent<'a>(&'a u64);

#[replicated]
impl Counter {
    fn lent(&self) -> Lent {
        Lent(&self.count)
    }
}

fn main() {}
