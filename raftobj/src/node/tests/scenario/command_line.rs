//! A command line, divided into its parts.

use super::network::{Direction, Host, ScriptedNetwork};
use std::collections::BTreeMap;

/// A command's words.
pub(super) struct CommandLine<'a> {
    pub(super) command: &'a str,
    pub(super) plain: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> CommandLine<'a> {
    pub(super) fn new(line: &'a str) -> CommandLine<'a> {
        let mut words = line.split_whitespace();
        let command = words.next().expect("a command");
        let (options, plain): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
        let options = options.into_iter().filter_map(|option| option.split_once('=')).collect();
        CommandLine { command, plain, options }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    pub(super) fn value(&self, option: &str) -> Option<&'a str> {
        self.options.get(option).copied()
    }

    pub(super) fn number(&self, option: &str) -> Option<u64> {
        self.value(option).map(|value| value.parse().unwrap_or_else(|_| panic!("{option}={value}")))
    }

    /// The first plain number.
    pub(super) fn count(&self) -> Option<u64> {
        self.plain.iter().find_map(|word| word.parse().ok())
    }

    pub(super) fn hosts(&self) -> Vec<Host> {
        self.plain.iter().filter_map(|word| try_host(word)).collect()
    }

    fn arrow(&self) -> Option<Direction> {
        let (from, to) = self.plain.iter().find_map(|word| word.split_once("->"))?;
        Some((host(from), host(to)))
    }

    /// The directions that `n1->n2`, `from=n1` and `to=n2` select.
    pub(super) fn directions(&self, links: &ScriptedNetwork) -> Vec<Direction> {
        if let Some(direction) = self.arrow() {
            return vec![direction];
        }
        let (from, to) = (self.value("from").map(host), self.value("to").map(host));
        let selected = |direction: &Direction| {
            from.is_none_or(|from| direction.0 == from) && to.is_none_or(|to| direction.1 == to)
        };
        links.directions().into_iter().filter(selected).collect()
    }

    /// The directions that `n1->n2`, `n1 n2`, `n1` or nothing select.
    pub(super) fn links(&self, links: &ScriptedNetwork) -> Vec<Direction> {
        if let Some(direction) = self.arrow() {
            return vec![direction];
        }
        let directions = links.directions().into_iter();
        match self.hosts()[..] {
            [] => directions.collect(),
            [host] => directions.filter(|direction| direction.0 == host || direction.1 == host).collect(),
            [a, b] => directions.filter(|direction| *direction == (a, b) || *direction == (b, a)).collect(),
            _ => panic!("one node, or two"),
        }
    }
}

/// `n1`.
pub(super) fn host(word: &str) -> Host {
    try_host(word).unwrap_or_else(|| panic!("{word} is no node"))
}

fn try_host(word: &str) -> Option<Host> {
    word.strip_prefix('n')?.parse().ok().map(Host)
}
