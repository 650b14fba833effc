//! What is told beside the answers, on standard error: role changes, refusals, whom the cluster waits for.
//!
//! At a terminal a notice must not tear the line that is being typed: there it goes above it.

use raftobj::Watch;
use rustyline::ExternalPrinter;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The way to standard error.
///
/// A thread of its own writes: whoever reads there may be slow, or a frozen terminal, and a node must not wait.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    queue: SyncSender<Notice>,
}

#[derive(Debug)]
enum Notice {
    Line(String),
    /// Everything before it is written.
    Flush(SyncSender<()>),
}

/// Notices that may wait to be written; more are lost.
const QUEUE_MAX: usize = 1024;

/// The longest that the end of the process waits for its last notices to be read.
const FLUSH_TAKES_MAX: Duration = Duration::from_secs(1);

impl Notices {
    /// Notices that go above the prompt of `printer`, if standard error is that terminal too.
    pub(crate) fn new(printer: Option<impl ExternalPrinter + Send + 'static>) -> Notices {
        let mut printer = printer.filter(|_| io::stderr().is_terminal());
        let (queue, notices) = mpsc::sync_channel(QUEUE_MAX);
        thread::spawn(move || {
            for notice in notices {
                // Nobody may be listening; the node goes on.
                match (notice, &mut printer) {
                    (Notice::Line(line), Some(printer)) => drop(printer.print(line)),
                    (Notice::Line(line), None) => drop(io::stderr().write_all(line.as_bytes())),
                    (Notice::Flush(done), _) => drop(done.send(())),
                }
            }
        });
        Notices { queue }
    }

    /// Waits, but not for ever, until all that was told is written.
    pub(crate) fn flush(&self) {
        let (done, flushed) = mpsc::sync_channel(1);
        if self.queue.try_send(Notice::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_TAKES_MAX);
        }
    }

    /// Sends what nodes tell through `tracing` here: from level info, or as `RUST_LOG` says.
    pub(crate) fn take_traces(&self) {
        let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
        let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        let notices = self.clone();
        let lines = tracing_subscriber::fmt::layer().compact().with_target(false).with_ansi(false);
        let lines = lines.with_writer(move || notices.clone());
        tracing_subscriber::registry().with(wanted).with(lines).init();
    }

    /// Tells a line.
    pub(crate) fn say(&self, line: &str) {
        let _ = self.queue.try_send(Notice::Line(format!("{line}\n")));
    }

    /// Tells for whom a new cluster waits, until it is formed. Returns why the node has stopped.
    #[allow(clippy::disallowed_methods, reason = "what is over in a moment is not worth a line")]
    pub(crate) fn follow(&self, mut watch: Watch) -> String {
        let mut waited_for = Vec::new();
        let mut status = watch.status();
        loop {
            if status.waiting_for != waited_for {
                thread::sleep(FOUNDING_TAKES);
                status = watch.status();
            }
            if status.waiting_for != waited_for {
                waited_for.clone_from(&status.waiting_for);
                match waited_for.as_slice() {
                    [] => self.say("the cluster is formed"),
                    missing => self.say(&format!(
                        "a new cluster waits once for all its nodes; still missing: {}",
                        missing.join(", ")
                    )),
                }
            }
            if let Some(reason) = &status.stopped {
                return reason.clone();
            }
            match watch.wait() {
                Some(next) => status = next,
                None => return status.stopped.clone().unwrap_or("its engine is gone".into()),
            }
        }
    }
}

/// Once all nodes have met they still write and announce; whom that waits for is not worth a line.
const FOUNDING_TAKES: Duration = Duration::from_millis(200);

impl Write for Notices {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.queue.try_send(Notice::Line(String::from_utf8_lossy(bytes).into_owned()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
