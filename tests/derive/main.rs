//! Tests of the attribute in users' code: what it generates, what compiles, and the errors for mistakes.

mod apply;
mod generics;
mod handle;
mod ui;
