use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn add<T: Into<u64>>(&mut self, by: T) {
        self.count += by.into();
    }

    #[replicated]
    fn add_all<const N: usize>(&mut self, all: [u64; N])
    where
        [u64; N]: Sized,
    {
        self.count += all.iter().sum::<u64>();
    }
}

fn main() {}
