//! Runs a node on threads, sockets and files. It contains no rule of the protocol.
//!
//! ```text
//!  callers ──▶ mailbox ──▶ engine thread ──▶ WAL thread ──┐   writes and fsyncs
//!                 ▲        (node, sockets,                │
//!                 │         timers)      ──▶ apply thread ┤   the user's methods
//!                 └───────────────────────────────────────┘
//! ```
//!
//! Begin with [`Engine::start`], then `event_loop`.

mod apply_thread;
mod connections;
pub(crate) mod descriptors;
mod event_loop;
mod job_queue;
pub(crate) mod mailbox;
#[cfg(test)]
mod tests;
mod threads;
mod wal_thread;

use crate::net::NetOptions;
use crate::node::Node;
use crate::node::status::Status;
use crate::object::machine::Apply;
use crate::persistence::Writer;
use crate::storage::RealDisk;
use apply_thread::ApplyThread;
use event_loop::Handles;
use job_queue::JobQueue;
use mailbox::{Event, Mailbox};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use threads::{ENGINE_THREAD, Threads};
use tokio::sync::watch;
use tokio::task::LocalSet;
use wal_thread::WalThread;

/// All that a node needs to run.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) machine: Box<dyn Apply>,
    pub(crate) writer: Writer<RealDisk>,
    pub(crate) network: Network,
    pub(crate) timing: Timing,
    pub(crate) mailbox: Mailbox,
}

/// Where the node listens, and whom it dials.
pub(crate) struct Network {
    pub(crate) listener: TcpListener,
    /// The addresses of the peers.
    pub(crate) peers: Vec<String>,
    pub(crate) options: NetOptions,
}

/// Real time for a node that counts ticks.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// How long a tick is.
    pub(crate) tick: Duration,
    /// When a call ends at the latest, unless its caller sets another deadline.
    pub(crate) call_deadline: Duration,
}

/// A running node. Dropping it shuts the node down.
pub(crate) struct Engine {
    mailbox: Arc<Mailbox>,
    status: watch::Receiver<Arc<Status>>,
    call_deadline: Duration,
    threads: Threads,
}

impl Engine {
    /// Starts the node's threads.
    pub(crate) fn start(parts: Parts) -> io::Result<Engine> {
        let Parts { node, machine, writer, network, timing, mailbox } = parts;
        let mailbox = Arc::new(mailbox);
        let (sender, status) = watch::channel(Arc::new(node.status()));
        // Where a thread cannot be started, dropping the handles ends those before it.
        let handles = Handles {
            mailbox: Arc::clone(&mailbox),
            wal: Arc::new(JobQueue::new()),
            apply: Arc::new(JobQueue::new()),
            status: sender,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut threads = Threads::new(Arc::clone(&mailbox));

        let thread = WalThread { writer, jobs: Arc::clone(&handles.wal), mailbox: Arc::clone(&mailbox) };
        threads.spawn("raftobj-wal", move || thread.run())?;
        let thread = ApplyThread { machine, jobs: Arc::clone(&handles.apply), mailbox: Arc::clone(&mailbox) };
        threads.spawn("raftobj-apply", move || thread.run())?;
        threads.spawn(ENGINE_THREAD, move || {
            LocalSet::new().block_on(&runtime, event_loop::run(node, network, timing, handles));
            // A name that is just being resolved would hold the thread until the resolver gives up.
            runtime.shutdown_background();
        })?;
        Ok(Engine { mailbox, status, call_deadline: timing.call_deadline, threads })
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

    /// The last published status.
    pub(crate) fn last_status(&self) -> Status {
        Status::clone(&self.status.borrow())
    }

    /// Ends the node without waiting for its threads.
    pub(crate) fn begin_shutdown(&self) {
        // Fails where the node has ended already.
        let _ = self.mailbox.put(Event::Shutdown);
    }

    /// Ends the node and waits for its threads; see [`Threads::join`] for when it does not.
    pub(crate) fn shutdown(&self) {
        self.begin_shutdown();
        self.threads.join();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}
