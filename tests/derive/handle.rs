//! Tests of the handle: which methods a `Replica` has, and their signatures, which compiling checks.

use raftobj::{ApplyContext, Call, Replica, replicated};

mod inner {
    use raftobj::replicated;

    #[replicated]
    #[derive(Default)]
    pub(super) struct Counted {
        count: u64,
    }

    #[replicated]
    impl Counted {
        #[replicated]
        pub(super) fn visible(&mut self) {
            self.private();
        }

        #[replicated]
        fn private(&mut self) {
            self.count += 1;
        }
    }

    /// A private method is private to this module on the handle too.
    pub(super) fn from_the_module(counted: &raftobj::Replica<Counted>) -> raftobj::Call<()> {
        counted.private()
    }
}

/// Method lookup finds these only if the handle has no method of the name.
trait NotOnHandle {
    fn first(&self) -> Absent {
        Absent
    }
    fn by_lifetime(&self) -> Absent {
        Absent
    }
    fn boxed(&self) -> Absent {
        Absent
    }
    fn iter(&self) -> Absent {
        Absent
    }
    fn excluded(&self) -> Absent {
        Absent
    }
    fn asynchronous(&self) -> Absent {
        Absent
    }
    fn unmarked(&self) -> Absent {
        Absent
    }
    fn with_context(&self) -> Absent {
        Absent
    }
}

struct Absent;

impl<H: raftobj::__private::Handle> NotOnHandle for H {}

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

    fn by_lifetime<'a>(&'a self) -> std::slice::Iter<'a, String> {
        self.names.iter()
    }

    fn boxed(&self) -> Box<dyn std::fmt::Debug> {
        Box::new(self.names.len())
    }

    fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.names.len()
    }

    #[replicated(local = false)]
    fn excluded(&self) -> usize {
        self.names.len()
    }

    async fn asynchronous(&self) -> usize {
        self.names.len()
    }

    fn unmarked(&mut self) {
        self.names.clear();
    }

    fn with_context(&self, context: &ApplyContext) -> u64 {
        context.index().0
    }
}

fn signatures(names: &Replica<Names>, counted: &Replica<inner::Counted>) {
    let _: Call<bool> = names.add("a", 2);
    let _: Call<u8> = names.core(1, 2, (3, 4));
    let _: bool = names.is_empty();
    let _: String = names.nth((1, 2), String::new());
    // These cannot be local reads, so the trait's methods are found.
    let _: Absent = names.first();
    let _: Absent = names.by_lifetime();
    let _: Absent = names.boxed();
    let _: Absent = names.iter();
    let _: Absent = names.excluded();
    let _: Absent = names.asynchronous();
    let _: Absent = names.unmarked();
    let _: Absent = names.with_context();
    let _: Call<()> = counted.visible();
    let _: Call<()> = inner::from_the_module(counted);
}

/// If it fails: the attribute changes the user's own methods.
#[test]
fn the_block_stays_unchanged() {
    let _ = signatures;
    let mut names = Names::default();
    assert!(names.add("a", &ApplyContext::for_test(3, 1, 1), 2));
    assert_eq!(names.core(1, 2, (3, 4)), 6);
    assert!(!names.is_empty());
    assert_eq!(
        (names.first(), names.by_lifetime().len(), names.iter().count(), names.excluded()),
        (Some("a"), 2, 2, 2)
    );
    assert_eq!(
        (names.nth((5, 0), "none".to_owned()).as_str(), format!("{:?}", names.boxed()).as_str()),
        ("none!", "2")
    );
    assert_eq!(names.with_context(&ApplyContext::for_test(3, 1, 1)), 3);
    drop(names.asynchronous());
    names.unmarked();
    assert_eq!(names.first(), None);
    inner::Counted::default().visible();
}

/// If it fails: an object cannot be declared in a function, as examples and tests do.
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
