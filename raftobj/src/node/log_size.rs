//! Warns before the log is full: a leader then refuses calls, and a follower takes no more entries.

/// How full the log was when a warning was written.
#[derive(Clone, Debug, Default)]
pub(super) struct LogSizeWatch {
    /// The highest of [`LEVELS_PERCENT`] that the log has reached; zero below all.
    level: usize,
}

/// A level is warned of once, until the log falls below it.
const LEVELS_PERCENT: [usize; 3] = [80, 95, 100];

impl LogSizeWatch {
    /// A warning, if the log has reached another level.
    pub(super) fn check(&mut self, bytes: usize, bytes_max: usize) -> Option<String> {
        let is_reached = |percent: &usize| bytes as u128 * 100 >= bytes_max as u128 * *percent as u128;
        let level = LEVELS_PERCENT.into_iter().rfind(is_reached).unwrap_or(0);
        let before = std::mem::replace(&mut self.level, level);
        if level <= before {
            return None;
        }
        let consequence = match level {
            100 => "as a leader this node refuses calls, and as a follower it soon takes no more entries",
            _ => "at the limit it is full, and calls are refused",
        };
        Some(format!(
            "the log holds {bytes} bytes, {level} % of log_bytes_max ({bytes_max}): {consequence}; raise log_bytes_max \
             and restart the nodes one after the other"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Breaks: a cluster stops to take calls without a word before; or its log is flooded with warnings.
    #[test]
    fn each_level_is_warned_of_once_until_the_log_falls_below_it() {
        let mut watch = LogSizeWatch::default();
        let mut warned = |bytes| {
            let warning: Option<String> = watch.check(bytes, 1_000);
            assert!(warning.iter().all(|text| text.contains("raise log_bytes_max")), "{warning:?}");
            let percent =
                |level: &&usize| warning.as_ref().is_some_and(|text| text.contains(&format!(" {level} %")));
            LEVELS_PERCENT.iter().find(percent).copied()
        };
        let expected = [
            (799, None),
            (800, Some(80)),
            (949, None),
            (950, Some(95)),
            (999, None),
            (1_000, Some(100)),
            (1_200, None),
            (960, None),
            (1_000, Some(100)),
            (0, None),
            (990, Some(95)),
        ];
        for (bytes, level) in expected {
            assert_eq!(warned(bytes), level, "at {bytes}");
        }
        assert_eq!(
            LogSizeWatch::default().check(usize::MAX - 1, usize::MAX).map(|text| text.contains(" 95 %")),
            Some(true)
        );
    }
}
