//! The clock that a leader stamps entries with.

use super::types::Time;
use crate::marks::mark;

/// The machine's clock, as far as it is believed.
///
/// A jump forward by more than a bound between two ticks is refused: the clock then goes on at the pace of
/// the ticks. A jump back only stands still, because an entry is never stamped before the one ahead of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    now: Time,
    /// What was last told, believed or not; zero before the first.
    told: Time,
    refused: u64,
}

impl Clock {
    /// A clock that was told this before; zero where it was told nothing.
    pub(crate) fn at(told: Time) -> Clock {
        Clock { now: told, told, refused: 0 }
    }

    /// A tick passed, and the machine says it is `told`. Returns false for a jump that is refused.
    pub(crate) fn tick(&mut self, told: Time, tick_ms: u64, jump_ms_max: u64) -> bool {
        let first = self.told == Time(0);
        let step = told.0.saturating_sub(self.told.0);
        self.told = told;
        if first {
            self.now = told;
            return true;
        }
        let believed = step <= jump_ms_max;
        mark!(ClockJumpRefused if !believed);
        self.refused += u64::from(!believed);
        self.now.0 += if believed { step } else { tick_ms };
        believed
    }

    /// The time to stamp.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// How many jumps were refused since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_forward_is_refused_and_the_clock_goes_on_by_ticks() {
        let mut clock = Clock::default();
        assert!(clock.tick(Time(1_000), 10, 500));
        assert!(clock.tick(Time(1_012), 10, 500));
        assert_eq!(clock.refused(), 0);
        assert!(!clock.tick(Time(9_000), 10, 500));
        assert_eq!((clock.now(), clock.refused()), (Time(1_022), 1));
        assert!(clock.tick(Time(9_010), 10, 500));
        assert_eq!((clock.now(), clock.refused()), (Time(1_032), 1));
    }

    #[test]
    fn a_jump_back_stands_still() {
        let mut clock = Clock::default();
        clock.tick(Time(1_000), 10, 500);
        clock.tick(Time(400), 10, 500);
        assert_eq!(clock.now(), Time(1_000));
        clock.tick(Time(410), 10, 500);
        assert_eq!(clock.now(), Time(1_010));
    }
}
