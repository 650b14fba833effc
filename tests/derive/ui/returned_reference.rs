use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, by: u64) -> &u64 {
        self.count += by;
        &self.count
    }

    #[replicated]
    fn add_again(&mut self, by: u64) -> Option<&u64> {
        self.count += by;
        Some(&self.count)
    }
}

fn main() {}
