//! Wrong command lines.

use crate::harness::{assert_contains, refusal, run};

/// If it fails, a wrong command line starts something that the user did not mean, or its error does not help.
#[test]
fn a_wrong_command_line_ends_with_one_sentence_and_exit_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let (own, peer) = ("127.0.0.1:4321", "127.0.0.1:4322");
    let table: &[(&[&str], &str)] = &[
        (&["localhost"], "no port"),
        (&[own, "127.0.0.1:0"], "its port is 0"),
        (&[own, "127.0.0.1:99999"], "not a number from 1 to 65535"),
        (&["::1:4321"], "brackets"),
        (&["host name:4321"], "character"),
        (&["../x:4321"], "character"),
        (&[own, peer, peer], "twice"),
        (&[own, own], "as this node itself"),
        (&[own, "--what"], "no option --what"),
        (&[own, "-d"], "no option -d"),
        (&[own, "--data-dir"], "--data-dir needs a directory"),
        (&[own, "--data-dir", ""], "--data-dir needs a directory"),
        (&[own, "--data-dir", "--serve"], "--data-dir needs a directory"),
        (&[own, "--data-dir", "a", "--data-dir", "b"], "twice"),
        (&["--data-dir", "a"], "address"),
        (&[own, "--deadline"], "--deadline needs"),
        (&[own, "--deadline", "soon"], "not a time"),
        (&[own, "--deadline", "0"], "out of range"),
        (&[own, "--deadline", "-1"], "not a time"),
        (&[own, "--deadline", "1e9"], "not a time"),
        (&[own, "--bind", "4321"], "not an address"),
        (&[own, "--bind", "0.0.0.0:0"], "not an address"),
        (&["--bind", "0.0.0.0:4321"], "address"),
        (&[own, "--serve=yes"], "takes no value"),
    ];
    for (arguments, hint) in table {
        let (code, sentence) = refusal(directory.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {sentence}");
        assert_contains(&sentence, &[hint]);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "files were made");
}

/// If it fails, `--help` does not help.
#[test]
fn help_names_every_option() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["--help"], "");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_contains(&text, &["--data-dir", "--deadline", "--bind", "--serve", "--help", "host:port"]);
}
