//! A broken rule, and how it stops a run.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// A rule that a run has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The rule, in a few words. Shrinking keeps schedules that break the same rule.
    pub(crate) rule: String,
    /// What was observed.
    pub(crate) observed: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.observed)
    }
}

impl Violation {
    /// Ends the run by unwinding to [`catch_violation`].
    pub(crate) fn raise(rule: &str, observed: String) -> ! {
        // Not `panic!`, which would print: shrinking raises violations many times.
        panic::resume_unwind(Box::new(Violation { rule: rule.to_owned(), observed }))
    }
}

/// Raises a [`Violation`] of a rule if the condition is false.
macro_rules! ensure {
    ($condition:expr, $rule:expr, $($what:tt)+) => {
        if !$condition {
            $crate::sim::violation::Violation::raise($rule, format!($($what)+))
        }
    };
}
pub(crate) use ensure;

thread_local! {
    /// Whether panics on this thread are recorded instead of printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The place of the last recorded panic.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `run`, and returns a raised violation, or a panic of the simulated code, as an error.
///
/// Meanwhile panics on this thread print nothing: users' methods may panic thousands of times in a run.
pub(crate) fn catch_violation<V>(run: impl FnOnce() -> V) -> Result<V, Violation> {
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
            let observed = text.unwrap_or_else(|| "a panic without a text".to_owned());
            Violation { rule: format!("an assertion at {place}"), observed }
        }
    }
}
