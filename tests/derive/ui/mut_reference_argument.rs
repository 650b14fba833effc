use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, by: u64, sum: &mut u64) {
        self.count += by;
        *sum = self.count;
    }
}

fn main() {}
