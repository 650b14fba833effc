//! How the program ends, and that nothing else ends it.

use crate::harness::{PATIENCE, Process, address, assert_tells, run};
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::TcpStream;

/// If it fails, a script or a supervisor takes an orderly end for a fault.
#[test]
fn the_end_of_input_and_signals_end_it_with_exit_code_0() {
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
        assert_eq!(status.code(), Some(0), "{end:?}: {}", process.told());
    }
    let output = run(directory.path(), &[&address], "quit\nset k never\n");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b""[..]));
    let mut process = Process::start(directory.path(), &[&address]);
    assert_eq!(process.change("pop k").previous.as_deref(), Some("2"), "all was kept");
}

/// If it fails, a signal has to wait for a command that waits for a majority.
#[test]
fn a_signal_ends_it_while_a_command_waits() {
    let directory = tempfile::tempdir().unwrap();
    let (own, peer) = (address(), address());
    let mut process = Process::start(directory.path(), &[&own, &peer, "--deadline", "86400"]);
    process.wait_told("still missing");
    process.type_in("set k v");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0), "{}", process.told());
}

/// If it fails, a node cannot run as a service: it ends with its input, or not at a signal.
#[test]
fn with_serve_it_reads_nothing_and_runs_until_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let addresses = [address(), address()];
    let serve = [&*addresses[0], &*addresses[1], "--serve", "--data-dir", "server"];
    let mut server = Process::start(directory.path(), &serve);
    server.type_in("quit");
    server.close_input();
    let mut user = Process::start(directory.path(), &[&addresses[1], &addresses[0]]);
    let set = user.change("set k v");
    assert!(set.index > 0, "a majority of two is both");
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.told());
}

/// If it fails, whoever does not read what a node tells stops the node.
#[test]
fn a_node_runs_although_nobody_reads_what_it_tells() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    let mut process = Process::start_deaf(directory.path(), &[&address], &[("RUST_LOG", "trace")]);
    // It listens when it answers.
    process.change("set k v");
    // Every refused connection is told, and more than a pipe and the queue hold are refused.
    let target = address.parse().unwrap();
    for round in 0..3_000 {
        let mut peer = TcpStream::connect_timeout(&target, PATIENCE).expect("the node accepts");
        // The node may have hung up already.
        let _ = peer.write_all(format!("{round:016}").as_bytes());
    }
    process.change("set k w");
    assert_eq!(process.close().code(), Some(0));
}

/// If it fails, `cargo run --example kvstorage` does not show what it should, or leaves files behind.
#[test]
fn without_arguments_three_nodes_run_in_this_process() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut process = Process::start_with(directory.path(), &[], &[("TMPDIR", temporary.to_str().unwrap())]);
    let changed = process.change(r#"set greeting "hello world""#);
    assert_eq!(process.ask("get greeting"), r#"value="hello world""#);
    assert_eq!(process.status()["applied"], changed.index.to_string());
    assert_tells(
        &process.told(),
        &["three nodes", "cargo run --example kvstorage 127.0.0.1:4321 127.0.0.1:4322"],
    );
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1);
    assert_eq!(process.close().code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the files are gone");
}

/// If it fails, one bad line ends a session or puts a script out of step.
#[test]
fn every_line_but_an_empty_one_has_one_answer() {
    let directory = tempfile::tempdir().unwrap();
    let input =
        "set a 'two words'\n\n   \nfoo\nset a\nget 'a\nget a\nset a \"x\\ny\"\nget a\npop a\nget a\nhelp";
    let output = run(directory.path(), &[&address()], input);
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), 10, "{answers:#?}");
    assert_eq!(answers[0], "ok index=2 term=1 previous=none");
    assert_tells(answers[1], &["error: ", "foo", "help"]);
    assert_tells(answers[2], &["error: ", "a key and a value"]);
    assert_tells(answers[3], &["error: ", "not closed"]);
    assert_eq!(answers[4], r#"value="two words""#);
    assert_eq!(answers[5], r#"ok index=3 term=1 previous="two words""#);
    assert_eq!(answers[6], r#"value="x\ny""#);
    assert_eq!(answers[7], r#"ok index=4 term=1 previous="x\ny""#);
    assert_eq!(answers[8], "none");
    assert_tells(answers[9], &["set K V", "quit"]);
    assert_eq!(output.status.code(), Some(0));
}

/// If it fails, default directories are elsewhere than documented, or files appear beside them.
#[test]
fn all_files_are_under_the_data_directory_which_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    let output = run(directory.path(), &[&address], "set a b\n");
    let name = address.replace(':', "-");
    assert_tells(&String::from_utf8_lossy(&output.stderr), &[format!("./kvstorage-data/{name}")]);
    let names = |path: &std::path::Path| -> Vec<_> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names(directory.path()), ["kvstorage-data"]);
    assert_eq!(names(&directory.path().join("kvstorage-data")), [&*name]);
}

/// If it fails, the first look after a restart says that everything is lost.
#[test]
fn a_get_right_after_a_start_waits_for_what_the_log_holds() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    run(directory.path(), &[&address], "set a b\n");
    for _ in 0..5 {
        let output = run(directory.path(), &[&address], "get a\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "value=\"b\"\n");
    }
}
