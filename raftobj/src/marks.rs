//! Counters of rare events: what a run of random schedules has really reached.
//!
//! A branch that no schedule enters is not tested by any number of them. So each branch that is there for a rare
//! event says [`mark!`] with a name, a run counts them, and a name that stays at zero is a hole in the faults.
//!
//! Marks exist in tests and under the feature `sim`. In any other build the macro is empty: neither the counters nor
//! the conditions that it is given are compiled. It may not know who counts, and no room may act on a count.
//!
//! Begin with [`Mark`], then [`Counts`].

/// Counts a rare event: `mark!(TailOverwritten)`, or where it is one only under a condition,
/// `mark!(TailOverwritten if cut.is_some())`. The condition must have no effect: elsewhere it is not evaluated.
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
