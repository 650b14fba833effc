//! Runs seeds of the simulator on all cores: a number of them, or for a number of minutes.
//!
//! ```text
//! cargo run --release --example simulate -- --seeds 10000
//! cargo run --release --example simulate -- --minutes 120 --first 5000000
//! cargo run --release --example simulate -- --repeat 'seed 17 steps 2000'
//! ```
//!
//! At the first run that breaks a rule it stops, prints how to repeat the run and the shortest schedule found, and exits
//! with 1. At the end it prints a table of the faults and rare branches that the runs have reached. With `--strict` a
//! zero in this table is a failure, too.

#![allow(clippy::disallowed_methods, reason = "it measures how long it takes")]

use raftobj::sim::{Failure, Report, Simulation, standard};
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: simulate [--seeds N | --minutes N] [--first SEED] [--steps N] [--jobs N] [--strict] [--repeat RUN]

  --seeds N      run N seeds (default 1000)
  --minutes N    run seeds for N minutes
  --first SEED   begin with this seed (default 0)
  --steps N      events of a run before its faults end (default 2000)
  --jobs N       runs at a time (default: one per core); the result does not depend on it
  --strict       fail if a kind of fault or a rare branch was not reached
  --repeat RUN   repeat one run: 'seed 17 steps 2000', or a schedule as a failure prints it";

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    seeds: Option<u64>,
    minutes: Option<u64>,
    first: u64,
    steps: usize,
    jobs: Option<usize>,
    strict: bool,
    repeat: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print_line(format_args!("{USAGE}"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("simulate: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = match &arguments.repeat {
        Some(line) => standard::simulation().steps(arguments.steps).replay(line),
        None => run(&arguments),
    };
    match result {
        Ok(report) => {
            print_line(format_args!("{report:#}"));
            let unreached = report.unreached();
            if arguments.strict && !unreached.is_empty() {
                eprintln!("not reached: {}", unreached.join("; "));
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

/// Prints a line. If the output is closed, its reader has read enough.
fn print_line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

const JOBS_MAX: u64 = 1_024;

/// How many runs a thread may be ahead of the count.
const RUNS_AHEAD_MAX: usize = 16;

/// Runs seeds until all have run, or the time is over. They are counted in their order, whichever thread ran them.
fn run(arguments: &Arguments) -> Result<Report, Failure> {
    let began = Instant::now();
    let end = arguments.minutes.map(|minutes| began + Duration::from_secs(60 * minutes));
    let seeds = match (arguments.seeds, end) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX,
        (None, None) => 1_000,
    };
    let last = arguments.first.saturating_add(seeds.saturating_sub(1));
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = arguments.jobs.unwrap_or_else(cores);
    let mut progress = Progress { began, printed: began, on_terminal: io::stderr().is_terminal() };
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let start = |job: usize| {
            let (sender, runs) = sync_channel(RUNS_AHEAD_MAX);
            let (first, steps) = (arguments.first.saturating_add(job as u64), arguments.steps);
            scope.spawn(move || {
                let simulation = standard::simulation().steps(steps);
                // The thread ends after its last seed, or when the count ends.
                (first..=last).step_by(jobs).all(|seed| sender.send(simulation.run_seed(seed)).is_ok());
            });
            runs
        };
        let runs: Vec<Receiver<Result<Report, Failure>>> = (0..jobs).map(start).collect();
        for (seed, runs) in (arguments.first..=last).zip(runs.iter().cycle()) {
            let Ok(run) = runs.recv() else { break };
            report += &run?;
            progress.print(seed, &report);
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        Ok(())
    })?;
    if progress.on_terminal {
        eprintln!();
    }
    let seconds = began.elapsed().as_secs_f64();
    let each = report.runs() as f64 / seconds / jobs as f64;
    print_line(format_args!("{seconds:.0} seconds, {each:.0} runs per second in each of {jobs} threads"));
    Ok(report)
}

/// Prints a line that changes in a terminal, and a line per minute elsewhere.
struct Progress {
    began: Instant,
    printed: Instant,
    on_terminal: bool,
}

impl Progress {
    fn print(&mut self, seed: u64, report: &Report) {
        let interval = Duration::from_secs(if self.on_terminal { 1 } else { 60 });
        if self.printed.elapsed() < interval {
            return;
        }
        self.printed = Instant::now();
        let seconds = self.began.elapsed().as_secs();
        let (runs, steps, calls) = (report.runs(), report.steps(), report.applied_calls());
        let (begin, end) = if self.on_terminal { ("\r", "") } else { ("", "\n") };
        eprint!(
            "{begin}{seconds} s: seed {seed}, {runs} runs, {steps} steps, {calls} calls took effect{end}"
        );
        // A failure to print the progress is no reason to stop.
        let _ = io::stderr().flush();
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments {
        seeds: None,
        minutes: None,
        first: 0,
        steps: 2_000,
        jobs: None,
        strict: false,
        repeat: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("`{text}` is not a number"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seeds" => match number(value()?)? {
                0 => return Err("--seeds must be at least 1".to_owned()),
                seeds => arguments.seeds = Some(seeds),
            },
            "--minutes" => arguments.minutes = Some(number(value()?)?),
            "--first" => arguments.first = number(value()?)?,
            "--steps" => arguments.steps = number(value()?)? as usize,
            "--jobs" => match number(value()?)? {
                jobs @ 1..=JOBS_MAX => arguments.jobs = Some(jobs as usize),
                jobs => return Err(format!("--jobs must be from 1 to {JOBS_MAX}, not {jobs}")),
            },
            "--strict" => arguments.strict = true,
            "--repeat" => {
                let line = value()?;
                Simulation::<standard::Slots>::validate_run(&line)?;
                arguments.repeat = Some(line);
            }
            _ => return Err(format!("`{word}` is not an option")),
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
    fn arguments_are_parsed_and_errors_name_them() {
        let arguments = parsed("--minutes 3 --first 7 --strict").unwrap().unwrap();
        assert_eq!((arguments.minutes, arguments.first, arguments.strict), (Some(3), 7, true));
        assert_eq!(parsed("--help"), Ok(None));
        let error = "`seed` is not a run: `seed` needs a number after it";
        assert_eq!(parsed("--repeat seed"), Err(error.to_owned()));
        assert_eq!(parsed("--seeds 0"), Err("--seeds must be at least 1".to_owned()));
        assert_eq!(parsed("--jobs 0"), Err("--jobs must be from 1 to 1024, not 0".to_owned()));
        assert_eq!(parsed("--seeds x"), Err("`x` is not a number".to_owned()));
        assert_eq!(parsed("--seeds"), Err("--seeds needs a value".to_owned()));
        assert_eq!(parsed("seeds"), Err("`seeds` is not an option".to_owned()));
    }
}
