//! Inspects the data directory of a stopped node.
//!
//! `cargo run --example inspect verify DIR` checks it, `… dump DIR` also lists the records of its log. Exit code 0: no
//! damage; 1: damaged, or not readable; 2: wrong arguments.

use raftobj::inspect::{self, DirectoryReport, InspectError};
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
                "usage: `inspect verify DIR` or `inspect dump DIR`, where DIR is the data directory of a stopped node"
            );
            return ExitCode::from(2);
        }
    };
    match report {
        Ok(report) => {
            // To the same place as the records of a dump: the report follows them.
            let _ = write!(io::stdout(), "{report}");
            if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("inspect: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dump(directory: &str) -> Result<DirectoryReport, InspectError> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    // A reader that stops early (`head`) closes the pipe. The rest is then read for the report only.
    inspect::dump(directory, |record| drop(writeln!(output, "{record}")))
}
