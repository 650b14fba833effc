//! Logs each warning once: a peer that connects a thousand times must not fill the log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Remembers the topics of the warnings that were logged. Bounded: a full set is cleared, at most once a minute;
/// until then new topics are not logged.
#[derive(Debug, Default)]
pub(super) struct WarnOnce {
    warned: BTreeSet<String>,
    cleared_at: Option<Instant>,
}

impl WarnOnce {
    /// Whether to log a warning with this topic. Remembers it if so.
    pub(super) fn should_warn(&mut self, topic: &str, now: Instant) -> bool {
        if self.warned.contains(topic) {
            return false;
        }
        if self.warned.len() >= TOPICS_MAX {
            if self.cleared_at.is_some_and(|then| now.duration_since(then) < CLEAR_INTERVAL_MIN) {
                return false;
            }
            self.warned.clear();
            self.cleared_at = Some(now);
        }
        self.warned.insert(topic.to_string());
        true
    }

    /// The fault is over: if it returns, it is logged again.
    pub(super) fn reset(&mut self) {
        self.warned.clear();
    }
}

const TOPICS_MAX: usize = 64;
const CLEAR_INTERVAL_MIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_is_logged_once_and_a_flood_is_cut() {
        let mut warnings = WarnOnce::default();
        let now = Instant::now();
        assert!(warnings.should_warn("refused", now));
        assert!(!warnings.should_warn("refused", now));
        let logged = (0..10_000).filter(|i| warnings.should_warn(&format!("refused {i}"), now)).count();
        assert!(logged < 2 * TOPICS_MAX, "{logged} of a flood");
        assert!(warnings.should_warn("later", now + CLEAR_INTERVAL_MIN));
        warnings.reset();
        assert!(warnings.should_warn("refused", now));
    }
}
