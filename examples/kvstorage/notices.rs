//! What is told beside the answers, on standard error: role changes, refusals, whom the cluster waits for.
//!
//! At a terminal a notice must not tear the line that is being typed: there it goes above it.

use raftobj::Watch;
use rustyline::ExternalPrinter;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Where notices go.
#[derive(Clone, Debug)]
pub(crate) enum Notices {
    /// Straight to standard error.
    Stderr,
    /// Above the prompt.
    AbovePrompt(Sender<String>),
}

impl Notices {
    /// Notices that go above the prompt of `printer`, if standard error is that terminal too.
    ///
    /// The printer may wait for the prompt; a node must not. So it has a thread.
    pub(crate) fn new(printer: Option<impl ExternalPrinter + Send + 'static>) -> Notices {
        let Some(mut printer) = printer.filter(|_| io::stderr().is_terminal()) else {
            return Notices::Stderr;
        };
        let (sender, notices) = mpsc::channel();
        thread::spawn(move || {
            for notice in notices {
                if printer.print(notice).is_err() {
                    return;
                }
            }
        });
        Notices::AbovePrompt(sender)
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
    pub(crate) fn say(&mut self, line: &str) {
        // Nobody may be listening; the node goes on.
        let _ = self.write_all(format!("{line}\n").as_bytes());
    }

    /// Tells for whom a new cluster waits, until it is formed. Returns why the node has stopped.
    pub(crate) fn follow(&mut self, mut watch: Watch) -> String {
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
        match self {
            Notices::Stderr => io::stderr().write(bytes),
            Notices::AbovePrompt(sender) => {
                let _ = sender.send(String::from_utf8_lossy(bytes).into_owned());
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
