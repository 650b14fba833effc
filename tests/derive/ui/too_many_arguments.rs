use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {}
}

fn main() {}
