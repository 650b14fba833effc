//! The log on disk: what a node must not forget, and how it is read back.

pub(crate) mod disk;
