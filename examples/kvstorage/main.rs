//! `kvstorage`: a dictionary of strings that is the same on every node, and a prompt to use it.
//!
//! Begin with [`storage`]: it is all that a user of raftobj writes for the dictionary. [`nodes`] starts it, [`session`]
//! calls it. The rest is an ordinary command-line program: [`arguments`], [`input`], [`words`] and [`command`],
//! [`answer`], [`notices`].

mod answer;
mod arguments;
mod command;
mod input;
mod nodes;
mod notices;
mod session;
mod storage;
mod words;

use arguments::{Arguments, Task, USAGE, UsageError};
use input::{Input, TerminalSettings};
use nodes::{Nodes, NodesError};
use notices::Notices;
use raftobj::StartError;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::process::{self, ExitCode};
use std::sync::mpsc::{self, Sender};
use std::thread;

fn main() -> ExitCode {
    let done = match Task::parse(std::env::args_os().skip(1)) {
        Ok(Task::Help) => {
            println!("{USAGE}");
            Ok(())
        }
        Ok(Task::Run(arguments)) => run(&arguments),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, sentence }) => {
            eprintln!("kvstorage: {sentence}");
            ExitCode::from(code)
        }
    }
}

/// Why the process fails.
struct Failure {
    /// The exit code. 2: the command line is wrong; 1: anything else.
    code: u8,
    sentence: String,
}

/// Why the nodes are shut down.
enum ShutdownReason {
    /// End of the input.
    InputEnd,
    /// SIGINT, SIGTERM or SIGHUP.
    Signal,
    /// The node stopped, for this reason.
    Stopped(String),
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = TerminalSettings::save();
    let mut input = Input::open();
    let notices = Notices::new(input.printer());
    notices.subscribe_to_tracing();
    let done = run_nodes(arguments, input, &notices);
    drop(settings);
    notices.flush();
    done
}

/// Runs the nodes until there is a reason to end.
fn run_nodes(arguments: &Arguments, input: Input, notices: &Notices) -> Result<(), Failure> {
    let at_terminal = matches!(input, Input::Terminal(_));
    let nodes = Nodes::start(arguments)?;
    notices.print(&nodes.banner);

    // The first reason to shut down counts. Its threads are not joined: the session may be blocked on its input.
    let (reasons, received) = mpsc::channel();
    // After the input is open: the line editor installs signal handlers, and ours call the earlier ones.
    on_signals(reasons.clone())?;
    let watch = nodes.first().node().watch_status();
    let (stopped, notices) = (reasons.clone(), notices.clone());
    thread::spawn(move || stopped.send(ShutdownReason::Stopped(notices.follow(watch))));
    if !arguments.serve {
        let node = nodes.first().clone();
        thread::spawn(move || {
            session::run(input, &node);
            let _ = reasons.send(ShutdownReason::InputEnd);
        });
    }

    let reason = received.recv();
    if matches!(reason, Ok(ShutdownReason::Signal)) && at_terminal {
        // Ends the line that was being edited.
        println!();
    }
    nodes.shutdown();
    match reason {
        Ok(ShutdownReason::Stopped(reason)) => {
            Err(Failure { code: 1, sentence: format!("the node has stopped: {reason}") })
        }
        _ => Ok(()),
    }
}

/// The first signal shuts the nodes down; the second ends the process at once.
fn on_signals(reasons: Sender<ShutdownReason>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        let _ = reasons.send(ShutdownReason::Signal);
        signals.next();
        process::exit(1);
    });
    Ok(())
}

impl From<UsageError> for Failure {
    fn from(UsageError(sentence): UsageError) -> Failure {
        Failure { code: 2, sentence }
    }
}

impl From<NodesError> for Failure {
    fn from(error: NodesError) -> Failure {
        match error {
            NodesError::Start(error) => error.into(),
            NodesError::System(error) => error.into(),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        match error {
            StartError::WrongDataDir(_) => {
                Failure { code: 2, sentence: format!("{error} with --data-dir DIR") }
            }
            StartError::Address(_) | StartError::Peers(_) | StartError::Options(_) => {
                Failure { code: 2, sentence: error.to_string() }
            }
            _ => Failure { code: 1, sentence: error.to_string() },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure { code: 1, sentence: format!("the operating system reports an error: {error}") }
    }
}
