use raftobj::replicated;

#[replicated]
#[derive(Default)]
struct Counter {
    count: u64,
}

#[replicated]
impl Counter {
    #[replicated]
    fn count_words(&mut self, words: Vec<&str>) {
        self.count += words.len() as u64;
    }

    #[replicated]
    fn count_text(&mut self, text: std::borrow::Cow<'_, str>) {
        self.count += text.len() as u64;
    }
}

fn main() {}
