//! Rules of the source tree, as tests: which room may name which, what pure rooms may not use, how long a file may be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may name. ARCHITECTURE.md draws the same.
const ROOMS: [(&str, &[&str]); 14] = [
    ("hash", &[]),
    ("marks", &[]),
    ("planted", &[]),
    ("raft", &["hash"]),
    ("codec", &["raft", "hash"]),
    ("object", &["raft", "codec", "hash", "__private"]),
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

/// Rooms that every room may name: instruments of tests, which are empty macros in a user's build.
const INSTRUMENTS: [&str; 2] = ["marks", "planted"];

/// Rooms that are functions of their inputs. A simulator controls their time and their random numbers.
const PURE: [&str; 9] = ["hash", "marks", "planted", "raft", "codec", "object", "calls", "node", "sim"];

/// Names that would make a pure room depend on the machine, or on the order of a hash map.
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

/// The one exception: the lock of the user's object, which threads share.
const IMPURE_ALLOWED: [(&str, &str); 1] = [("object/lock.rs", "std::thread")];

/// The longest file, tests included. A longer one has two topics.
const LINES_MAX: usize = 600;

/// If it fails: a room names another one that it must not depend on.
#[test]
fn rooms_name_only_the_rooms_on_their_list() {
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

/// If it fails: a run of the simulator may not repeat with the same seed.
#[test]
fn pure_rooms_use_no_clock_thread_file_or_hash_map() {
    let mut wrong = Vec::new();
    for room in PURE {
        for (path, text) in sources(room) {
            for (number, line) in code(&text) {
                for impure in IMPURE.iter().filter(|impure| line.contains(**impure)) {
                    let allowed =
                        IMPURE_ALLOWED.iter().any(|(file, name)| path.ends_with(file) && name == impure);
                    if !allowed {
                        wrong.push(format!("{}:{number}: {impure}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// If it fails: the tests above do not check a room.
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

/// If it fails: a file is too long to be read in one sitting.
#[test]
fn files_are_short_enough_to_read_in_one_sitting() {
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

/// If it fails: the first example of the README is longer than it promises.
#[test]
fn the_first_example_has_at_most_25_lines() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let example = readme.split("```rust").nth(1).unwrap().split("```").next().unwrap();
    // The line of the fence, with the attributes of the example, does not count.
    let lines = example.lines().skip(1).count();
    assert!((10..=25).contains(&lines), "{lines} lines");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn library() -> PathBuf {
    root().join("raftobj/src")
}

/// The files of a room without its tests, which may name more.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let file = library().join(format!("{room}.rs"));
    if file.exists() {
        files.push(file);
    }
    collect(&library().join(room), &mut files);
    assert!(!files.is_empty(), "room {room} has no files");
    let is_test = |path: &PathBuf| {
        // NB: only the path below the library counts; the folders above it may have any name.
        let path = path.strip_prefix(library()).unwrap().to_string_lossy();
        ["/tests/", "tests.rs", "fuzz.rs"].iter().any(|part| path.contains(part))
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

/// The numbered lines of code of a file, without comments, up to its tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate().map(|(i, line)| (i + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
