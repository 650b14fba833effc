//! Notices on standard error: role changes, refusals, nodes that a new cluster waits for.
//!
//! At a terminal a notice must not break the line that is being typed, so it is printed above that line.

use raftobj::StatusWatch;
use rustyline::ExternalPrinter;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Writes notices to standard error.
///
/// A separate thread writes: the reader may be slow, or a frozen terminal, and a node must not wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    queue: SyncSender<Notice>,
}

#[derive(Debug)]
enum Notice {
    Line(String),
    /// Acknowledged when everything before it is written.
    Flush(SyncSender<()>),
}

/// How many notices may wait to be written; further ones are dropped.
const QUEUE_MAX: usize = 1024;

/// How long the process waits at its end for the last notices to be read.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(1);

impl Notices {
    /// Prints above the prompt of `printer`, if standard error is a terminal.
    pub(crate) fn new(printer: Option<impl ExternalPrinter + Send + 'static>) -> Notices {
        let mut printer = printer.filter(|_| io::stderr().is_terminal());
        let (queue, notices) = mpsc::sync_channel(QUEUE_MAX);
        thread::spawn(move || {
            for notice in notices {
                // If nobody reads, the node goes on.
                match (notice, &mut printer) {
                    (Notice::Line(line), Some(printer)) => drop(printer.print(line)),
                    (Notice::Line(line), None) => drop(io::stderr().write_all(line.as_bytes())),
                    (Notice::Flush(done), _) => drop(done.send(())),
                }
            }
        });
        Notices { queue }
    }

    /// Waits, at most [`FLUSH_WAIT_MAX`], until all notices are written.
    pub(crate) fn flush(&self) {
        let (done, flushed) = mpsc::sync_channel(1);
        if self.queue.try_send(Notice::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_WAIT_MAX);
        }
    }

    /// Prints the events that nodes emit through `tracing`: level info and above, or as `RUST_LOG` sets it.
    pub(crate) fn subscribe_to_tracing(&self) {
        let filter = std::env::var("RUST_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
        let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        let notices = self.clone();
        let lines = tracing_subscriber::fmt::layer().compact().with_target(false).with_ansi(false);
        let lines = lines.with_writer(move || notices.clone());
        tracing_subscriber::registry().with(filter).with(lines).init();
    }

    /// Prints a line.
    pub(crate) fn print(&self, line: &str) {
        let _ = self.queue.try_send(Notice::Line(format!("{line}\n")));
    }

    /// Prints which nodes a new cluster waits for, until it is formed. Returns when the node stops, with the reason.
    #[allow(clippy::disallowed_methods, reason = "a wait that ends at once is not worth a notice")]
    pub(crate) fn follow(&self, mut watch: StatusWatch) -> String {
        let mut printed = Vec::new();
        let mut status = watch.status();
        loop {
            if status.waiting_for != printed {
                thread::sleep(FOUNDING_TIME);
                status = watch.status();
            }
            if status.waiting_for != printed {
                printed.clone_from(&status.waiting_for);
                match printed.as_slice() {
                    [] => self.print("the cluster is formed"),
                    missing => self.print(&format!(
                        "a new cluster waits once for all its nodes; still missing: {}",
                        missing.join(", ")
                    )),
                }
            }
            if let Some(reason) = &status.stop_reason {
                return reason.clone();
            }
            match watch.wait_changed() {
                Some(next) => status = next,
                None => return status.stop_reason.clone().unwrap_or("its engine has ended".into()),
            }
        }
    }
}

/// How long founding takes once all nodes are connected. The nodes that it waits for in this time are not printed.
const FOUNDING_TIME: Duration = Duration::from_millis(200);

impl Write for Notices {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.queue.try_send(Notice::Line(String::from_utf8_lossy(bytes).into_owned()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
