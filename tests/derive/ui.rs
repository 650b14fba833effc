//! Tests of compile errors. `TRYBUILD=overwrite` writes the expected messages; read their diff before you commit them.

/// If it fails: a mistake has another message or location, or causes further errors.
#[test]
fn mistakes_have_the_expected_errors() {
    trybuild::TestCases::new().compile_fail("derive/ui/*.rs");
}
