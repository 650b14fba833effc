use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated(naem = "x")]
struct Other;

#[replicated(name = "counter")]
impl Counter {
    #[replicated(id = 3)]
    fn add(&mut self, by: u64) {
        self.count += by;
    }

    #[replicated(name = 3, crate = "raftobj")]
    fn a(&mut self) {}

    #[replicated(name)]
    fn b(&mut self) {}

    #[replicated = "c"]
    fn c(&mut self) {}

    #[replicated(name = "")]
    fn d(&mut self) {}

    #[replicated(local = true)]
    fn e(&self) {}

    #[replicated(local = false)]
    fn f(&mut self) {}

    #[replicated(local = false, name = "g")]
    fn g(&self) {}

    #[replicated]
    #[replicated(name = "h")]
    fn h(&mut self) {}
}

fn main() {}
