use raftobj::replicated;

#[replicated]
struct Text<'a> {
    text: &'a str,
}

#[replicated]
impl<'a> Text<'a> {
    #[replicated]
    fn clear(&mut self) {
        self.text = "";
    }
}

fn main() {}
