//! The attribute, as users meet it: what its code does, what it compiles with, what is said of mistakes.

mod apply;
mod generics;
mod handle;
mod ui;
