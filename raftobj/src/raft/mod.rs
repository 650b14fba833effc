//! The protocol: it decides, and nothing else.
pub(crate) mod membership;
pub(crate) mod message;
pub(crate) mod types;
