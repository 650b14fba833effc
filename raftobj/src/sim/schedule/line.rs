//! A run as a line of text: failures print it, and files of regressions hold it.
//!
//! ```text
//! seed 17 steps 2000
//! seed 17 nodes 3 clients 1: 12*tick; deliver 0 1 1; crash 0 0 5
//! ```

use super::event::{Event, from_text, to_text};
use super::setup::Setup;
use std::fmt;
use std::str::FromStr;

/// A run, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) seed: u64,
    /// `None`: as the seed draws it.
    pub(crate) nodes: Option<u8>,
    pub(crate) clients: Option<u8>,
    pub(crate) steps: Option<usize>,
    /// The schedule. `None`: as the seed draws it.
    pub(crate) events: Option<Vec<Event>>,
}

impl Line {
    /// The run of a seed, with this many events.
    pub(crate) fn of_seed(seed: u64, steps: usize) -> Line {
        Line { seed, nodes: None, clients: None, steps: Some(steps), events: None }
    }

    /// A run of a given schedule.
    pub(crate) fn of_schedule(setup: &Setup, events: Vec<Event>) -> Line {
        Line {
            seed: setup.seed,
            nodes: Some(setup.nodes),
            clients: Some(setup.clients),
            steps: None,
            events: Some(events),
        }
    }

    /// The setup that the seed draws, with the values of the line instead.
    pub(crate) fn override_setup(&self, mut setup: Setup) -> Setup {
        setup.nodes = self.nodes.unwrap_or(setup.nodes);
        setup.clients = self.clients.unwrap_or(setup.clients);
        setup
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { seed, nodes, clients, steps, events } = self;
        write!(f, "seed {seed}")?;
        nodes.iter().try_for_each(|nodes| write!(f, " nodes {nodes}"))?;
        clients.iter().try_for_each(|clients| write!(f, " clients {clients}"))?;
        steps.iter().try_for_each(|steps| write!(f, " steps {steps}"))?;
        events.iter().try_for_each(|events| write!(f, ": {}", to_text(events)))
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let (head, events) = match text.split_once(':') {
            Some((head, events)) => (head, Some(from_text(events)?)),
            None => (text, None),
        };
        let mut line = Line { seed: 0, nodes: None, clients: None, steps: None, events };
        let mut words = head.split_whitespace();
        let mut seed = None;
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{name}` needs a number after it"))?;
            let number: u64 =
                value.parse().map_err(|_| format!("`{value}` after `{name}` is not a number"))?;
            let small = |max: u8| match u8::try_from(number) {
                Ok(small) if (1..=max).contains(&small) => Ok(Some(small)),
                _ => Err(format!("{name} must be from 1 to {max}, not {number}")),
            };
            match name {
                "seed" => seed = Some(number),
                "nodes" => line.nodes = small(7)?,
                "clients" => line.clients = small(64)?,
                "steps" => line.steps = Some(number as usize),
                _ => return Err(format!("`{name}` is none of seed, nodes, clients, steps")),
            }
        }
        line.seed = seed.ok_or("a run begins with `seed` and its number")?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_as_they_are_printed() {
        for text in [
            "seed 17",
            "seed 17 steps 200",
            "seed 1 nodes 3 clients 2: 12*tick; write 0 1",
            "seed 1 nodes 7:",
        ] {
            let line: Line = text.parse().unwrap();
            assert_eq!(line.to_string().trim_end(), text);
        }
        for (text, error) in [
            ("nodes 3", "a run begins with `seed` and its number"),
            ("seed x", "`x` after `seed` is not a number"),
            ("seed 1 nodes 8", "nodes must be from 1 to 7, not 8"),
            ("seed 1 sand 8", "`sand` is none of seed, nodes, clients, steps"),
            ("seed", "`seed` needs a number after it"),
        ] {
            assert_eq!(text.parse::<Line>(), Err(error.to_owned()));
        }
    }
}
