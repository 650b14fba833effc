//! A whole node without the world around it.
pub(crate) mod divergence;
pub(crate) mod founding;
