//! The unit tests of `kvstorage`. Cargo would run them in the example itself only instead of building the program,
//! which the other tests need.

#![allow(dead_code, reason = "what only the program calls is unused here")]

#[path = "../kvstorage/answer.rs"]
mod answer;
#[path = "../kvstorage/arguments.rs"]
mod arguments;
#[path = "../kvstorage/command.rs"]
mod command;
#[path = "../kvstorage/input.rs"]
mod input;
#[path = "../kvstorage/words.rs"]
mod words;
