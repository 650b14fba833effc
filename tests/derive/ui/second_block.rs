use raftobj::replicated;

#[replicated]
#[derive(Default)]
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

#[replicated]
impl Counter {
    #[replicated]
    fn clear(&mut self) {
        self.count = 0;
    }
}

fn main() {}
