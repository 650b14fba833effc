//! Counters of rare events: they show which branches a run of random schedules has reached.
//!
//! A branch that no schedule enters is not tested. So each branch for a rare event contains a [`mark!`] with a name, a run
//! counts the marks, and a mark that stays at zero shows that a fault is missing from the schedules.
//!
//! Marks exist in tests and under the feature `sim`. In any other build the macro is empty: neither the counters nor the
//! conditions are compiled. No code may act on a count.
//!
//! Begin with [`Mark`], then [`Counts`].

/// Counts a rare event: `mark!(TailOverwritten)`, or under a condition, `mark!(TailOverwritten if cut.is_some())`. The
/// condition must have no side effect: in other builds it is not evaluated.
#[cfg(any(test, feature = "sim"))]
macro_rules! mark {
    ($mark:ident) => {
        $crate::marks::hit($crate::marks::Mark::$mark)
    };
    ($mark:ident if $condition:expr) => {
        if $condition {
            $crate::marks::hit($crate::marks::Mark::$mark)
        }
    };
}

#[cfg(not(any(test, feature = "sim")))]
macro_rules! mark {
    ($mark:ident) => {{}};
    ($mark:ident if $condition:expr) => {{}};
}

pub(crate) use mark;

#[cfg(any(test, feature = "sim"))]
pub(crate) use counted::*;

#[cfg(any(test, feature = "sim"))]
mod counted;
