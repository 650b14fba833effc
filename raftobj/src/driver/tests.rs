//! The threads: all end, whichever ends first, and none waits without need.

use super::*;
use crate::calls::limits::QueueLimits;
use crate::codec::hello::MethodSignature;
use crate::node::{NodeConfig, PersistentState};
use crate::object::Object;
use crate::object::digest::Checkpoint;
use crate::object::fixture::{Tally, noop};
use crate::object::machine::{Applied, Between};
use crate::persistence::Opening;
use crate::raft::types::{Boot, Entry, Incarnation, Index, NodeId, Ticks};
use crate::storage::{self, NewIdentity};
use std::sync::mpsc;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` returns a value; panics after [`PATIENCE`].
fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match condition() {
            Some(value) => return value,
            None => assert!(Instant::now() < end, "{what} does not happen"),
        }
        std::thread::yield_now();
    }
}

/// Applies entries at once, but waits for the test before the entry at `pause_at`.
struct PausingMachine {
    pause_at: Index,
    resume: mpsc::Receiver<()>,
}

impl Apply for PausingMachine {
    fn apply(&mut self, entries: &[Entry], _: &mut dyn FnMut() -> Between) -> Applied {
        let mut applied = Applied::default();
        for entry in entries {
            if entry.id.index == self.pause_at {
                self.resume.recv_timeout(PATIENCE).unwrap();
            }
            applied.upto = entry.id;
            applied.checkpoints.push(Checkpoint { index: entry.id.index, ..Checkpoint::default() });
        }
        applied
    }
}

// Breaks: a call waits for all calls that were committed together with it, and its outcome is unknown at its deadline,
// although it was applied long before.
#[test]
fn applied_entries_are_reported_before_their_batch_is_complete() {
    let (jobs, mailbox) =
        (Arc::new(JobQueue::new()), Arc::new(Mailbox::new(QueueLimits { calls_max: 1, bytes_max: 1 })));
    let (resume, paused) = mpsc::channel();
    let machine = Box::new(PausingMachine { pause_at: Index(200), resume: paused });
    let thread = ApplyThread { machine, jobs: Arc::clone(&jobs), mailbox: Arc::clone(&mailbox) };
    let thread = std::thread::spawn(move || thread.run());
    jobs.push((1..=200).map(|index| noop(1, index)).collect());
    let mut upto = Index(0);
    let mut wait_applied = |last: Index| {
        wait_until("an apply", || {
            let mut events = Vec::new();
            mailbox.drain(&mut events);
            for event in events {
                let Event::Applied(applied) = event else { panic!("an event of another kind") };
                upto = applied.upto.index;
            }
            (upto >= last).then_some(())
        });
    };
    wait_applied(Index(1));
    resume.send(()).unwrap();
    wait_applied(Index(200));
    jobs.close();
    thread.join().unwrap();
}

/// Waits for the test in every entry.
struct SlowMachine {
    begun: mpsc::Sender<Index>,
    resume: mpsc::Receiver<()>,
}

impl Apply for SlowMachine {
    fn apply(&mut self, entries: &[Entry], between: &mut dyn FnMut() -> Between) -> Applied {
        for entry in entries {
            self.begun.send(entry.id.index).unwrap();
            self.resume.recv_timeout(PATIENCE).expect("the node has ended, but goes on to apply");
            if between() == Between::End {
                break;
            }
        }
        Applied::default()
    }
}

// Breaks: whoever ends a node waits for all committed entries that its slow methods have not applied yet.
#[test]
fn the_end_waits_for_the_entry_that_is_being_applied_and_for_no_other() {
    let (jobs, mailbox) =
        (Arc::new(JobQueue::new()), Arc::new(Mailbox::new(QueueLimits { calls_max: 1, bytes_max: 1 })));
    let ((begun, begins), (resume, resumed)) = (mpsc::channel(), mpsc::channel());
    let machine = Box::new(SlowMachine { begun, resume: resumed });
    let thread = ApplyThread { machine, jobs: Arc::clone(&jobs), mailbox };
    let thread = std::thread::spawn(move || thread.run());
    jobs.push((1..=65_536).map(|index| noop(1, index)).collect());
    jobs.push((65_537..=70_000).map(|index| noop(1, index)).collect());
    assert_eq!(begins.recv_timeout(PATIENCE), Ok(Index(1)));
    jobs.close();
    resume.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(begins.iter().count(), 0, "more entries were applied");
}

/// A node whose event loop panics when it starts, because of invalid options.
fn panicking_engine(path: &std::path::Path) -> Engine {
    let new_identity = NewIdentity {
        node: NodeId(1),
        incarnation: Incarnation(1),
        object: Tally::NAME.to_owned(),
        address: "n1:1".to_owned(),
        founding: vec!["n1:1".to_owned()],
    };
    let options = storage::WalOptions { segment_bytes: 1 << 16, reserve_bytes: 1 << 16 };
    let opened = Opening::begin(RealDisk, path, options, new_identity).unwrap().finish().unwrap();
    let config = NodeConfig {
        node: NodeId(1),
        incarnation: Incarnation(1),
        boot: Boot(1),
        address: "n1:1".to_owned(),
        founders: vec!["n1:1".to_owned()],
        object: Tally::NAME.to_owned(),
        methods: Tally::METHODS.iter().map(MethodSignature::of).collect(),
        method_names: Vec::new(),
        raft: crate::raft::config::Config {
            id: NodeId(1),
            seed: 1,
            heartbeat_ticks: Ticks(5),
            election_ticks_min: Ticks(25),
            election_ticks_max: Ticks(50),
            disk_stall_ticks_max: Ticks(200),
            append_bytes_max: 1 << 20,
            window_messages_max: 16,
            window_bytes_max: 1 << 20,
            log_bytes_max: 1 << 20,
            apply_entries_max: 100,
            tick_ms: 10,
            clock_jump_ms_max: 1_000,
        },
        calls: crate::calls::CallsConfig::default(),
        gossip_ticks: Ticks(20),
    };
    let (_, resume) = mpsc::channel();
    let parts = Parts {
        node: Node::new(config, PersistentState::default()),
        machine: Box::new(PausingMachine { pause_at: Index(0), resume }),
        writer: opened.writer,
        network: Network {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            peers: Vec::new(),
            options: NetOptions { handshakes_max: 0, ..NetOptions::default() },
        },
        timing: Timing { tick: Duration::from_millis(10), call_deadline: Duration::from_secs(5) },
        mailbox: Mailbox::new(QueueLimits { calls_max: 10, bytes_max: 1_000 }),
    };
    Engine::start(parts).unwrap()
}

// Breaks: after a panic of the engine, the thread that drops the replica hangs, and the directory stays locked.
#[test]
fn a_panic_of_the_engine_ends_all_threads_and_every_call() {
    let directory = std::env::temp_dir().join(format!("raftobj-driver-{}", std::process::id()));
    let engine = panicking_engine(&directory);
    wait_until("the end of the engine", || engine.mailbox().put(Event::Shutdown).err());
    assert!(engine.mailbox().submit(crate::codec::method::MethodId(1), bytes::Bytes::new()).is_err());
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        engine.shutdown();
        done.send(engine.last_status()).unwrap();
    });
    let status = ended.recv_timeout(PATIENCE).expect("the threads end");
    assert_eq!(status.role, crate::node::status::Role::Stopped);
    assert!(status.stop_reason.unwrap().contains("panicked"));
    std::fs::remove_dir_all(directory).unwrap();
}
