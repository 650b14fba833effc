//! The options of a server: the configuration of its node, and how its object differs from the others'.

use crate::codec::method::Method;

/// The options of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerOptions {
    pub(super) seed: u64,
    pub(super) founders: Vec<String>,
    /// The method that the object lacks here, as older code would.
    pub(super) lacks: Option<Method>,
    /// Makes `skewed` return another result here than elsewhere, if it is not 0.
    pub(super) skew: u64,
    pub(super) limits: RaftLimits,
}

/// Limits of the protocol that a scenario may set.
#[derive(Clone, Debug, Default)]
pub(super) struct RaftLimits {
    pub(super) append_bytes_max: usize,
    pub(super) window_messages_max: usize,
    pub(super) log_bytes_max: usize,
    pub(super) apply_entries_max: u64,
}
