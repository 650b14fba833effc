use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

impl Counter {
    fn add(&mut self, by: u64) {
        self.count += by;
    }
}

fn start<T: raftobj::Object>(object: T) {
    drop(object);
}

fn use_it() {
    start(Counter::default());
}

fn main() {}
