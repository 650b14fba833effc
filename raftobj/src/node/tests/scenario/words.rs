//! A command line, divided into its parts.

use super::links::{Host, Links, Way};
use std::collections::BTreeMap;

/// A command's words.
pub(super) struct Words<'a> {
    pub(super) command: &'a str,
    pub(super) plain: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Words<'a> {
        let mut words = line.split_whitespace();
        let command = words.next().expect("a command");
        let (options, plain): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
        let options = options.into_iter().filter_map(|option| option.split_once('=')).collect();
        Words { command, plain, options }
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

    fn arrow(&self) -> Option<Way> {
        let (from, to) = self.plain.iter().find_map(|word| word.split_once("->"))?;
        Some((host(from), host(to)))
    }

    /// The directions that `n1->n2`, `from=n1` and `to=n2` select.
    pub(super) fn ways(&self, links: &Links) -> Vec<Way> {
        if let Some(way) = self.arrow() {
            return vec![way];
        }
        let (from, to) = (self.value("from").map(host), self.value("to").map(host));
        let selected = |way: &Way| from.is_none_or(|from| way.0 == from) && to.is_none_or(|to| way.1 == to);
        links.ways().into_iter().filter(selected).collect()
    }

    /// The directions that `n1->n2`, `n1 n2`, `n1` or nothing select.
    pub(super) fn links(&self, links: &Links) -> Vec<Way> {
        if let Some(way) = self.arrow() {
            return vec![way];
        }
        let ways = links.ways().into_iter();
        match self.hosts()[..] {
            [] => ways.collect(),
            [host] => ways.filter(|way| way.0 == host || way.1 == host).collect(),
            [a, b] => ways.filter(|way| *way == (a, b) || *way == (b, a)).collect(),
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
