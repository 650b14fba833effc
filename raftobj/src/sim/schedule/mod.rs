//! A schedule as data: what can happen, what a seed decides beforehand, and how a run is written down.
//!
//! Begin with [`event`], then [`setup`]. Nothing here knows a cluster: `event_generator` draws events for one.

pub(crate) mod event;
pub(crate) mod line;
pub(crate) mod setup;
