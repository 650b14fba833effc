use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, by: impl Into<u64>) {
        self.count += by.into();
    }

    #[replicated]
    fn add_and_list(&mut self, by: u64) -> impl Iterator<Item = u64> {
        self.count += by;
        0..self.count
    }
}

fn main() {}
