use raftobj::replicated;

struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, by: u64) {
        self.count += by;
    }
}

fn main() {}
