use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn read(&mut self) -> u64 {
        self.count
    }

    #[replicated]
    fn into(&mut self) -> u64 {
        self.count
    }

    fn ready(&self) -> bool {
        self.count > 0
    }
}

fn main() {}
