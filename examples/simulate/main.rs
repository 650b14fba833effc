//! Runs seeds of the simulator, for as many or as long as one likes.
//!
//! ```text
//! cargo run --release --example simulate -- --seeds 10000
//! cargo run --release --example simulate -- --minutes 120 --first 5000000
//! cargo run --release --example simulate -- --repeat 'seed 17 steps 2000'
//! ```
//!
//! It stops at the first run in which something happened that must not, prints how to repeat it and the shortest
//! schedule that was found, and exits with 1. At the end comes a table of what the runs have reached: with `--strict`
//! it exits with 1, too, where that has a zero.

#![allow(clippy::disallowed_methods, reason = "it says how long it took")]

use raftobj::sim::{Report, Simulation, standard};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: simulate [--seeds N | --minutes N] [--first SEED] [--steps N] [--strict] [--repeat RUN]

  --seeds N      run so many seeds (default 1000)
  --minutes N    run seeds for so long
  --first SEED   begin with this seed (default 0)
  --steps N      events in a run before its faults end (default 2000)
  --strict       fail where a kind of fault or a rare branch was never reached
  --repeat RUN   repeat one run: 'seed 17 steps 2000', or a schedule as a failure prints it";

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    seeds: Option<u64>,
    minutes: Option<u64>,
    first: u64,
    steps: usize,
    strict: bool,
    repeat: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("simulate: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let simulation = standard::simulation().steps(arguments.steps);
    let result = match &arguments.repeat {
        Some(line) => simulation.replay(line),
        None => run(&simulation, &arguments),
    };
    match result {
        Ok(report) => {
            println!("{report:#}");
            let missed = report.missed();
            if arguments.strict && !missed.is_empty() {
                eprintln!("never reached: {}", missed.join("; "));
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs seed after seed until there were enough, or the time is over.
fn run<T: raftobj::Object>(
    simulation: &Simulation<T>,
    arguments: &Arguments,
) -> Result<Report, raftobj::sim::Failure> {
    let began = Instant::now();
    let end = arguments.minutes.map(|minutes| began + Duration::from_secs(60 * minutes));
    let seeds = match (arguments.seeds, end) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX - arguments.first,
        (None, None) => 1_000,
    };
    let mut progress = Progress { began, told: began, on_terminal: io::stderr().is_terminal() };
    let mut report = Report::default();
    for seed in (arguments.first..).take(usize::try_from(seeds).unwrap_or(usize::MAX)) {
        report += &simulation.run_seed(seed)?;
        progress.tell(seed, &report);
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    if progress.on_terminal {
        eprintln!();
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} seconds, {:.0} runs a second", seconds, report.runs() as f64 / seconds);
    Ok(report)
}

/// A line that changes in a terminal, and a line a minute elsewhere.
struct Progress {
    began: Instant,
    told: Instant,
    on_terminal: bool,
}

impl Progress {
    fn tell(&mut self, seed: u64, report: &Report) {
        let every = Duration::from_secs(if self.on_terminal { 1 } else { 60 });
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let seconds = self.began.elapsed().as_secs();
        let (runs, steps, calls) = (report.runs(), report.steps(), report.calls());
        let (begin, end) = if self.on_terminal { ("\r", "") } else { ("", "\n") };
        eprint!(
            "{begin}{seconds} s: seed {seed}, {runs} runs, {steps} steps, {calls} calls took effect{end}"
        );
        // A progress line that cannot be written is no reason to stop.
        let _ = io::stderr().flush();
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments =
        Arguments { seeds: None, minutes: None, first: 0, steps: 2_000, strict: false, repeat: None };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value behind it"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("`{text}` is not a number"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seeds" => arguments.seeds = Some(number(value()?)?),
            "--minutes" => arguments.minutes = Some(number(value()?)?),
            "--first" => arguments.first = number(value()?)?,
            "--steps" => arguments.steps = number(value()?)? as usize,
            "--strict" => arguments.strict = true,
            "--repeat" => arguments.repeat = Some(value()?),
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    Ok(Some(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Arguments>, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_and_nonsense_is_named() {
        let arguments = parsed("--minutes 3 --first 7 --strict").unwrap().unwrap();
        assert_eq!((arguments.minutes, arguments.first, arguments.strict), (Some(3), 7, true));
        assert_eq!(parsed("--help"), Ok(None));
        assert_eq!(parsed("--seeds x"), Err("`x` is not a number".to_owned()));
        assert_eq!(parsed("--seeds"), Err("--seeds wants a value behind it".to_owned()));
        assert_eq!(parsed("seeds"), Err("`seeds` is not known".to_owned()));
    }
}
