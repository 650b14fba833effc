//! The limits and times of the room, with their defaults. What happens at each limit: the table in [`super`].

use super::outbox;
use std::time::Duration;

/// Limits and times. Checked by [`NetOptions::check`] when a [`Net`](super::Net) starts.
#[derive(Clone, Debug)]
pub(crate) struct NetOptions {
    /// Determines the jitter of the back-off.
    pub(crate) seed: u64,
    /// Largest message. A longer frame closes its connection.
    pub(crate) frame_bytes_max: usize,
    /// Largest frame of a handshake.
    pub(crate) handshake_bytes_max: usize,
    /// Longest handshake, counted from the TCP connection.
    pub(crate) handshake_ms_max: u64,
    /// Accepted connections within their handshake. At this number accepting pauses until one of them ends, or until the
    /// oldest has had `handshake_ms_min` and is closed: silent connections, however many, do not keep a good one out.
    pub(crate) handshakes_max: usize,
    /// Time that a connection has for its handshake however many others wait.
    pub(crate) handshake_ms_min: u64,
    /// Accepted connections whose handshake is done. One more is closed.
    pub(crate) accepted_max: usize,
    /// Longest attempt to connect, for each address that a name resolves to.
    pub(crate) connect_ms_max: u64,
    /// Span of the first wait between attempts.
    pub(crate) backoff_ms_min: u64,
    /// Longest span of a wait; also the span after a refusal.
    pub(crate) backoff_ms_max: u64,
    /// A connection that lasted this long resets the back-off.
    pub(crate) settled_ms_min: u64,
    /// If bytes are queued and TCP has accepted none for this long, the connection is closed.
    pub(crate) stall_ms_max: u64,
    /// Queued for one lane of one peer. At least one frame of `frame_bytes_max`.
    pub(crate) outbox_bytes_max: usize,
    /// Queued for one lane of one peer.
    pub(crate) outbox_frames_max: usize,
    /// Waiting for the driver, from all peers together.
    pub(crate) inbox_bytes_max: usize,
    /// Waiting for the driver, from one lane of one peer.
    pub(crate) receive_queue_bytes_max: usize,
    /// Silence after which TCP probes the other end. Whole seconds, at least one.
    pub(crate) keepalive_idle_s: u64,
    /// Time between probes. Whole seconds, at least one.
    pub(crate) keepalive_interval_s: u64,
    /// Unanswered probes after which TCP closes the connection.
    pub(crate) keepalive_probes: u32,
    /// If the other end's TCP has not acknowledged sent bytes for this long, TCP closes the connection. Only this
    /// detects a firewall that drops the connection's packets silently. Linux also counts the time in which the other
    /// end's window is closed: a second bound on stalls, besides `stall_ms_max`.
    pub(crate) user_timeout_ms: u32,
    /// How long a shutdown waits until queued messages are sent.
    pub(crate) flush_ms_max: u64,
}

impl Default for NetOptions {
    fn default() -> NetOptions {
        NetOptions {
            seed: 0,
            // A command of 32 MiB and its framing.
            frame_bytes_max: 33 * MIB,
            handshake_bytes_max: 4096,
            handshake_ms_max: 1000,
            // The driver lowers both where the process may open few files.
            handshakes_max: 256,
            handshake_ms_min: 20,
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
    /// The first rule that is broken, as text.
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

/// Milliseconds as a duration.
pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const MIB: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_a_broken_rule_is_named() {
        assert_eq!(NetOptions::default().check(), Ok(()));
        let options = NetOptions { outbox_bytes_max: MIB, ..NetOptions::default() };
        assert!(options.check().unwrap_err().contains("outbox_bytes_max"));
    }
}
