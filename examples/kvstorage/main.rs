//! The course exercise.
fn main() {}
