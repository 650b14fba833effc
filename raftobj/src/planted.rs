//! Planted bugs: bugs put in on purpose, to prove that the checks would find them.
//!
//! A switch is a condition where the bug would be: `if planted!(CommitByCounting) || …`. In the crate's own tests it reads
//! a switch of this thread; in every other build, also with the feature `sim`, it is the literal `false`. A condition that
//! belongs to the bug only is written inside the macro, so that mutation tests do not change it.
//!
//! Begin with `Bug` in `planted/bugs.rs`.

/// Whether a planted bug is switched on, or one of several: `planted!(First | Second)`, or under a condition:
/// `planted!(First if next > last)`.
#[cfg(test)]
macro_rules! planted {
    ($bug:ident if $condition:expr) => {
        $crate::planted::is($crate::planted::Bug::$bug) && ($condition)
    };
    ($($bug:ident)|+) => {
        ($($crate::planted::is($crate::planted::Bug::$bug))||+)
    };
}

#[cfg(not(test))]
macro_rules! planted {
    ($bug:ident if $condition:expr) => {
        false
    };
    ($($bug:ident)|+) => {
        false
    };
}

pub(crate) use planted;

#[cfg(test)]
pub(crate) use bugs::*;

#[cfg(test)]
mod bugs;
