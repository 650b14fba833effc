//! The smallest example.

use crate::harness::example;
use std::process::Command;

/// If it fails, the first program that a newcomer runs does not work.
#[test]
fn the_counter_is_the_same_on_every_node() {
    let output = Command::new(example("counter")).output().expect("the program can be run");
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (line, value) in lines.iter().zip(1..=3) {
        assert!(line.contains(&format!("now {value}, log index ")), "{line}");
    }
    assert_eq!(lines[3], "the first node reads 3");
}

/// If it fails, the first file that a newcomer opens is no longer small.
#[test]
fn the_counter_has_at_most_40_lines() {
    let lines = include_str!("../../counter.rs").lines().count();
    assert!(lines <= 40, "{lines} lines");
}
