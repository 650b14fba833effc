//! A line of a script, divided into its parts.

use super::network::{Direction, Host, ScriptedNetwork};
use std::collections::BTreeMap;

/// `command argument… key=value…`
pub(super) struct CommandLine<'a> {
    pub(super) command: &'a str,
    pub(super) arguments: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> CommandLine<'a> {
    pub(super) fn parse(line: &'a str) -> CommandLine<'a> {
        let mut parts = line.split_whitespace();
        let command = parts.next().expect("a line has a command");
        let (options, arguments): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.contains('='));
        let options = options.into_iter().filter_map(|option| option.split_once('=')).collect();
        CommandLine { command, arguments, options }
    }

    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments.contains(&argument)
    }

    pub(super) fn option(&self, key: &str) -> Option<&'a str> {
        self.options.get(key).copied()
    }

    pub(super) fn number_option(&self, key: &str) -> Option<u64> {
        self.option(key)
            .map(|value| value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number")))
    }

    /// The first argument that is a number.
    pub(super) fn count(&self) -> Option<u64> {
        self.arguments.iter().find_map(|argument| argument.parse().ok())
    }

    /// The arguments that name servers.
    pub(super) fn hosts(&self) -> Vec<Host> {
        self.arguments.iter().filter_map(|argument| parse_host(argument)).collect()
    }

    /// The directions that `n1->n2`, or `from=n1` and `to=n2`, select.
    pub(super) fn directions(&self, network: &ScriptedNetwork) -> Vec<Direction> {
        if let Some(direction) = self.arrow() {
            return vec![direction];
        }
        let (from, to) = (self.option("from").map(host), self.option("to").map(host));
        let mut directions = network.directions();
        directions.retain(|direction| {
            from.is_none_or(|from| direction.from == from) && to.is_none_or(|to| direction.to == to)
        });
        directions
    }

    /// The directions that `n1->n2`, `n1 n2`, `n1` or no argument select.
    pub(super) fn links(&self, network: &ScriptedNetwork) -> Vec<Direction> {
        if let Some(direction) = self.arrow() {
            return vec![direction];
        }
        let hosts = self.hosts();
        assert!(hosts.len() <= 2, "links are selected by one server or by two");
        let mut directions = network.directions();
        directions.retain(|direction| hosts.iter().all(|host| direction.touches(*host)));
        directions
    }

    fn arrow(&self) -> Option<Direction> {
        let (from, to) = self.arguments.iter().find_map(|argument| argument.split_once("->"))?;
        Some(Direction { from: host(from), to: host(to) })
    }
}

/// `n1`.
pub(super) fn host(text: &str) -> Host {
    parse_host(text).unwrap_or_else(|| panic!("{text} is not a server"))
}

fn parse_host(text: &str) -> Option<Host> {
    text.strip_prefix('n')?.parse().ok().map(Host)
}
