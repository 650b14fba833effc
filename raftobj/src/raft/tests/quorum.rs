//! Quorum arithmetic: compared with a naive computation that tries every majority, and in tables that can be checked by eye.
//!
//! Joint configurations (§6) are left for membership change: their tables will stand beside these.

use crate::hash::mix;
use crate::raft::membership::{Member, Membership};
use crate::raft::types::{Incarnation, NodeId};
use std::fmt::Write;
use std::path::Path;

fn voters(count: usize) -> Membership {
    let member = |id| Member { incarnation: Incarnation(id), address: String::new() };
    Membership { members: (1..=count as u64).map(|id| (NodeId(id), member(id))).collect() }
}

fn at<T: Copy>(of: &[T], id: NodeId) -> T {
    of[id.0 as usize - 1]
}

/// Every set of more than half of `count` voters, as bits.
fn majorities(count: usize) -> impl Iterator<Item = u32> {
    (0..1_u32 << count).filter(move |set| 2 * set.count_ones() as usize > count)
}

fn members_of<T: Copy>(set: u32, of: &[T]) -> impl Iterator<Item = T> {
    of.iter().enumerate().filter(move |(i, _)| set & (1 << i) != 0).map(|(_, &value)| value)
}

/// The naive computation: an index is committed if all voters of some majority have it.
fn naive_committed(acknowledged: &[u64]) -> Option<u64> {
    majorities(acknowledged.len()).filter_map(|set| members_of(set, acknowledged).min()).max()
}

fn committed(acknowledged: &[u64]) -> Option<u64> {
    voters(acknowledged.len()).quorum_value(|id| at(acknowledged, id))
}

/// A vote, or none yet.
type Vote = Option<bool>;

/// The naive computation: won if all voters of some majority granted, lost if every majority has a voter that refused.
fn naive_result(votes: &[Vote]) -> &'static str {
    let won = majorities(votes.len()).any(|set| members_of(set, votes).all(|vote| vote == Some(true)));
    let lost = majorities(votes.len()).all(|set| members_of(set, votes).any(|vote| vote == Some(false)));
    match (won, lost) {
        (true, _) => "won",
        (_, true) => "lost",
        _ => "pending",
    }
}

/// The result as a candidate counts it. A candidate does not notice that an election is lost: its timeout ends it.
fn result(votes: &[Vote]) -> &'static str {
    let voters = voters(votes.len());
    match () {
        () if voters.is_quorum(|id| at(votes, id) == Some(true)) => "won",
        () if voters.is_quorum(|id| at(votes, id) != Some(false)) => "pending",
        () => "lost",
    }
}

/// All lists of `length` of these values.
fn lists<T: Copy>(values: &[T], length: usize) -> Vec<Vec<T>> {
    (0..length).fold(vec![Vec::new()], |lists, _| {
        let longer =
            |list: &Vec<T>| values.iter().map(|&value| [list.as_slice(), &[value]].concat()).collect();
        lists.iter().flat_map(|list| -> Vec<Vec<T>> { longer(list) }).collect()
    })
}

// Breaks: entries of a minority count as committed, or entries of a majority do not.
#[test]
fn every_small_commit_index_is_that_of_some_majority() {
    for count in 0..=7 {
        for acknowledged in lists(&[0, 1, 2, 3], count) {
            assert_eq!(committed(&acknowledged), naive_committed(&acknowledged), "{acknowledged:?}");
        }
    }
}

// Breaks: as above, at the large indexes of a real cluster.
#[test]
fn a_random_commit_index_is_that_of_some_majority() {
    let mut random = 1;
    let mut below = |bound: u64| {
        random = mix(random, bound);
        random % bound
    };
    for _ in 0..20_000 {
        let base = below(1 << 40);
        let acknowledged: Vec<u64> = (0..1 + below(9)).map(|_| base + below(12)).collect();
        assert_eq!(committed(&acknowledged), naive_committed(&acknowledged), "{acknowledged:?}");
    }
}

// Breaks: a candidate leads without a majority, or does not lead with one.
#[test]
fn every_small_election_is_decided_by_some_majority() {
    for count in 0..=7 {
        for votes in lists(&[None, Some(false), Some(true)], count) {
            // A membership without voters elects nobody and commits nothing.
            let naive = naive_result(&votes);
            assert_eq!(result(&votes), naive, "{votes:?}");
        }
    }
}

// The cases of these tables are those of raft-rs and etcd for majority quorums.
#[test]
fn the_table_of_commits() {
    compare("committed", |case| {
        let acknowledged: Vec<Option<u64>> =
            case.split_whitespace().map(|one| (one != "_").then(|| one.parse().unwrap())).collect();
        picture(&acknowledged)
    });
}

#[test]
fn the_table_of_votes() {
    compare("votes", |case| {
        let votes: Vec<Vote> =
            case.split_whitespace().map(|one| (one != "_").then_some(one == "y")).collect();
        let count = |wanted: Vote| votes.iter().filter(|vote| **vote == wanted).count();
        let (yes, open, no) = (count(Some(true)), count(None), count(Some(false)));
        // Granted, open and refused in a row: the first after the middle is the one that makes a majority.
        let strip = ["y".repeat(yes), "_".repeat(open), "n".repeat(no)].concat();
        let middle = strip.len() / 2;
        format!("[{}|{}] {}\n", &strip[..middle], &strip[middle..], result(&votes))
    });
}

/// A row for each voter, a column for each acknowledged index, and below it how many voters have it.
fn picture(acknowledged: &[Option<u64>]) -> String {
    let mut columns: Vec<u64> = acknowledged.iter().flatten().copied().collect();
    columns.sort_unstable();
    columns.dedup();
    let mut picture = String::new();
    let mut row = |name: String, cells: Vec<String>| {
        let line = cells.iter().fold(format!("{name:<5}"), |line, cell| line + &format!("{cell:>5}"));
        writeln!(picture, "{}", line.trim_end()).unwrap();
    };
    row("index".to_owned(), columns.iter().map(u64::to_string).collect());
    for (voter, &reached) in (1..).zip(acknowledged) {
        let cell = |&index: &u64| if reached >= Some(index) { "#" } else { "." };
        let unknown = if reached.is_none() { " ?" } else { "" };
        row(format!("n{voter}{unknown}"), columns.iter().map(|index| cell(index).to_owned()).collect());
    }
    let have = |index: u64| acknowledged.iter().filter(|reached| **reached >= Some(index)).count();
    row(format!("of {}", acknowledged.len()), columns.iter().map(|&index| have(index).to_string()).collect());
    let known: Vec<u64> = acknowledged.iter().map(|reached| reached.unwrap_or_default()).collect();
    match committed(&known) {
        Some(index) => writeln!(picture, "committed: {index}").unwrap(),
        None => writeln!(picture, "committed: nothing, there is no quorum").unwrap(),
    }
    picture
}

/// Computes every case of a table and compares it with the file; `UPDATE_GOLDENFILES=1` writes the file instead.
fn compare(table: &str, draw: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables/quorum").join(table);
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut actual = String::new();
    let mut cases = 0;
    for block in golden.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty())
    {
        if !actual.is_empty() {
            actual.push('\n');
        }
        for line in block.lines().take_while(|line| *line != "---") {
            writeln!(actual, "{line}").unwrap();
            if let Some(case) = line.strip_prefix(table) {
                write!(actual, "---\n{}", draw(case)).unwrap();
                cases += 1;
            }
        }
    }
    assert!(cases > 10, "{table}: only {cases} cases");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        return std::fs::write(&path, actual).unwrap();
    }
    let differs = golden.lines().zip(actual.lines()).find(|(old, new)| old != new);
    assert!(golden == actual, "{table} has changed (UPDATE_GOLDENFILES=1 writes it): {differs:?}");
}
