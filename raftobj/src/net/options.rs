//! The limits and times of the room, each with its default.

use super::outbox;
use std::time::Duration;

/// Limits and times. Checked by [`NetOptions::check`] when a [`Net`](super::Net) starts.
#[derive(Clone, Debug)]
pub(crate) struct NetOptions {
    /// Decides the jitter of the back-off.
    pub(crate) seed: u64,
    /// Largest message. A longer frame closes the connection it comes on.
    pub(crate) frame_bytes_max: usize,
    /// Largest frame before a connection is accepted by both ends.
    pub(crate) handshake_bytes_max: usize,
    /// From an established connection to one that both ends accepted.
    pub(crate) handshake_ms_max: u64,
    /// Accepted connections within their handshake; one more closes the oldest of them, so that silent
    /// connections, however many, do not keep a good one out.
    pub(crate) handshakes_max: usize,
    /// Accepted connections whose handshake is done; one more is closed.
    pub(crate) accepted_max: usize,
    /// For each address that a name resolves to.
    pub(crate) connect_ms_max: u64,
    /// Span of the first wait between attempts.
    pub(crate) backoff_ms_min: u64,
    /// Longest span of a wait; also the wait after a refusal.
    pub(crate) backoff_ms_max: u64,
    /// A connection that lived so long was a good one: the back-off begins anew.
    pub(crate) settled_ms_min: u64,
    /// Bytes that wait and none accepted by TCP for so long: the connection is given up.
    pub(crate) stall_ms_max: u64,
    /// Queued for one lane of one peer. At least one largest frame.
    pub(crate) outbox_bytes_max: usize,
    /// Queued for one lane of one peer.
    pub(crate) outbox_frames_max: usize,
    /// Waiting for the driver, from all peers together.
    pub(crate) inbox_bytes_max: usize,
    /// Waiting for the driver, from one lane of one peer.
    pub(crate) receive_queue_bytes_max: usize,
    /// Silence after which TCP probes the other end. Whole seconds, at least one.
    pub(crate) keepalive_idle_s: u64,
    /// Between probes. Whole seconds, at least one.
    pub(crate) keepalive_interval_s: u64,
    /// Unanswered probes after which the connection is dead.
    pub(crate) keepalive_probes: u32,
    /// Bytes that the other end's TCP has not acknowledged for so long: the connection is dead. A firewall that
    /// swallowed the flow shows only here. Linux counts the time in which the other end takes nothing, too: a
    /// bound on stalls besides `stall_ms_max`.
    pub(crate) user_timeout_ms: u32,
    /// What a shutdown waits for queued messages to go out.
    pub(crate) flush_ms_max: u64,
}

impl Default for NetOptions {
    fn default() -> NetOptions {
        NetOptions {
            seed: 0,
            // A command of 32 MiB, and what surrounds it.
            frame_bytes_max: 33 * MIB,
            handshake_bytes_max: 4096,
            handshake_ms_max: 1000,
            // Together below 1,024 descriptors, the usual limit of a process, with room for its files.
            handshakes_max: 256,
            accepted_max: 512,
            connect_ms_max: 1000,
            backoff_ms_min: 20,
            backoff_ms_max: 1000,
            settled_ms_min: 1000,
            stall_ms_max: 2000,
            outbox_bytes_max: 64 * MIB,
            outbox_frames_max: 65_536,
            inbox_bytes_max: 64 * MIB,
            receive_queue_bytes_max: 8 * MIB,
            keepalive_idle_s: 5,
            keepalive_interval_s: 1,
            keepalive_probes: 3,
            user_timeout_ms: 2000,
            flush_ms_max: 100,
        }
    }
}

impl NetOptions {
    /// The first rule that is broken, in words.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let rules = [
            (self.frame_bytes_max >= 1, "frame_bytes_max must be at least 1"),
            (self.frame_bytes_max < u32::MAX as usize, "frame_bytes_max must be below 4 GiB"),
            (self.handshake_bytes_max >= 64, "handshake_bytes_max must be at least 64"),
            (self.handshakes_max >= 1, "handshakes_max must be at least 1"),
            (self.backoff_ms_min >= 1, "backoff_ms_min must be at least 1"),
            (self.backoff_ms_min <= self.backoff_ms_max, "backoff_ms_min must not exceed backoff_ms_max"),
            (
                self.outbox_bytes_max >= self.frame_bytes_max.saturating_add(super::frame::HEADER_BYTES),
                "outbox_bytes_max must hold a frame of frame_bytes_max",
            ),
            (self.keepalive_idle_s >= 1, "keepalive_idle_s must be at least 1"),
            (self.keepalive_interval_s >= 1, "keepalive_interval_s must be at least 1"),
            (self.keepalive_probes >= 1, "keepalive_probes must be at least 1"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(rule))
    }

    pub(super) fn outbox_limits(&self) -> outbox::OutboxLimits {
        outbox::OutboxLimits {
            frame_bytes_max: self.frame_bytes_max,
            bytes_max: self.outbox_bytes_max,
            frames_max: self.outbox_frames_max,
        }
    }
}

/// A count of milliseconds as a duration.
pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const MIB: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_broken_rules_are_named() {
        assert_eq!(NetOptions::default().check(), Ok(()));
        let options = NetOptions { outbox_bytes_max: MIB, ..NetOptions::default() };
        assert!(options.check().unwrap_err().contains("outbox_bytes_max"));
    }
}
