//! The clock for the time that a leader puts into entries.

use super::types::Time;
use crate::marks::mark;

/// The machine's clock, without its jumps.
///
/// A jump forward by more than a bound between two ticks is refused: this clock then advances by the length of a tick.
/// After a jump back it stands still, because the time of an entry is never before that of the entry ahead of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    now: Time,
    /// The last reading of the machine's clock, accepted or refused; zero before the first.
    reading: Time,
    refused: u64,
}

impl Clock {
    /// A clock whose last reading was this; zero if there was none.
    pub(crate) fn at(reading: Time) -> Clock {
        Clock { now: reading, reading, refused: 0 }
    }

    /// A tick has passed, and the machine's clock shows `reading`. Returns false for a jump that is refused.
    pub(crate) fn tick(&mut self, reading: Time, tick_ms: u64, jump_ms_max: u64) -> bool {
        let first = self.reading == Time(0);
        let step = reading.0.saturating_sub(self.reading.0);
        self.reading = reading;
        if first {
            self.now = reading;
            return true;
        }
        let accepted = step <= jump_ms_max;
        mark!(ClockJumpRefused if !accepted);
        self.refused += u64::from(!accepted);
        self.now.0 += if accepted { step } else { tick_ms };
        accepted
    }

    /// The time to put into an entry.
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
    fn a_jump_forward_is_refused_and_the_clock_advances_by_ticks() {
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
    fn after_a_jump_back_the_clock_stands_still() {
        let mut clock = Clock::default();
        clock.tick(Time(1_000), 10, 500);
        clock.tick(Time(400), 10, 500);
        assert_eq!(clock.now(), Time(1_000));
        clock.tick(Time(410), 10, 500);
        assert_eq!(clock.now(), Time(1_010));
    }
}
