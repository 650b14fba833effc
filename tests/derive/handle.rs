//! The handle: which methods a `Replica` has, and under what signature. The signatures are checked by compiling.

use raftobj::{ApplyContext, Call, Replica, replicated};

mod inner {
    use raftobj::replicated;

    #[replicated]
    #[derive(Default)]
    pub(super) struct Seen {
        count: u64,
    }

    #[replicated]
    impl Seen {
        #[replicated]
        pub(super) fn visible(&mut self) {
            self.private();
        }

        #[replicated]
        fn private(&mut self) {
            self.count += 1;
        }
    }

    /// A private method of the handle is private to the user's module, as the method itself is.
    pub(super) fn from_the_module(seen: &raftobj::Replica<Seen>) -> raftobj::Call<()> {
        seen.private()
    }
}

/// Answers for what the handle does not have: method lookup comes here only if the handle has none of the name.
trait Missing {
    fn first(&self) -> Gone {
        Gone
    }
    fn lent(&self) -> Gone {
        Gone
    }
    fn boxed(&self) -> Gone {
        Gone
    }
    fn iter(&self) -> Gone {
        Gone
    }
    fn left_out(&self) -> Gone {
        Gone
    }
    fn later(&self) -> Gone {
        Gone
    }
    fn unmarked(&self) -> Gone {
        Gone
    }
    fn with_context(&self) -> Gone {
        Gone
    }
}

struct Gone;

impl<H: raftobj::__private::Handle> Missing for H {}

#[replicated]
#[derive(Default)]
struct Names {
    names: Vec<String>,
}

#[replicated]
impl Names {
    #[replicated]
    fn add(&mut self, name: &str, _context: &ApplyContext, times: u8) -> bool {
        self.names.extend(std::iter::repeat_n(name.to_owned(), times.into()));
        true
    }

    #[replicated]
    fn core(&mut self, core: u8, argument_1: u8, (guard, _): (u8, u8)) -> u8 {
        core + argument_1 + guard
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn nth(&self, (n, _): (usize, u8), mut or: String) -> String {
        self.names.get(n).cloned().unwrap_or_else(|| {
            or.push('!');
            or
        })
    }

    fn first(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }

    fn lent<'a>(&'a self) -> std::slice::Iter<'a, String> {
        self.names.iter()
    }

    fn boxed(&self) -> Box<dyn std::fmt::Debug> {
        Box::new(self.names.len())
    }

    fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.names.len()
    }

    #[replicated(local = false)]
    fn left_out(&self) -> usize {
        self.names.len()
    }

    async fn later(&self) -> usize {
        self.names.len()
    }

    fn unmarked(&mut self) {
        self.names.clear();
    }

    fn with_context(&self, context: &ApplyContext) -> u64 {
        context.index().0
    }
}

fn signatures(names: &Replica<Names>, seen: &Replica<inner::Seen>) {
    let _: Call<bool> = names.add("a", 2);
    let _: Call<u8> = names.core(1, 2, (3, 4));
    let _: bool = names.is_empty();
    let _: String = names.nth((1, 2), String::new());
    // What a local read cannot be is not there; `Gone` is the trait's answer.
    let _: Gone = names.first();
    let _: Gone = names.lent();
    let _: Gone = names.boxed();
    let _: Gone = names.iter();
    let _: Gone = names.left_out();
    let _: Gone = names.later();
    let _: Gone = names.unmarked();
    let _: Gone = names.with_context();
    let _: Call<()> = seen.visible();
    let _: Call<()> = inner::from_the_module(seen);
}

/// If it fails: the block is not what its author wrote.
#[test]
fn the_block_stays_as_it_was_written() {
    let _ = signatures;
    let mut names = Names::default();
    assert!(names.add("a", &ApplyContext::for_test(3, 1, 1), 2));
    assert_eq!(names.core(1, 2, (3, 4)), 6);
    assert!(!names.is_empty());
    assert_eq!(
        (names.first(), names.lent().len(), names.iter().count(), names.left_out()),
        (Some("a"), 2, 2, 2)
    );
    assert_eq!(
        (names.nth((5, 0), "none".to_owned()).as_str(), format!("{:?}", names.boxed()).as_str()),
        ("none!", "2")
    );
    assert_eq!(names.with_context(&ApplyContext::for_test(3, 1, 1)), 3);
    drop(names.later());
    names.unmarked();
    assert_eq!(names.first(), None);
    inner::Seen::default().visible();
}

/// If it fails: an object cannot live in a function, as examples and tests have it.
#[test]
fn an_object_can_be_declared_in_a_function() {
    #[replicated]
    struct Local(u8);

    #[replicated]
    impl Local {
        #[replicated]
        fn add(&mut self, by: u8) -> u8 {
            self.0 += by;
            self.0
        }
    }

    assert_eq!(Local(1).add(2), 3);
    assert_eq!(<Local as raftobj::Object>::METHODS.len(), 1);
}
