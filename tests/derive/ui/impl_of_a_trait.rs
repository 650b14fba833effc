use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

trait Add {
    fn add(&mut self, by: u64);
}

#[replicated]
impl Add for Counter {
    #[replicated]
    fn add(&mut self, by: u64) {
        self.count += by;
    }
}

fn main() {}
