//! Wrong data directories, taken ports, commands that are too large.

use crate::cluster::Cluster;
use crate::harness::{address, assert_contains, refusal};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

fn refused(cluster: &Cluster, arguments: &[String]) -> (Option<i32>, String) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    refusal(cluster.directory(), &arguments)
}

/// If it fails, a node takes over another node's log and can vote twice in a term.
#[test]
fn a_directory_of_another_node_is_refused() {
    let mut cluster = Cluster::start_three(&[]);
    cluster.node(1).change("set k v");
    cluster.kill(0);
    cluster.kill(1);
    let foreign = cluster.data_dir(1).display().to_string();
    let mut arguments = cluster.arguments(0);
    let at = arguments.iter().position(|argument| argument == "--data-dir").unwrap() + 1;
    arguments[at].clone_from(&foreign);
    let (code, sentence) = refused(&cluster, &arguments);
    assert_eq!(code, Some(2), "{sentence}");
    assert_contains(&sentence, &[&foreign, &cluster.addresses[0], &cluster.addresses[1], "--data-dir"]);
    assert_cluster_works(cluster, &[0, 1]);
}

/// If it fails, a node with a mistyped list of peers counts majorities of the wrong nodes.
#[test]
fn a_list_that_differs_from_the_founding_one_is_refused() {
    let mut cluster = Cluster::start_three(&[]);
    cluster.kill(0);
    let other_peer = address();
    let mut arguments = cluster.arguments(0);
    arguments[2].clone_from(&other_peer);
    let (code, sentence) = refused(&cluster, &arguments);
    assert_eq!(code, Some(2), "{sentence}");
    let mut founding = cluster.addresses.clone();
    founding.sort();
    let mut given = arguments[..3].to_vec();
    given.sort();
    assert_contains(&sentence, &[founding.join(", "), given.join(", "), "--data-dir".to_owned()]);
    assert_cluster_works(cluster, &[0]);
}

/// If it fails, the log of one cluster is mixed into another cluster with the same addresses.
#[test]
fn a_directory_of_another_cluster_with_the_same_addresses_is_refused_by_the_others() {
    let mut cluster = Cluster::start_three(&["--deadline", "1"]);
    cluster.node(0).change("set k former");
    cluster.wait_until_equal();
    let former = cluster.directory().join("former");
    for node in 0..3 {
        cluster.kill(node);
        match node {
            0 => fs::rename(cluster.data_dir(node), &former).unwrap(),
            _ => fs::remove_dir_all(cluster.data_dir(node)).unwrap(),
        }
    }
    (0..3).for_each(|node| cluster.start(node));
    cluster.wait_for_leader();
    cluster.node(0).change("set k present");
    cluster.wait_until_equal();

    cluster.kill(0);
    let present = cluster.directory().join("present");
    fs::rename(cluster.data_dir(0), &present).unwrap();
    fs::rename(&former, cluster.data_dir(0)).unwrap();
    cluster.start(0);
    let process = cluster.node(0);
    process.wait_for_stderr("is of cluster ");
    process.wait_for_stderr("wrong data directory");
    let answer = process.ask("set k mixed");
    assert!(answer.starts_with("error: not applied: "), "{answer}");

    cluster.kill(0);
    fs::rename(cluster.data_dir(0), &former).unwrap();
    fs::rename(&present, cluster.data_dir(0)).unwrap();
    cluster.start(0);
    cluster.wait_for_leader();
    cluster.wait_until_equal();
    assert_eq!(cluster.ask_all("get k"), [r#"value="present""#; 3]);
}

/// If it fails, two processes write to one log.
#[test]
fn a_directory_in_use_is_refused() {
    let cluster = Cluster::start_three(&[]);
    let mut arguments = cluster.arguments(0);
    // The port is taken too, and is checked first: listen elsewhere.
    arguments.extend(["--bind".to_owned(), address()]);
    let (code, sentence) = refused(&cluster, &arguments);
    assert_eq!(code, Some(1), "{sentence}");
    assert_contains(&sentence, &[&cluster.data_dir(0).display().to_string(), "in use"]);
    assert_cluster_works(cluster, &[]);
}

/// If it fails, a node writes into a directory that holds other files.
#[test]
fn a_directory_with_other_files_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "years of work").unwrap();
    let (code, sentence) = refusal(directory.path(), &[&address(), "--data-dir", "."]);
    assert_eq!(code, Some(1), "{sentence}");
    assert_contains(&sentence, &["thesis.tex", "not a data directory"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// If it fails, a node with a damaged log loses entries that it has acknowledged.
#[test]
fn a_log_that_is_damaged_in_the_middle_is_refused() {
    let mut cluster = Cluster::start_three(&[]);
    for number in 0..20 {
        cluster.node(0).change(&format!("set k needle-{number}"));
    }
    cluster.wait_until_equal();
    cluster.kill(0);
    let (file, offset) = find(&cluster.data_dir(0), b"needle-9");
    let mut bytes = fs::read(&file).unwrap();
    bytes[offset] ^= 1;
    fs::write(&file, &bytes).unwrap();

    let (code, sentence) = refused(&cluster, &cluster.arguments(0));
    assert_eq!(code, Some(1), "{sentence}");
    let name = file.file_name().unwrap().to_string_lossy();
    assert_contains(&sentence, &[&*name, "damaged"]);
    let numbers: Vec<usize> =
        sentence.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let near = numbers.iter().any(|number| (offset.saturating_sub(200)..=offset).contains(number));
    assert!(near, "byte {offset} is damaged, but the error names no batch near it: {sentence}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "the file was changed");

    bytes[offset] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_cluster_works(cluster, &[0]);
}

/// The file in `directory` that contains these bytes, and their offset.
fn find(directory: &Path, needle: &[u8]) -> (PathBuf, usize) {
    let files = fs::read_dir(directory).expect("the node has made the directory");
    let files = files.map(|entry| entry.expect("it is readable").path()).filter(|path| path.is_file());
    let mut found = files.filter_map(|file| {
        let bytes = fs::read(&file).expect("it is readable");
        let at = bytes.windows(needle.len()).position(|window| window == needle)?;
        Some((file, at))
    });
    found.next().expect("what was acknowledged is on disk")
}

/// If it fails, a user does not see which port is taken.
#[test]
fn a_port_that_is_taken_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let address = address();
    let _taken = TcpListener::bind(&address).unwrap();
    let (code, sentence) = refusal(directory.path(), &[&address]);
    assert_eq!(code, Some(1), "{sentence}");
    assert_contains(&sentence, &[&address]);
}

/// If it fails, a value within the limits cannot be replicated.
#[test]
fn a_value_of_16_mib_is_replicated() {
    let mut cluster = Cluster::start_three(&["--deadline", "60"]);
    let value = "x".repeat(16 << 20);
    cluster.node(0).change(&format!("set large {value}"));
    cluster.wait_until_equal();
    let expected = format!("value=\"{value}\"");
    assert!(cluster.ask_all("get large").iter().all(|answer| *answer == expected));
    let previous = cluster.node(1).change("pop large").previous;
    assert!(previous.is_some_and(|previous| previous == value));
    cluster.kill(2);
    cluster.start(2);
    cluster.wait_for_leader();
    cluster.wait_until_equal();
}

/// If it fails, one command that is too large ends a session, or is applied on some nodes only.
#[test]
fn a_command_over_the_limit_is_not_applied_and_the_session_goes_on() {
    let mut cluster = Cluster::start_three(&["--deadline", "60"]);
    let before = cluster.node(0).change("set k v").index;
    let answer = cluster.node(0).ask(&format!("set k {}", "x".repeat(33 << 20)));
    assert_contains(&answer, &["error: not applied: ", "limit of 33554432"]);
    let after = cluster.node(0).change("set k w");
    assert_eq!((after.index, after.previous.as_deref()), (before + 1, Some("v")));
    cluster.wait_until_equal();
}

/// If it fails, two nodes that lost their disks can found a second cluster, and acknowledged writes are lost.
#[test]
fn two_wiped_nodes_cannot_found_a_second_cluster() {
    let mut cluster = Cluster::start_three(&["--deadline", "1"]);
    cluster.node(0).change("set k v");
    cluster.wait_until_equal();
    for node in [1, 2] {
        cluster.kill(node);
        fs::remove_dir_all(cluster.data_dir(node)).unwrap();
        cluster.start(node);
    }
    let third = cluster.addresses[0].clone();
    for node in [1, 2] {
        let process = cluster.node(node);
        process
            .wait_for_stderr(&format!("{third} refuses this node: the cluster was formed with another disk"));
        let refusal = [third.as_str(), "was refused: the cluster was formed with another disk"];
        let answer = process.ask("set k other");
        assert_contains(&answer, &["error: not applied: the handshake with"]);
        assert_contains(&answer, &refusal);
        assert_contains(&process.ask("status"), &["role=founding"]);
        assert_contains(&process.ask("get k"), &["error: not read: the handshake with"]);
        assert_contains(&process.ask("get k"), &refusal);
    }
    assert_eq!(cluster.node(0).ask("get k"), r#"value="v""#);
    let answer = cluster.node(0).ask("set k mine");
    assert!(answer.starts_with("error: "), "one of three is no majority: {answer}");
}

/// Starts the stopped nodes correctly, and checks that the cluster works.
fn assert_cluster_works(mut cluster: Cluster, stopped: &[usize]) {
    for node in stopped {
        cluster.start(*node);
    }
    cluster.wait_for_leader();
    for node in 0..3 {
        cluster.node(node).change("set works yes");
    }
    cluster.wait_until_equal();
}
