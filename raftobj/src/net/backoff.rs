//! How long to wait before the next attempt.
//!
//! Pure: the jitter comes from a seed. It may not know clocks, nor what is attempted.

use crate::hash::splitmix64;
use std::time::Duration;

/// Jittered exponential back-off: each wait is drawn from the upper half of a span that doubles from `min` to `max`.
/// The jitter keeps peers that lost the same node from returning in step.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    span: Duration,
    random: u64,
}

impl Backoff {
    /// The same seed gives the same waits.
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Backoff {
        assert!(min <= max, "a back-off from {min:?} to {max:?}");
        Backoff { min, max, span: min, random: seed }
    }

    /// The wait before the next attempt; the one after it is longer.
    pub(crate) fn next(&mut self) -> Duration {
        let span = self.span;
        self.span = self.max.min(span * 2);
        self.jitter(span)
    }

    /// The longest wait, jittered: after a refusal.
    pub(crate) fn longest(&mut self) -> Duration {
        self.jitter(self.max)
    }

    /// The attempt succeeded: the next wait is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.span = self.min;
    }

    fn jitter(&mut self, span: Duration) -> Duration {
        let half = span / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(splitmix64(&mut self.random) % nanos.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(20);
    const MAX: Duration = Duration::from_millis(1000);

    #[test]
    fn waits_double_up_to_the_maximum_until_reset() {
        let mut backoff = Backoff::new(MIN, MAX, 7);
        for _ in 0..2 {
            let mut span = MIN;
            for _ in 0..12 {
                let wait = backoff.next();
                assert!(wait >= span / 2 && wait <= span, "{wait:?} of {span:?}");
                span = MAX.min(span * 2);
            }
            let wait = backoff.longest();
            assert!(wait >= MAX / 2 && wait <= MAX, "{wait:?}");
            backoff.reset();
        }
    }

    #[test]
    fn the_seed_decides_the_jitter() {
        let waits = |seed| {
            let mut backoff = Backoff::new(MIN, MAX, seed);
            (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
