//! What the compiler says of mistakes, and what it takes without a word. `TRYBUILD=overwrite` writes the messages
//! anew; they are then read.

/// If it fails: a mistake is told in other words, elsewhere, or with another error after it.
#[test]
fn mistakes_are_told_in_our_words() {
    trybuild::TestCases::new().compile_fail("derive/ui/*.rs");
}
