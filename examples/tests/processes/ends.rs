//! What ends the program, what does not, and its exit codes.

use crate::harness::{Process, WAIT_MAX, address, assert_contains, run};
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::TcpStream;

/// If it fails, a script or a supervisor takes a normal end for a failure.
#[test]
fn end_of_input_and_signals_end_it_with_exit_code_0() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    for (round, end) in [None, Some(Signal::SIGINT), Some(Signal::SIGTERM)].into_iter().enumerate() {
        let mut process = Process::start(directory.path(), &[&address]);
        process.change(&format!("set k {round}"));
        let status = match end {
            None => process.close(),
            Some(signal) => {
                process.signal(signal);
                process.wait()
            }
        };
        assert_eq!(status.code(), Some(0), "{end:?}: {}", process.stderr());
    }
    let output = run(directory.path(), &[&address], "quit\nset k never\n");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b""[..]));
    let mut process = Process::start(directory.path(), &[&address]);
    assert_eq!(process.change("pop k").previous.as_deref(), Some("2"), "an earlier write is lost");
}

/// If it fails, a signal takes effect only when the current command ends, which can wait for a majority.
#[test]
fn a_signal_ends_it_while_a_command_waits() {
    let directory = tempfile::tempdir().unwrap();
    let (own, peer) = (address(), address());
    let mut process = Process::start(directory.path(), &[&own, &peer, "--deadline", "86400"]);
    process.wait_for_stderr("still missing");
    process.send("set k v");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
}

/// If it fails, a node cannot run as a service: the end of its input ends it, or a signal does not.
#[test]
fn with_serve_it_reads_nothing_and_runs_until_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let addresses = [address(), address()];
    let serve = [&*addresses[0], &*addresses[1], "--serve", "--data-dir", "server"];
    let mut server = Process::start(directory.path(), &serve);
    server.send("quit");
    server.close_input();
    let mut user = Process::start(directory.path(), &[&addresses[1], &addresses[0]]);
    let set = user.change("set k v");
    assert!(set.index > 0, "the server took part: a majority of two is both");
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr());
}

/// If it fails, a full pipe on standard error stops the node.
#[test]
fn a_node_runs_although_nobody_reads_its_stderr() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    let mut process =
        Process::start_with_unread_stderr(directory.path(), &[&address], &[("RUST_LOG", "trace")]);
    // Once it answers, it listens.
    process.change("set k v");
    // Every refused connection is logged, and these are more than a pipe and the queue hold.
    let target = address.parse().unwrap();
    for round in 0..3_000 {
        let mut peer = TcpStream::connect_timeout(&target, WAIT_MAX).expect("the node accepts");
        // The node may have closed the connection already.
        let _ = peer.write_all(format!("{round:016}").as_bytes());
    }
    process.change("set k w");
    assert_eq!(process.close().code(), Some(0));
}

/// If it fails, `cargo run --example kvstorage` does not work as documented, or leaves files behind.
#[test]
fn without_arguments_three_nodes_run_in_this_process() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut process = Process::start_with(directory.path(), &[], &[("TMPDIR", temporary.to_str().unwrap())]);
    let changed = process.change(r#"set greeting "hello world""#);
    assert_eq!(process.ask("get greeting"), r#"value="hello world""#);
    assert_eq!(process.status()["applied"], changed.index.to_string());
    assert_contains(
        &process.stderr(),
        &["three nodes", "cargo run --example kvstorage 127.0.0.1:4321 127.0.0.1:4322"],
    );
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1);
    assert_eq!(process.close().code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "temporary files are left");
}

/// If it fails, one wrong line ends a session, or a script reads an answer as that of another command.
#[test]
fn every_line_that_is_not_blank_has_one_answer() {
    let directory = tempfile::tempdir().unwrap();
    let input =
        "set a 'two words'\n\n   \nfoo\nset a\nget 'a\nget a\nset a \"x\\ny\"\nget a\npop a\nget a\nhelp";
    let output = run(directory.path(), &[&address()], input);
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), 10, "{answers:#?}");
    assert_eq!(answers[0], "ok index=2 term=1 previous=none");
    assert_contains(answers[1], &["error: ", "foo", "help"]);
    assert_contains(answers[2], &["error: ", "a key and a value"]);
    assert_contains(answers[3], &["error: ", "not closed"]);
    assert_eq!(answers[4], r#"value="two words""#);
    assert_eq!(answers[5], r#"ok index=3 term=1 previous="two words""#);
    assert_eq!(answers[6], r#"value="x\ny""#);
    assert_eq!(answers[7], r#"ok index=4 term=1 previous="x\ny""#);
    assert_eq!(answers[8], "none");
    assert_contains(answers[9], &["set K V", "quit"]);
    assert_eq!(output.status.code(), Some(0));
}

/// If it fails, the default directory is not where it is documented, or files appear beside it.
#[test]
fn all_files_are_under_the_data_directory_which_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    let output = run(directory.path(), &[&address], "set a b\n");
    let name = address.replace(':', "-");
    assert_contains(&String::from_utf8_lossy(&output.stderr), &[format!("./kvstorage-data/{name}")]);
    let names = |path: &std::path::Path| -> Vec<_> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names(directory.path()), ["kvstorage-data"]);
    assert_eq!(names(&directory.path().join("kvstorage-data")), [&*name]);
}

/// If it fails, a read right after a restart finds an empty object.
#[test]
fn a_get_right_after_a_start_waits_until_the_log_is_applied() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    run(directory.path(), &[&address], "set a b\n");
    for _ in 0..5 {
        let output = run(directory.path(), &[&address], "get a\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "value=\"b\"\n");
    }
}
