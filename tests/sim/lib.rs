//! Seeds of the simulator: see `main.rs` beside this file.
