//! Which warnings were given already: whoever connects a thousand times fills no log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Remembers what was said, so that each is said once. Bounded: when it is full it is forgotten, at most once a
/// minute; until then what is new is not said either.
#[derive(Debug, Default)]
pub(super) struct WarnOnce {
    said: BTreeSet<String>,
    forgotten: Option<Instant>,
}

impl WarnOnce {
    /// Whether this is to be said now.
    pub(super) fn is_new(&mut self, warning: &str, now: Instant) -> bool {
        if self.said.contains(warning) {
            return false;
        }
        if self.said.len() >= SAID_MAX {
            if self.forgotten.is_some_and(|then| now.duration_since(then) < FORGET_AFTER) {
                return false;
            }
            self.said.clear();
            self.forgotten = Some(now);
        }
        self.said.insert(warning.to_string());
        true
    }

    /// Things are well: the same trouble is worth a word when it comes back.
    pub(super) fn forget(&mut self) {
        self.said.clear();
    }
}

const SAID_MAX: usize = 64;
const FORGET_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_once_and_a_flood_is_cut() {
        let mut warnings = WarnOnce::default();
        let now = Instant::now();
        assert!(warnings.is_new("garbage", now));
        assert!(!warnings.is_new("garbage", now));
        let said = (0..10_000).filter(|i| warnings.is_new(&format!("garbage {i}"), now)).count();
        assert!(said < 2 * SAID_MAX, "{said} of a flood");
        assert!(warnings.is_new("later", now + FORGET_AFTER));
        warnings.forget();
        assert!(warnings.is_new("garbage", now));
    }
}
