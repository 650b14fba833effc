//! Looks into a node's data directory while no node uses it.
//!
//! `cargo run --example inspect verify DIR` says whether it is whole, `… dump DIR` lists what is in its log. Exit code
//! 0: whole; 1: damaged, or not readable; 2: wrong arguments.

use raftobj::inspect::{self, InspectError, Report};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match arguments[..] {
        ["verify", directory] => inspect::verify(directory),
        ["dump", directory] => dump(directory),
        _ => {
            eprintln!(
                "inspect: say `verify DIR` or `dump DIR`, with the data directory of a node that does not run"
            );
            return ExitCode::from(2);
        }
    };
    match report {
        Ok(report) => {
            // The list of a dump goes to the same place: the summary is its end.
            let _ = write!(io::stdout(), "{report}");
            if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("inspect: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dump(directory: &str) -> Result<Report, InspectError> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    // A reader that has seen enough (`head`) closes the pipe; then the rest is read for the summary only.
    inspect::dump(directory, |line| drop(writeln!(output, "{line}")))
}
