//! The options of a node: its configuration, and how it differs from the others.

use crate::codec::method::Method;

/// What differs between the nodes of some scenarios.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerOptions {
    pub(super) seed: u64,
    pub(super) founders: Vec<String>,
    /// The method that this node's code does not have yet.
    pub(super) lacks: Option<Method>,
    /// Makes `skewed` another method here than elsewhere.
    pub(super) skew: u64,
    pub(super) limits: RaftLimits,
}

/// The protocol's limits, as small as a scenario wants them.
#[derive(Clone, Debug, Default)]
pub(super) struct RaftLimits {
    pub(super) append_bytes_max: usize,
    pub(super) window_messages_max: usize,
    pub(super) log_bytes_max: usize,
    pub(super) apply_entries_max: u64,
}
