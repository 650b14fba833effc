//! The data of a run: what can happen, what a seed decides beforehand, and how a run is written as text.
//!
//! Begin with [`event`], then [`setup`]. Nothing here knows a cluster; `event_generator` draws the events for one.

pub(crate) mod event;
pub(crate) mod line;
pub(crate) mod setup;
