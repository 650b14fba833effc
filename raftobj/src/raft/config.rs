//! The options of the protocol.

use super::types::{NodeId, Term, Ticks};
use crate::hash::mix;

/// The options of the protocol. The builder has checked them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Config {
    /// This node.
    pub(crate) id: NodeId,
    /// Election timeouts are drawn from it, together with node, term and attempt.
    pub(crate) seed: u64,
    /// The time between two heartbeats of a leader.
    pub(crate) heartbeat_ticks: Ticks,
    /// The shortest election timeout. A node that has heard from a leader within it does not vote (thesis §4.2.3).
    pub(crate) election_ticks_min: Ticks,
    /// The longest election timeout. A leader that no quorum answers for this long steps down (thesis §6.2).
    pub(crate) election_ticks_max: Ticks,
    /// A leader whose disk completes no write for this long, while a majority of the others is ahead of it, steps down.
    pub(crate) disk_stall_ticks_max: Ticks,
    /// Payload bytes of one append, unless a single entry has more.
    pub(crate) append_bytes_max: usize,
    /// Appends in flight to one peer.
    pub(crate) window_messages_max: usize,
    /// Payload bytes in flight to one peer. The last append may exceed it.
    pub(crate) window_bytes_max: usize,
    /// Bytes that the log may hold in memory. A leader at this limit rejects proposals; a follower ignores appends
    /// beyond it.
    pub(crate) log_bytes_max: usize,
    /// Entries that were passed to apply and are not applied yet.
    pub(crate) apply_entries_max: u64,
    /// Milliseconds in a tick. Where a clock reading is refused, time advances by these.
    pub(crate) tick_ms: u64,
    /// A clock reading that is later than the one before by more than this is refused.
    pub(crate) clock_jump_ms_max: u64,
}

/// By how many times the duration of a write the span of election timeouts grows. With 4, two of three nodes whose disks
/// are equally slow campaign at the same time in less than half of the elections.
const SPAN_PER_PERSIST: u64 = 4;

/// A write that took more than this many of the longest election timeouts counts as if it had taken so long.
const PERSIST_TIMEOUTS_MAX: u64 = 4;

impl Config {
    /// §5.2: the randomised election timeout of the `attempt`-th campaign in `term`. A pure function, so that a run
    /// repeats.
    ///
    /// Timeouts must differ by more than the time in which a candidate's requests reach the others (§9.3), and those
    /// leave only when its vote is durable. So the timeouts of a node whose last write took `persist_ticks` to become
    /// durable are drawn from a longer span. Less than two ticks count as none: they are what a fast disk takes. A disk
    /// that hung for once must not delay elections for as long, so there is a limit.
    pub(crate) fn election_timeout(&self, term: Term, attempt: u64, persist_ticks: u64) -> Ticks {
        let persist_ticks_max = PERSIST_TIMEOUTS_MAX * self.election_ticks_max.0;
        let slow_disk = persist_ticks.min(persist_ticks_max).saturating_sub(1) * SPAN_PER_PERSIST;
        let span = self.election_ticks_max.0 - self.election_ticks_min.0 + 1 + slow_disk;
        let drawn = mix(mix(mix(self.seed, self.id.0), term.0), attempt);
        Ticks(self.election_ticks_min.0 + drawn % span)
    }
}
