use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[cfg(all())]
    #[replicated]
    fn costarring(&mut self) {}

    #[cfg(all())]
    #[replicated]
    fn liquid(&mut self) {}
}

fn main() {}
