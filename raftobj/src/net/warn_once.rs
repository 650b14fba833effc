//! Which warnings were given already: whoever connects a thousand times fills no log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Remembers what was warned, so that each is said once. Bounded: when it is full it is forgotten, at most once a
/// minute; until then what is new is not said either.
#[derive(Debug, Default)]
pub(super) struct WarnOnce {
    warned: BTreeSet<String>,
    reset_at: Option<Instant>,
}

impl WarnOnce {
    /// Whether this is to be said now.
    pub(super) fn should_warn(&mut self, warning: &str, now: Instant) -> bool {
        if self.warned.contains(warning) {
            return false;
        }
        if self.warned.len() >= WARNED_MAX {
            if self.reset_at.is_some_and(|then| now.duration_since(then) < RESET_AFTER) {
                return false;
            }
            self.warned.clear();
            self.reset_at = Some(now);
        }
        self.warned.insert(warning.to_string());
        true
    }

    /// Things are well: the same trouble is worth a word when it comes back.
    pub(super) fn reset(&mut self) {
        self.warned.clear();
    }
}

const WARNED_MAX: usize = 64;
const RESET_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_once_and_a_flood_is_cut() {
        let mut warnings = WarnOnce::default();
        let now = Instant::now();
        assert!(warnings.should_warn("garbage", now));
        assert!(!warnings.should_warn("garbage", now));
        let said = (0..10_000).filter(|i| warnings.should_warn(&format!("garbage {i}"), now)).count();
        assert!(said < 2 * WARNED_MAX, "{said} of a flood");
        assert!(warnings.should_warn("later", now + RESET_AFTER));
        warnings.reset();
        assert!(warnings.should_warn("garbage", now));
    }
}
