//! Runs a node on threads, sockets and files. It knows no rule of the protocol.
//!
//! ```text
//!  callers ──▶ mailbox ──▶ engine thread ──▶ WAL thread ──┐   writes and fsyncs
//!                 ▲        (node, sockets,                │
//!                 │         timers)      ──▶ apply thread ┤   the user's methods
//!                 └───────────────────────────────────────┘
//! ```
//!
//! Begin with [`Engine::start`], then `engine`.

mod apply_thread;
mod engine;
mod gate;
mod jobs;
pub(crate) mod mailbox;
#[cfg(test)]
mod tests;
mod wal_thread;

use crate::net::NetOptions;
use crate::node::Node;
use crate::node::status::Status;
use crate::object::machine::Apply;
use crate::persistence::Writer;
use crate::storage::RealDisk;
use apply_thread::ApplyThread;
use engine::EngineSetup;
use jobs::Jobs;
use mailbox::{Event, Mailbox};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::LocalSet;
use wal_thread::WalThread;

/// All that a node needs to run.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) machine: Box<dyn Apply>,
    pub(crate) writer: Writer<RealDisk>,
    pub(crate) listener: TcpListener,
    pub(crate) peers: Vec<String>,
    pub(crate) net: NetOptions,
    pub(crate) tick: Duration,
    pub(crate) call_deadline: Duration,
    pub(crate) mailbox: Mailbox,
}

/// How long the end of a node waits for its threads.
const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(10);

/// A running node. Dropping it shuts the node down.
pub(crate) struct Engine {
    mailbox: Arc<Mailbox>,
    status: watch::Receiver<Arc<Status>>,
    call_deadline: Duration,
    /// Until somebody has waited for them.
    threads: Mutex<Vec<JoinHandle<()>>>,
    ids: Vec<ThreadId>,
    running: Arc<Running>,
}

/// Counts the node's threads.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    fewer: Condvar,
}

impl Running {
    fn one_more(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn one_less(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.fewer.notify_all();
    }

    /// Whether none was left before the time was up.
    fn wait_until_none(&self, patience: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.fewer.wait_timeout_while(count, patience, |count| *count > 0);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *count == 0
    }
}

impl Engine {
    /// Starts the node's threads.
    pub(crate) fn start(parts: Parts) -> io::Result<Engine> {
        let Parts { node, machine, writer, listener, peers, net, tick, call_deadline, mailbox } = parts;
        let mailbox = Arc::new(mailbox);
        let (wal_jobs, apply_jobs) = (Arc::new(Jobs::new()), Arc::new(Jobs::new()));
        let (sender, status) = watch::channel(Arc::new(node.status()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut started = Started {
            threads: Vec::new(),
            running: Arc::default(),
            wal: Arc::clone(&wal_jobs),
            apply: Arc::clone(&apply_jobs),
        };

        let thread = WalThread { writer, jobs: Arc::clone(&wal_jobs), mailbox: Arc::clone(&mailbox) };
        started.spawn("raftobj-wal", &mailbox, move || thread.run())?;
        let thread = ApplyThread { machine, jobs: Arc::clone(&apply_jobs), mailbox: Arc::clone(&mailbox) };
        started.spawn("raftobj-apply", &mailbox, move || thread.run())?;
        let setup = EngineSetup {
            node,
            listener,
            peers,
            net,
            tick,
            call_deadline,
            mailbox: Arc::clone(&mailbox),
            wal: wal_jobs,
            apply: apply_jobs,
            status: sender,
        };
        started.spawn("raftobj-engine", &mailbox, move || {
            LocalSet::new().block_on(&runtime, engine::run(setup));
            // A name that is just being resolved would hold the thread until the resolver gives up.
            runtime.shutdown_background();
        })?;
        let threads = std::mem::take(&mut started.threads);
        let ids = threads.iter().map(|thread| thread.thread().id()).collect();
        let running = Arc::clone(&started.running);
        Ok(Engine { mailbox, status, call_deadline, threads: Mutex::new(threads), ids, running })
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub(crate) fn call_deadline(&self) -> Duration {
        self.call_deadline
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// The status that was published last.
    pub(crate) fn last_status(&self) -> Status {
        Status::clone(&self.status.borrow())
    }

    /// Ends the node, and waits for nothing.
    pub(crate) fn begin_shutdown(&self) {
        // It has ended already where this is not taken.
        let _ = self.mailbox.put(Event::Shutdown);
    }

    /// Ends the node and waits for its threads, but not for ever: a disk that hangs, or a method that does not
    /// return, keeps its thread, and is told of in the process's log. From one of its threads (a replicated method
    /// that owns a replica) it only begins the end, because a thread cannot wait for itself.
    pub(crate) fn shutdown(&self) {
        self.begin_shutdown();
        // Before the lock: who holds it may be waiting for this very thread.
        if self.ids.contains(&std::thread::current().id()) {
            return;
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.running.wait_until_none(SHUTDOWN_WAIT_MAX) {
            let busy = threads.iter().filter(|thread| !thread.is_finished());
            let busy: Vec<&str> = busy.filter_map(|thread| thread.thread().name()).collect();
            tracing::error!("the node has ended, but its threads do not: {}", busy.join(", "));
            threads.clear();
        }
        for thread in threads.drain(..) {
            // A thread that panicked has said so, and the node has stopped because of it.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Threads under way; where one of them cannot be started, those before it end.
struct Started {
    threads: Vec<JoinHandle<()>>,
    running: Arc<Running>,
    wal: Arc<Jobs<wal_thread::WalJob>>,
    apply: Arc<Jobs<Vec<crate::raft::types::Entry>>>,
}

impl Started {
    fn spawn(
        &mut self,
        name: &str,
        mailbox: &Arc<Mailbox>,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.running.one_more();
        let running = Arc::clone(&self.running);
        let alarm = Alarm { name: name.to_owned(), mailbox: Arc::clone(mailbox), running };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alarm = alarm;
            run();
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.wal.close();
            self.apply.close();
        }
    }
}

/// Tells that a thread has ended; and where it panicked, the engine, or if it is the engine itself its callers.
struct Alarm {
    name: String,
    mailbox: Arc<Mailbox>,
    running: Arc<Running>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = format!("its thread {} panicked", self.name);
            if self.name == "raftobj-engine" {
                for event in self.mailbox.close(&reason) {
                    event.refuse(&reason);
                }
            } else {
                let _ = self.mailbox.put(Event::Failed(reason));
            }
        }
        self.running.one_less();
    }
}
