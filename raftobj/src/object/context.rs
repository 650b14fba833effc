//! The context of a replicated method: index, term, time, random numbers.

use crate::hash::{mix, splitmix64};
use crate::raft::types::{Index, Term, Time};
use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// Inputs of a replicated method beside its arguments: index, term, time and random numbers, the same on every replica.
///
/// A method takes it as `&ApplyContext`, at any position; its callers do not pass it.
#[derive(Debug)]
pub struct ApplyContext {
    index: Index,
    term: Term,
    time: Time,
    random: Cell<u64>,
}

impl ApplyContext {
    /// A context for unit tests of a user's methods.
    pub fn for_test(index: u64, term: u64, unix_ms: u64) -> ApplyContext {
        ApplyContext::new(Index(index), Term(term), Time(unix_ms))
    }

    pub(crate) fn new(index: Index, term: Term, time: Time) -> ApplyContext {
        let seed = mix(mix(mix(0, index.0), term.0), time.0);
        ApplyContext { index, term, time, random: Cell::new(seed) }
    }

    /// The log index of the call.
    pub fn index(&self) -> Index {
        self.index
    }

    /// The term of the leader that accepted the call.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The leader's clock when it accepted the call; never earlier than that of an earlier entry. Use this in a
    /// replicated method, never the clock of the machine.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.time.0)
    }

    /// The next number of a generator that is seeded by the entry (SplitMix64): equal on every replica, not secret.
    pub fn random_u64(&self) -> u64 {
        let mut state = self.random.get();
        let number = splitmix64(&mut state);
        self.random.set(state);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Breaks: two versions of this code get different random numbers for one entry, and their replicas diverge.
    #[test]
    fn a_context_is_a_function_of_its_entry() {
        let context = ApplyContext::for_test(7, 3, 1_500);
        assert_eq!((context.index(), context.term()), (Index(7), Term(3)));
        assert_eq!(context.now(), SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
        let drawn = [context.random_u64(), context.random_u64()];
        assert_eq!(
            drawn,
            [14_718_265_124_126_511_127, 4_047_113_138_491_402_062],
            "replicas depend on these numbers: a change is a change of the format"
        );
        assert_ne!(ApplyContext::for_test(8, 3, 1_500).random_u64(), drawn[0]);
    }
}
