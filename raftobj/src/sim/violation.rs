//! What a check says when something is wrong, and how a run is stopped by it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Something that must never happen, and happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The rule, in a few words: what stays the same while a schedule is shrunk.
    pub(crate) rule: String,
    /// What was seen.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

impl Violation {
    /// Ends the run from wherever it is. [`caught`] gets it.
    pub(crate) fn raise(rule: &str, what: String) -> ! {
        // Not `panic!`: nothing is to be printed yet, and shrinking raises it many times.
        panic::resume_unwind(Box::new(Violation { rule: rule.to_owned(), what }))
    }
}

/// Raises a [`Violation`] of a rule unless the condition holds.
macro_rules! hold {
    ($condition:expr, $rule:expr, $($what:tt)+) => {
        if !$condition {
            $crate::sim::violation::Violation::raise($rule, format!($($what)+))
        }
    };
}
pub(crate) use hold;

thread_local! {
    /// Whether panics of this thread are kept for the report rather than printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Where the last of them was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `run`, and turns a raised violation, or a failed assertion of the code that is simulated, into an error.
///
/// Panics of this thread print nothing meanwhile: users' methods may panic thousands of times in a run.
pub(crate) fn caught<V>(run: impl FnOnce() -> V) -> Result<V, Violation> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
                PLACE.set(place.unwrap_or_default());
            } else {
                before(info);
            }
        }));
    });
    let was_quiet = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(was_quiet);
    result.map_err(violation)
}

fn violation(panic: Box<dyn Any + Send>) -> Violation {
    match panic.downcast::<Violation>() {
        Ok(violation) => *violation,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&'static str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let place = PLACE.take();
            let what = text.unwrap_or_else(|| "a panic without a text".to_owned());
            Violation { rule: format!("an assertion at {place}"), what }
        }
    }
}
