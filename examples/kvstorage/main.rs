//! `kvstorage`: a dictionary of strings that is the same on every node, and a prompt to use it.
//!
//! [`storage`] is all that a user of raftobj writes to get the dictionary; [`nodes`] starts it, [`session`] calls
//! it. The rest is a command-line program as any other: [`arguments`], [`input`], [`words`] and [`command`],
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

use arguments::{Arguments, Misuse, Task, USAGE};
use input::{Input, Settings};
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
        Err(misuse) => Err(misuse.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, sentence }) => {
            eprintln!("kvstorage: {sentence}");
            ExitCode::from(code)
        }
    }
}

/// Why the process ends with an error.
struct Failure {
    /// 2: the command line is wrong. 1: anything else.
    code: u8,
    sentence: String,
}

/// Why the nodes are to be shut down.
enum End {
    /// The input has ended.
    Input,
    /// SIGINT, SIGTERM or SIGHUP.
    Signal,
    /// The node cannot go on.
    Stopped(String),
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::keep();
    let mut input = Input::open();
    let notices = Notices::new(input.printer());
    notices.take_traces();
    let done = run_nodes(arguments, input, &notices);
    drop(settings);
    notices.flush();
    done
}

/// Runs the nodes until there is a reason to end.
fn run_nodes(arguments: &Arguments, input: Input, notices: &Notices) -> Result<(), Failure> {
    let at_terminal = matches!(input, Input::Terminal(_));
    let nodes = Nodes::start(arguments)?;
    notices.say(&nodes.banner);

    // Whoever finds a reason to end says so here. Nobody is waited for: the session may be reading.
    let (end, ended) = mpsc::channel();
    // After the input is open: an editor takes over signals, and these handlers call the former ones.
    on_signals(end.clone())?;
    let watch = nodes.first().node().watch();
    let (stopped, notices) = (end.clone(), notices.clone());
    thread::spawn(move || stopped.send(End::Stopped(notices.follow(watch))));
    if !arguments.serve {
        let node = nodes.first().clone();
        thread::spawn(move || {
            session::run(input, &node);
            let _ = end.send(End::Input);
        });
    }

    let why = ended.recv();
    if matches!(why, Ok(End::Signal)) && at_terminal {
        // The line that was being edited stays as it is.
        println!();
    }
    nodes.shutdown();
    match why {
        Ok(End::Stopped(reason)) => {
            Err(Failure { code: 1, sentence: format!("the node has stopped: {reason}") })
        }
        _ => Ok(()),
    }
}

/// The first signal ends the process in order; the second one at once.
fn on_signals(end: Sender<End>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        let _ = end.send(End::Signal);
        signals.next();
        process::exit(1);
    });
    Ok(())
}

impl From<Misuse> for Failure {
    fn from(Misuse(sentence): Misuse) -> Failure {
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
            StartError::Mismatch(_) => Failure { code: 2, sentence: format!("{error} with --data-dir DIR") },
            StartError::Address(_) | StartError::Peers(_) | StartError::Options(_) => {
                Failure { code: 2, sentence: error.to_string() }
            }
            _ => Failure { code: 1, sentence: error.to_string() },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure { code: 1, sentence: format!("the system refuses what the program needs: {error}") }
    }
}
