//! The examples are in the files and folders beside this file; this library is empty.
