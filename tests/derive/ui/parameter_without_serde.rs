use raftobj::replicated;

struct Amount(u64);

#[replicated]
struct List<T> {
    items: Vec<T>,
}

#[replicated]
impl<T> List<T> {
    #[replicated]
    fn push(&mut self, item: T) {
        self.items.push(item);
    }
}

fn start<T: raftobj::Object>(object: T) {
    drop(object);
}

fn use_it() {
    start(List { items: vec![Amount(1)] });
}

fn main() {}
