//! A simulator: whole nodes under one seed, with every fault that a data centre has.

pub mod history;
