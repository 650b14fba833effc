//! The examples are in the folders beside this file; this library is empty.
