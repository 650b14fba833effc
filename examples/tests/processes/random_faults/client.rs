//! A client for each life of a process: one command after the other through its pipes, until it is told to stop or
//! the process is gone.

use super::record::{Asked, Record, Told};
use crate::harness::{Process, Silence};
use raftobj::sim::Random;
use raftobj::sim::history::{ClientId, Timestamp};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// What the clients of a round have in common.
pub(crate) struct Common {
    /// They should end.
    pub(crate) stop: AtomicBool,
    /// Answers that needed a majority, by node.
    pub(crate) served: Vec<AtomicU64>,
    /// The highest term of which a leader told, and who it was.
    leader: Mutex<(u64, Option<usize>)>,
    points: AtomicU64,
    values: AtomicU64,
    /// Draws of keys so far: keys take turns, so that no key has a long history.
    keys_drawn: AtomicU64,
}

/// How many keys are used at the same time: few, so that clients meet at them.
const KEYS_AT_ONCE: u64 = 4;
/// How often each key is drawn, on average. The checker's work grows with the calls of a key.
const DRAWS_PER_KEY: u64 = 150;

impl Common {
    pub(crate) fn new(size: usize) -> Common {
        Common {
            stop: AtomicBool::new(false),
            served: (0..size).map(|_| AtomicU64::new(0)).collect(),
            leader: Mutex::new((0, None)),
            points: AtomicU64::new(0),
            values: AtomicU64::new(0),
            keys_drawn: AtomicU64::new(0),
        }
    }

    /// The leader, as far as the nodes have told: perhaps a former one.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.leader.lock().expect("nobody panics with it").1
    }

    /// All keys that may have been used.
    pub(crate) fn keys(&self) -> u64 {
        (self.keys_drawn.load(SeqCst) / (KEYS_AT_ONCE * DRAWS_PER_KEY) + 1) * KEYS_AT_ONCE
    }

    fn point(&self) -> Timestamp {
        Timestamp(self.points.fetch_add(1, SeqCst))
    }

    fn draw(&self, random: &mut Random) -> Asked {
        let first = self.keys_drawn.fetch_add(1, SeqCst) / (KEYS_AT_ONCE * DRAWS_PER_KEY) * KEYS_AT_ONCE;
        let key = first + random.below(KEYS_AT_ONCE);
        match random.below(20) {
            0..8 => Asked::Set { key, value: self.values.fetch_add(1, SeqCst) },
            8..10 => Asked::Pop { key },
            10..14 => Asked::Get { key, linearizable: true },
            14..19 => Asked::Get { key, linearizable: false },
            _ => Asked::Status,
        }
    }
}

/// A client of one life of one process.
pub(crate) struct Client {
    /// Which life.
    pub(crate) id: ClientId,
    pub(crate) node: usize,
    pub(crate) process: Process,
    pub(crate) records: Vec<Record>,
}

/// Why a client has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to.
    Stopped,
    /// The process is gone.
    Gone,
    /// The process has not answered this.
    Hung(Asked),
    /// The process has answered something that is no answer to this.
    Misread(Asked, String),
}

impl Client {
    /// Asks what chance says. Whatever happens, it comes back: the process is its owner's to signal and to end.
    pub(crate) fn run(mut self, common: &Common, mut random: Random) -> (Client, End) {
        while !common.stop.load(SeqCst) {
            let asked = common.draw(&mut random);
            if let Err(end) = self.ask(common, asked) {
                return (self, end);
            }
        }
        (self, End::Stopped)
    }

    /// A command and its answer, recorded.
    pub(crate) fn ask(&mut self, common: &Common, asked: Asked) -> Result<Told, End> {
        let begin = common.point();
        // If it is gone, listening says so.
        self.process.type_in(&asked.to_string());
        let heard = self.process.listen();
        let end = common.point();
        let (told, ended) = match heard {
            Ok(line) => match Told::parse(asked, &line) {
                Some(told) => (told, None),
                None => (Told::Unknown, Some(self.misread(asked, line))),
            },
            Err(Silence::Gone) => (Told::Unknown, Some(End::Gone)),
            Err(Silence::Hung) => (Told::Unknown, Some(End::Hung(asked))),
        };
        self.records.push(Record { client: self.id, asked, begin, end, told });
        if let Some(ended) = ended {
            return Err(ended);
        }
        if told.was_served(asked) {
            common.served[self.node].fetch_add(1, SeqCst);
        }
        if let Told::Status { leads_in: Some(term), .. } = told {
            let mut leader = common.leader.lock().expect("nobody panics with it");
            *leader = (*leader).max((term, Some(self.node)));
        }
        Ok(told)
    }

    /// The last line of a process that was killed may be cut; any other has to mean something.
    fn misread(&self, asked: Asked, line: String) -> End {
        match self.process.listen() {
            Err(Silence::Gone) => End::Gone,
            _ => End::Misread(asked, line),
        }
    }
}
