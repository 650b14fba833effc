//! The file of a scenario: blocks of commands with their output.

use super::script::Script;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Separates the commands of a block from their output.
const SEPARATOR: &str = "---";

/// Replaces empty output.
const NO_OUTPUT: &str = "ok";

/// Runs a scenario's commands, and compares the output with the file, or updates the file.
pub(super) fn run(topic: &str, name: &str) {
    let path = directory().join(topic).join(name);
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(golden.starts_with("# "), "{topic}/{name} does not begin with a comment");
    let actual = rerun(&golden);
    if actual == golden {
        return;
    }
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    panic!(
        "the output of {topic}/{name} has changed (UPDATE_GOLDENFILES=1 writes it to the file; then read it):\n{}",
        difference(&golden, &actual)
    );
}

/// Panics if a file is not among these tests, or a test is not in a table of the README.
pub(super) fn assert_all_listed(tests: &[&str]) {
    let readme = std::fs::read_to_string(directory().join("README.md")).unwrap();
    for test in tests {
        let row = format!("| [{test}]({test}) |");
        assert_eq!(
            readme.matches(&row).count(),
            1,
            "raftobj/scenarios/README.md should have one row `{row}`"
        );
    }
    for named in readme.split('`').skip(1).step_by(2) {
        let known = tests.contains(&named);
        let topic = named.split_once('/').map(|(topic, _)| directory().join(topic));
        assert!(
            known || !topic.is_some_and(|topic| topic.is_dir()),
            "the README names {named}, which does not exist"
        );
    }
    for topic in std::fs::read_dir(directory()).unwrap() {
        let topic = topic.unwrap();
        if topic.file_name() == "README.md" {
            continue;
        }
        for file in std::fs::read_dir(topic.path()).unwrap() {
            let name = file.unwrap().file_name();
            let path = format!("{}/{}", topic.file_name().to_string_lossy(), name.to_string_lossy());
            assert!(tests.contains(&path.as_str()), "{path} is not in the list of scenarios");
        }
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// The file with the output of today.
fn rerun(golden: &str) -> String {
    let mut script = Script::new();
    let mut file = String::new();
    for block in golden.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty())
    {
        if !file.is_empty() {
            file.push('\n');
        }
        let mut output = Vec::new();
        let mut commands = 0;
        for line in block.lines().take_while(|line| *line != SEPARATOR) {
            writeln!(file, "{line}").unwrap();
            if !line.starts_with('#') {
                println!("{line}");
                commands += 1;
                output.extend(script.run(line));
            }
        }
        if commands > 0 {
            if output.is_empty() {
                output.push(NO_OUTPUT.to_owned());
            }
            writeln!(file, "{SEPARATOR}\n{}", output.join("\n")).unwrap();
        }
    }
    file
}

/// The lines that only one of the two has. Before each group stands the common line before it.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // For each pair of positions, the length of the longest common subsequence from there on.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut text, mut in_group) = (0, 0, String::new(), true);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j, in_group) = (i + 1, j + 1, false);
            continue;
        }
        if !in_group && i > 0 {
            writeln!(text, "{i:>5}   {}", old[i - 1]).unwrap();
        }
        in_group = true;
        if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            writeln!(text, "{:>5} - {}", i + 1, old[i]).unwrap();
            i += 1;
        } else {
            writeln!(text, "      + {}", new[j]).unwrap();
            j += 1;
        }
    }
    text
}
