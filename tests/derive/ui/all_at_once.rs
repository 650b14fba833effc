use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    async fn add(self, by: &mut u64) -> &u64 {
        by
    }

    #[replicated]
    fn clone(&self) {}

    #[replicated]
    fn clear(&mut self) {
        self.count = 0;
    }
}

// The method without a mistake is generated, so this compiles.
fn use_it(counter: &raftobj::Replica<Counter>) -> raftobj::Call<()> {
    counter.clear()
}

fn main() {}
