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
    fn add(&mut self, by: Amount) {
        self.count += by.0;
    }

    #[replicated]
    fn add_lent(&mut self, by: &Amount) {
        self.count += by.0;
    }

    #[replicated]
    fn add_all(&mut self, all: &[Amount]) {
        self.count += all.iter().map(|by| by.0).sum::<u64>();
    }
}

fn main() {}
