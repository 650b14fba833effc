//! The rules of the house, as tests: who may know whom, what the pure rooms must not see, how long a file may be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms that it may name. ARCHITECTURE.md draws the same.
const ROOMS: [(&str, &[&str]); 14] = [
    ("hash", &[]),
    ("marks", &[]),
    ("planted", &[]),
    ("raft", &["hash"]),
    ("codec", &["raft", "hash"]),
    ("object", &["raft", "codec", "hash", "replica", "__private"]),
    ("storage", &["raft", "codec", "hash"]),
    ("calls", &["raft", "codec", "object"]),
    ("node", &["raft", "codec", "object", "calls", "hash"]),
    ("persistence", &["raft", "node", "storage"]),
    ("net", &["hash"]),
    ("driver", &["raft", "codec", "object", "calls", "node", "net", "storage", "persistence"]),
    ("replica", &["raft", "codec", "object", "calls", "node", "net", "storage", "persistence", "driver"]),
    (
        "sim",
        &["raft", "codec", "object", "calls", "node", "storage", "persistence", "hash", "marks", "replica"],
    ),
];

/// What every room may name beside those: instruments, which are empty macros in what users build.
const INSTRUMENTS: [&str; 2] = ["marks", "planted"];

/// Rooms that are functions of their inputs: a simulator owns their time, their threads and their chance.
const PURE: [&str; 9] = ["hash", "marks", "planted", "raft", "codec", "object", "calls", "node", "sim"];

/// What would make a pure room depend on the world, or on the order of a hash map.
const IMPURE: [&str; 9] = [
    "Instant",
    "SystemTime::now",
    "std::thread",
    "std::net",
    "std::fs",
    "tokio::",
    "HashMap",
    "HashSet",
    "RandomState",
];

/// The lock around the user's object is the one thing of the pure rooms that threads meet in.
const IMPURE_ALLOWED: [(&str, &str); 1] = [("object/lock.rs", "std::thread")];

/// Longest file, tests included: past it there are two nouns in it.
const LINES_MAX: usize = 600;

/// If a room named another one beside this list, the next reader would have to hold both in mind.
#[test]
fn rooms_name_only_the_rooms_they_may_know() {
    let mut wrong = Vec::new();
    for (room, known) in ROOMS {
        for (path, text) in sources(room) {
            for (number, line) in code(&text) {
                for named in line.match_indices("crate::").map(|(at, _)| &line[at + "crate::".len()..]) {
                    let end = named.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(named.len());
                    let named = &named[..end];
                    let is_room = named == "__private" || ROOMS.iter().any(|(other, _)| *other == named);
                    let may = named == room || known.contains(&named) || INSTRUMENTS.contains(&named);
                    if is_room && !may {
                        wrong.push(format!("{}:{number}: `{room}` names `{named}`", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// If a pure room read a clock, a run of the same seed would not repeat.
#[test]
fn pure_rooms_see_no_clock_no_thread_no_file_and_no_hash_order() {
    let mut wrong = Vec::new();
    for room in PURE {
        for (path, text) in sources(room) {
            for (number, line) in code(&text) {
                for impure in IMPURE.iter().filter(|impure| line.contains(**impure)) {
                    let allowed =
                        IMPURE_ALLOWED.iter().any(|(file, word)| path.ends_with(file) && word == impure);
                    if !allowed {
                        wrong.push(format!("{}:{number}: {impure}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// If a room stood beside the list, the rules above would not hold for it.
#[test]
fn every_room_is_on_the_list() {
    let mut rooms: Vec<String> = fs::read_dir(library())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["lib", "private", "fuzz"].contains(&name.as_str()))
        .collect();
    rooms.sort();
    rooms.dedup();
    let mut listed: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    listed.sort_unstable();
    assert_eq!(rooms, listed);
}

/// If files grew without end, nobody would read them in a sitting.
#[test]
fn files_can_be_read_in_a_sitting() {
    let mut files = Vec::new();
    for folder in ["raftobj/src", "raftobj-derive/src", "examples", "tests"] {
        collect(&root().join(folder), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .map(|path| (path, fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// If the README's first example grew, the promise of 25 lines would be broken.
#[test]
fn the_first_example_has_at_most_25_lines() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let example = readme.split("```rust").nth(1).unwrap().split("```").next().unwrap();
    // The line of the fence itself, with the attributes of the example, does not count.
    let lines = example.lines().skip(1).count();
    assert!((10..=25).contains(&lines), "{lines} lines");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn library() -> PathBuf {
    root().join("raftobj/src")
}

/// The files of a room, tests apart: those may know more.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let file = library().join(format!("{room}.rs"));
    if file.exists() {
        files.push(file);
    }
    collect(&library().join(room), &mut files);
    assert!(!files.is_empty(), "room {room} has no files");
    let is_test = |path: &PathBuf| {
        // NB: below the library: the folders above it may have any name.
        let path = path.strip_prefix(library()).unwrap().to_string_lossy();
        ["/tests/", "tests.rs", "stories.rs", "fuzz.rs"].iter().any(|part| path.contains(part))
    };
    files.retain(|path| !is_test(path));
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The lines of code before the tests of a file, numbered, comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate().map(|(i, line)| (i + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
