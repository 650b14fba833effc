//! Runs seeds of the simulator, for as many or as long as one likes, on all cores.
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

use raftobj::sim::{Failure, Report, Simulation, standard};
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: simulate [--seeds N | --minutes N] [--first SEED] [--steps N] [--jobs N] [--strict] [--repeat RUN]

  --seeds N      run so many seeds (default 1000)
  --minutes N    run seeds for so long
  --first SEED   begin with this seed (default 0)
  --steps N      events in a run before its faults end (default 2000)
  --jobs N       so many runs at a time (default: one a core); the result is the same
  --strict       fail where a kind of fault or a rare branch was never reached
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
            say(format_args!("{USAGE}"));
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
            say(format_args!("{report:#}"));
            let unreached = report.unreached();
            if arguments.strict && !unreached.is_empty() {
                eprintln!("never reached: {}", unreached.join("; "));
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

/// Whoever closed a pipe has read enough.
fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

const JOBS_MAX: u64 = 1_024;

/// A thread simulates so many runs at most before they are counted.
const AHEAD: usize = 16;

/// Runs seed after seed until there were enough, or the time is over. They are counted in their order, whoever ran them.
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
    let mut progress = Progress { began, told: began, on_terminal: io::stderr().is_terminal() };
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let start = |job: usize| {
            let (done, runs) = sync_channel(AHEAD);
            let (first, steps) = (arguments.first.saturating_add(job as u64), arguments.steps);
            scope.spawn(move || {
                let simulation = standard::simulation().steps(steps);
                // It ends with the seeds, or when nobody counts any more.
                (first..=last).step_by(jobs).all(|seed| done.send(simulation.run_seed(seed)).is_ok());
            });
            runs
        };
        let runs: Vec<Receiver<Result<Report, Failure>>> = (0..jobs).map(start).collect();
        for (seed, runs) in (arguments.first..=last).zip(runs.iter().cycle()) {
            let Ok(run) = runs.recv() else { break };
            report += &run?;
            progress.tell(seed, &report);
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
    say(format_args!("{seconds:.0} seconds, {each:.0} runs a second in each of {jobs} threads"));
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
        let (runs, steps, calls) = (report.runs(), report.steps(), report.applied_calls());
        let (begin, end) = if self.on_terminal { ("\r", "") } else { ("", "\n") };
        eprint!(
            "{begin}{seconds} s: seed {seed}, {runs} runs, {steps} steps, {calls} calls took effect{end}"
        );
        // A progress line that cannot be written is no reason to stop.
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
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value behind it"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("`{text}` is not a number"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seeds" => match number(value()?)? {
                0 => return Err("--seeds wants at least 1".to_owned()),
                seeds => arguments.seeds = Some(seeds),
            },
            "--minutes" => arguments.minutes = Some(number(value()?)?),
            "--first" => arguments.first = number(value()?)?,
            "--steps" => arguments.steps = number(value()?)? as usize,
            "--jobs" => match number(value()?)? {
                jobs @ 1..=JOBS_MAX => arguments.jobs = Some(jobs as usize),
                jobs => return Err(format!("--jobs goes from 1 to {JOBS_MAX}, not {jobs}")),
            },
            "--strict" => arguments.strict = true,
            "--repeat" => {
                let line = value()?;
                Simulation::<standard::Slots>::validate_run(&line)?;
                arguments.repeat = Some(line);
            }
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
        let error = "`seed` is not a run: `seed` has no number behind it";
        assert_eq!(parsed("--repeat seed"), Err(error.to_owned()));
        assert_eq!(parsed("--seeds 0"), Err("--seeds wants at least 1".to_owned()));
        assert_eq!(parsed("--jobs 0"), Err("--jobs goes from 1 to 1024, not 0".to_owned()));
        assert_eq!(parsed("--seeds x"), Err("`x` is not a number".to_owned()));
        assert_eq!(parsed("--seeds"), Err("--seeds wants a value behind it".to_owned()));
        assert_eq!(parsed("seeds"), Err("`seeds` is not known".to_owned()));
    }
}
