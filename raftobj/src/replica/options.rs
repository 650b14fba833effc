//! The options of a node, with units and defaults.

use crate::codec::command::COMMAND_OVERHEAD_MAX;
use crate::object::machine::OnPanic;
use crate::object::sessions::SESSION_CALLS_MAX;
use std::time::Duration;

/// The options of a node. The defaults suit a local network. All nodes of a cluster should have the same options.
///
/// ```
/// let mut options = raftobj::Options::default();
/// options.election_timeout_ms_min = 1_000;
/// options.election_timeout_ms_max = 2_000;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The unit of time of the engine, in milliseconds. Default 10.
    pub tick_ms: u64,
    /// The interval of a leader's heartbeats, in milliseconds. Default 50.
    pub heartbeat_interval_ms: u64,
    /// The shortest election timeout, in milliseconds. Default 250.
    pub election_timeout_ms_min: u64,
    /// The longest election timeout, in milliseconds. Default 500.
    pub election_timeout_ms_max: u64,
    /// A leader whose disk completes no write for this time, in milliseconds, while a majority of the others is ahead of it,
    /// stops leading. Default 2,000.
    pub disk_stall_ms_max: u64,
    /// A call or a read that has no outcome after this time ends with an error. Default 5 seconds.
    pub call_deadline: Duration,
    /// The largest command, encoded, in bytes. Default 32 MiB.
    pub command_bytes_max: usize,
    /// The largest reply, encoded, in bytes. Default 32 MiB. A larger reply is dropped: its call ends with
    /// [`CallError::Applied`](crate::CallError::Applied).
    pub reply_bytes_max: usize,
    /// Limit of the log in memory, in bytes. A leader whose log has reached it refuses calls. A node warns at 80, 95 and
    /// 100 percent. Give all nodes the same limit, one after the other: the smallest log is full first. Default 1 GiB.
    pub log_bytes_max: usize,
    /// Limit of the calls of this node that were sent to a leader and have no outcome yet. Default 8,192.
    pub in_flight_calls_max: usize,
    /// Limit of the bytes of those calls. Default 64 MiB. A single larger call is sent alone.
    pub in_flight_bytes_max: usize,
    /// Limit of the calls that wait to be sent; a call beyond it ends at once. Default 262,144.
    pub queue_calls_max: usize,
    /// Limit of the bytes of the calls that wait to be sent; a call beyond it ends at once. Default 256 MiB.
    pub queue_bytes_max: usize,
    /// The size of a segment file of the log, in bytes. Default 8 MiB. A larger batch has a file of its own.
    pub segment_bytes: u64,
    /// The size of the reserve, a file in the data directory with space for the log on a full disk, in bytes. Default
    /// 8 MiB; zero: none. While the disk has no room for the reserve or for the next segment, the node's status says so, and
    /// a leader refuses new calls; the cluster elects, reads, and completes the calls that are under way.
    pub disk_reserve_bytes: u64,
    /// What a panic in a replicated method does. Default [`OnPanic::Continue`].
    pub on_panic: OnPanic,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tick_ms: 10,
            heartbeat_interval_ms: 50,
            election_timeout_ms_min: 250,
            election_timeout_ms_max: 500,
            disk_stall_ms_max: 2_000,
            call_deadline: Duration::from_secs(5),
            command_bytes_max: 32 << 20,
            reply_bytes_max: 32 << 20,
            log_bytes_max: 1 << 30,
            in_flight_calls_max: 8_192,
            in_flight_bytes_max: 64 << 20,
            queue_calls_max: 262_144,
            queue_bytes_max: 256 << 20,
            segment_bytes: 8 << 20,
            disk_reserve_bytes: 8 << 20,
            on_panic: OnPanic::Continue,
        }
    }
}

impl Options {
    /// Checks the options. The error names the wrong one.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = [
            ("tick_ms", self.tick_ms),
            ("command_bytes_max", self.command_bytes_max as u64),
            ("reply_bytes_max", self.reply_bytes_max as u64),
            ("in_flight_calls_max", self.in_flight_calls_max as u64),
            ("in_flight_bytes_max", self.in_flight_bytes_max as u64),
            ("queue_calls_max", self.queue_calls_max as u64),
            ("queue_bytes_max", self.queue_bytes_max as u64),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(format!("{name} must be at least 1"));
            }
        }
        if self.call_deadline.is_zero() {
            return Err("call_deadline must not be zero: every call would end at once".to_owned());
        }
        if self.in_flight_calls_max as u64 > SESSION_CALLS_MAX {
            return Err(format!(
                "in_flight_calls_max ({}) exceeds {SESSION_CALLS_MAX}",
                self.in_flight_calls_max
            ));
        }
        if self.command_bytes_max <= COMMAND_OVERHEAD_MAX {
            return Err(format!(
                "command_bytes_max ({}) leaves no room for arguments: {COMMAND_OVERHEAD_MAX} bytes go before them",
                self.command_bytes_max
            ));
        }
        if self.election_timeout_ms_max > ELECTION_MS_CEILING {
            return Err(format!(
                "election_timeout_ms_max ({}) exceeds {ELECTION_MS_CEILING}, a day",
                self.election_timeout_ms_max
            ));
        }
        if self.heartbeat_interval_ms > self.election_timeout_ms_max {
            return Err(format!(
                "heartbeat_interval_ms ({}) exceeds election_timeout_ms_max ({})",
                self.heartbeat_interval_ms, self.election_timeout_ms_max
            ));
        }
        if self.heartbeat_interval_ms < self.tick_ms {
            return Err(format!(
                "heartbeat_interval_ms ({}) is below tick_ms ({})",
                self.heartbeat_interval_ms, self.tick_ms
            ));
        }
        if self.election_timeout_ms_min < self.heartbeat_interval_ms.saturating_mul(3) {
            return Err(format!(
                "election_timeout_ms_min ({}) is below three heartbeats of {} ms: one late heartbeat would cause an election",
                self.election_timeout_ms_min, self.heartbeat_interval_ms
            ));
        }
        if self.election_timeout_ms_max < self.election_timeout_ms_min.saturating_add(self.tick_ms) {
            return Err(format!(
                "election_timeout_ms_max ({}) must exceed election_timeout_ms_min ({}), so that candidates do not collide",
                self.election_timeout_ms_max, self.election_timeout_ms_min
            ));
        }
        if self.disk_stall_ms_max < self.election_timeout_ms_max {
            return Err(format!(
                "disk_stall_ms_max ({}) is below election_timeout_ms_max ({}): a slow disk would count as a hung one",
                self.disk_stall_ms_max, self.election_timeout_ms_max
            ));
        }
        if self.command_bytes_max > COMMAND_BYTES_CEILING {
            return Err(format!(
                "command_bytes_max ({}) exceeds {COMMAND_BYTES_CEILING}",
                self.command_bytes_max
            ));
        }
        if self.log_bytes_max < self.command_bytes_max.saturating_mul(2) {
            return Err(format!(
                "log_bytes_max ({}) is below two commands of command_bytes_max ({})",
                self.log_bytes_max, self.command_bytes_max
            ));
        }
        if self.segment_bytes < 64 << 10 {
            return Err(format!("segment_bytes ({}) is below 64 KiB", self.segment_bytes));
        }
        if self.disk_reserve_bytes != 0 && self.disk_reserve_bytes < 64 << 10 {
            return Err(format!(
                "disk_reserve_bytes ({}) is below 64 KiB and not zero",
                self.disk_reserve_bytes
            ));
        }
        Ok(())
    }
}

/// A day. A longer election timeout is a mistake.
const ELECTION_MS_CEILING: u64 = 86_400_000;

/// The largest value of `command_bytes_max`. A frame's length has 32 bits, and a length close to the end of that range
/// should count as damage.
const COMMAND_BYTES_CEILING: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_an_error_names_the_option() {
        assert_eq!(Options::default().check(), Ok(()));
        let named = |options: Options, name: &str| {
            let error = options.check().unwrap_err();
            assert!(error.contains(name), "{error}");
        };
        named(Options { call_deadline: Duration::ZERO, ..Options::default() }, "call_deadline");
        named(Options { election_timeout_ms_min: u64::MAX, ..Options::default() }, "election_timeout_ms_max");
        named(Options { tick_ms: 0, ..Options::default() }, "tick_ms");
        named(Options { heartbeat_interval_ms: 5, ..Options::default() }, "heartbeat_interval_ms");
        named(Options { election_timeout_ms_min: 100, ..Options::default() }, "election_timeout_ms_min");
        named(Options { election_timeout_ms_max: 250, ..Options::default() }, "election_timeout_ms_max");
        named(Options { log_bytes_max: 1 << 20, ..Options::default() }, "log_bytes_max");
        named(Options { in_flight_calls_max: 8_193, ..Options::default() }, "in_flight_calls_max");
        named(Options { command_bytes_max: 55, ..Options::default() }, "command_bytes_max");
        named(Options { heartbeat_interval_ms: u64::MAX, ..Options::default() }, "heartbeat_interval_ms");
        named(Options { election_timeout_ms_max: u64::MAX, ..Options::default() }, "election_timeout_ms_max");
        named(Options { disk_stall_ms_max: 499, ..Options::default() }, "disk_stall_ms_max");
        named(Options { segment_bytes: 1, ..Options::default() }, "segment_bytes");
        named(Options { disk_reserve_bytes: 1, ..Options::default() }, "disk_reserve_bytes");
        assert_eq!(Options { disk_reserve_bytes: 0, ..Options::default() }.check(), Ok(()));
    }
}
