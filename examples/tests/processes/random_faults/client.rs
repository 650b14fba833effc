//! A client of one process: sends one command after the other, until it is stopped or the process ends.

use super::record::{Answer, Command, Record};
use crate::harness::{NoAnswer, Process};
use raftobj::sim::Random;
use raftobj::sim::history::{ClientId, Timestamp};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// The state that the clients of a round share.
pub(crate) struct Shared {
    /// Set to end the clients.
    pub(crate) stop: AtomicBool,
    /// How many answers needed a majority, by node.
    pub(crate) served: Vec<AtomicU64>,
    /// The highest term that a leader's status has shown, and its node.
    leader: Mutex<(u64, Option<usize>)>,
    timestamps: AtomicU64,
    values: AtomicU64,
    /// How many keys were drawn. The set of keys changes over time, to keep the history of each key short.
    keys_drawn: AtomicU64,
}

/// How many keys are used at the same time: few, so that clients conflict.
const KEYS_AT_ONCE: u64 = 4;
/// How often each key is drawn, on average. The checker's work grows with the calls of a key.
const DRAWS_PER_KEY: u64 = 150;

impl Shared {
    pub(crate) fn new(size: usize) -> Shared {
        Shared {
            stop: AtomicBool::new(false),
            served: (0..size).map(|_| AtomicU64::new(0)).collect(),
            leader: Mutex::new((0, None)),
            timestamps: AtomicU64::new(0),
            values: AtomicU64::new(0),
            keys_drawn: AtomicU64::new(0),
        }
    }

    /// The leader that a status has shown last; it may be deposed by now.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.leader.lock().expect("no thread panics while it holds the lock").1
    }

    /// All keys that may have been used.
    pub(crate) fn keys(&self) -> u64 {
        (self.keys_drawn.load(SeqCst) / (KEYS_AT_ONCE * DRAWS_PER_KEY) + 1) * KEYS_AT_ONCE
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp(self.timestamps.fetch_add(1, SeqCst))
    }

    fn draw(&self, random: &mut Random) -> Command {
        let first = self.keys_drawn.fetch_add(1, SeqCst) / (KEYS_AT_ONCE * DRAWS_PER_KEY) * KEYS_AT_ONCE;
        let key = first + random.below(KEYS_AT_ONCE);
        match random.below(20) {
            0..8 => Command::Set { key, value: self.values.fetch_add(1, SeqCst) },
            8..10 => Command::Pop { key },
            10..14 => Command::Get { key, linearizable: true },
            14..19 => Command::Get { key, linearizable: false },
            _ => Command::Status,
        }
    }
}

/// A client of one process, from its start to its end.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) node: usize,
    pub(crate) process: Process,
    pub(crate) records: Vec<Record>,
}

/// Why a client ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientEnd {
    /// The round stopped it.
    Stopped,
    /// The process has ended.
    ProcessEnded,
    /// The process did not answer this command.
    Hung(Command),
    /// The process answered this command with a line that cannot be parsed.
    Unparsable(Command, String),
}

impl Client {
    /// Sends random commands. It always returns the process, whose owner signals and ends it.
    pub(crate) fn run(mut self, shared: &Shared, mut random: Random) -> (Client, ClientEnd) {
        while !shared.stop.load(SeqCst) {
            let command = shared.draw(&mut random);
            if let Err(end) = self.ask(shared, command) {
                return (self, end);
            }
        }
        (self, ClientEnd::Stopped)
    }

    /// Sends a command, waits for its answer, and records both.
    pub(crate) fn ask(&mut self, shared: &Shared, command: Command) -> Result<Answer, ClientEnd> {
        let begin = shared.timestamp();
        // If the process has ended, the next call reports it.
        self.process.send(&command.to_string());
        let line = self.process.try_next_answer();
        let end = shared.timestamp();
        let (answer, ended) = match line {
            Ok(line) => match Answer::parse(command, &line) {
                Some(answer) => (answer, None),
                None => (Answer::Unknown, Some(self.unparsable(command, line))),
            },
            Err(NoAnswer::Ended) => (Answer::Unknown, Some(ClientEnd::ProcessEnded)),
            Err(NoAnswer::Hung) => (Answer::Unknown, Some(ClientEnd::Hung(command))),
        };
        self.records.push(Record { client: self.id, command, begin, end, answer });
        if let Some(ended) = ended {
            return Err(ended);
        }
        if answer.was_served(command) {
            shared.served[self.node].fetch_add(1, SeqCst);
        }
        if let Answer::Status { leads_in: Some(term), .. } = answer {
            let mut leader = shared.leader.lock().expect("no thread panics while it holds the lock");
            *leader = (*leader).max((term, Some(self.node)));
        }
        Ok(answer)
    }

    /// Only the last line of a killed process may be truncated.
    fn unparsable(&self, command: Command, line: String) -> ClientEnd {
        match self.process.try_next_answer() {
            Err(NoAnswer::Ended) => ClientEnd::ProcessEnded,
            _ => ClientEnd::Unparsable(command, line),
        }
    }
}
