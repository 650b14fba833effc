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

    #[replicated(name = "add")]
    fn increment(&mut self) {
        self.count += 1;
    }

    #[replicated]
    fn costarring(&mut self) {}

    #[replicated]
    fn liquid(&mut self) {}
}

fn main() {}
