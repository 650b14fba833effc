//! Bugs put in on purpose: how the checks prove that they would find one.
//!
//! A switch is a condition at the place where the bug would be: `if planted!(CommitByCounting) || …`. In the crate's
//! own tests it reads a switch of this thread; in every other build, the feature `sim` included, it is the literal
//! `false`, and nothing of it is compiled. What only the bug asks is asked inside the macro, so that no mutation of it
//! is taken for one of ours.
//!
//! It may not know what the rooms do with it. Begin with `Bug` in `planted/bugs.rs`.

/// Whether a planted bug is switched on, or one of several: `planted!(First | Second)`; and where it is one only under
/// a condition, `planted!(First if next > last)`.
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
