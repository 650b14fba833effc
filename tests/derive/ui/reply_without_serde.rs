use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

struct Amount(u64);

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, by: u64) -> Amount {
        self.count += by;
        Amount(self.count)
    }

    #[replicated]
    fn try_add(&mut self, by: u64) -> Result<u64, Amount> {
        self.count += by;
        Err(Amount(self.count))
    }
}

fn main() {}
