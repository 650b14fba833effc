//! The protocol's options.

use super::types::{NodeId, Ticks};

/// The protocol's options; checked by the builder that the user fills in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Config {
    /// This node.
    pub(crate) id: NodeId,
    /// Election timeouts are drawn from it, together with node, term and attempt.
    pub(crate) seed: u64,
    /// A leader's heartbeats are this far apart.
    pub(crate) heartbeat_ticks: Ticks,
    /// The shortest election timeout; also how long a heard leader protects itself (thesis §4.2.3).
    pub(crate) election_ticks_min: Ticks,
    /// The longest election timeout; a leader without a quorum for this long steps down.
    pub(crate) election_ticks_max: Ticks,
    /// Payload bytes of one append, unless a single entry has more.
    pub(crate) append_bytes_max: usize,
    /// Appends on their way to one peer.
    pub(crate) window_messages_max: usize,
    /// Payload bytes on their way to one peer; one append may pass it.
    pub(crate) window_bytes_max: usize,
    /// Bytes of the log in memory, by what its buffers hold. A leader at it accepts no proposal; a follower
    /// takes no append beyond it.
    pub(crate) log_bytes_max: usize,
    /// Entries handed out to be applied and not applied yet.
    pub(crate) apply_entries_max: u64,
    /// Milliseconds in a tick: a clock that is refused goes on by these.
    pub(crate) tick_ms: u64,
    /// A leader's clock that goes forward by more than this between two ticks is refused.
    pub(crate) clock_jump_ms_max: u64,
}

impl Config {
    /// The election timeout of the `attempt`-th campaign in `term`: a pure function, so that a run repeats.
    pub(crate) fn election_timeout(&self, term: super::types::Term, attempt: u64) -> Ticks {
        use crate::hash::mix;
        let span = self.election_ticks_max.0 - self.election_ticks_min.0 + 1;
        let drawn = mix(mix(mix(self.seed, self.id.0), term.0), attempt);
        Ticks(self.election_ticks_min.0 + drawn % span)
    }
}
