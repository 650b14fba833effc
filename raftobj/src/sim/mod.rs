//! A simulator: whole nodes under one seed, with every fault that a data centre has.

pub mod history;

mod asking;
mod atlas;
mod blackbox;
mod client;
mod course;
mod coverage;
mod effects;
mod event;
mod faults;
mod line;
mod links;
mod oracle;
mod peace;
#[cfg(test)]
mod planted;
mod random;
mod report;
mod run;
mod schedule;
mod server;
mod setup;
mod shrink;
mod simulation;
pub mod standard;
#[cfg(test)]
mod tests;
mod trouble;
mod violation;
mod world;

pub use client::Client;
pub use random::Random;
pub use report::{Failure, Report};
pub use simulation::Simulation;
