use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn into_count(self) -> u64 {
        self.count
    }

    #[replicated]
    fn into_count_of_box(self: Box<Self>) -> u64 {
        self.count
    }
}

fn main() {}
