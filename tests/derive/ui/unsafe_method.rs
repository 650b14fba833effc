use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    unsafe fn add(&mut self, by: u64) {
        self.count += by;
    }
}

fn main() {}
