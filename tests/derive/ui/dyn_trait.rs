use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add(&mut self, by: Box<dyn Fn() -> u64>) {
        self.count += by();
    }

    #[replicated]
    fn try_add(&mut self, by: u64) -> Result<(), Box<dyn std::error::Error>> {
        self.count += by;
        Ok(())
    }
}

fn main() {}
