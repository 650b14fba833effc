//! A cluster in this process: real sockets on loopback, and real files in a temporary directory.

use raftobj::serde::{Deserialize, Serialize};
use raftobj::{ApplyContext, Options, Replica, Role, replicated};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Long enough for a busy machine. No test passes by waiting this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The context that a method was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "raftobj::serde")]
pub(crate) struct Seen {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) now: SystemTime,
    pub(crate) random: u64,
}

/// Counts and texts by name.
#[replicated]
#[derive(Default)]
pub(crate) struct Store {
    counts: BTreeMap<String, u64>,
    texts: BTreeMap<String, String>,
    seen: Vec<Seen>,
}

#[replicated]
impl Store {
    /// Adds one to a count and returns it.
    #[replicated]
    pub(crate) fn add(&mut self, name: &str) -> u64 {
        let count = self.counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// Compares and sets: sets a text if it was as expected.
    #[replicated]
    pub(crate) fn cas(&mut self, name: &str, old: Option<&str>, new: &str) -> Result<(), Option<String>> {
        if self.texts.get(name).map(String::as_str) != old {
            return Err(self.texts.get(name).cloned());
        }
        self.texts.insert(name.to_owned(), new.to_owned());
        Ok(())
    }

    /// Returns how many bytes it was given.
    #[replicated]
    pub(crate) fn measure(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    /// Returns that many bytes.
    #[replicated]
    pub(crate) fn fill(&mut self, bytes: usize) -> Vec<u8> {
        vec![7; bytes]
    }

    /// Adds one to a count and panics.
    #[replicated]
    pub(crate) fn boom(&mut self, name: &str) -> u64 {
        self.add(name);
        panic!("boom {name}");
    }

    /// Not deterministic: all replicas of this process share a counter.
    #[replicated]
    pub(crate) fn drift(&mut self) -> u64 {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        COUNT.fetch_add(1, Ordering::Relaxed)
    }

    /// Records its context.
    #[replicated]
    pub(crate) fn record_context(&mut self, context: &ApplyContext) -> Seen {
        let seen = Seen {
            index: context.index().0,
            term: context.term().0,
            now: context.now(),
            random: context.random_u64(),
        };
        self.seen.push(seen.clone());
        seen
    }

    /// The count of a name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// The recorded contexts.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.clone()
    }
}

/// Listens on a free port.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A directory that is removed when this is dropped.
pub(crate) struct TempDir(pub(crate) PathBuf);

impl TempDir {
    pub(crate) fn new() -> TempDir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("raftobj-engine-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        TempDir(std::env::temp_dir().join(name))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The addresses and directories of a cluster. Its nodes can be dropped and restarted.
pub(crate) struct Cluster {
    pub(crate) addresses: Vec<String>,
    pub(crate) directory: TempDir,
    pub(crate) options: Options,
}

impl Cluster {
    /// Starts `size` nodes and waits until they can serve.
    pub(crate) fn start(size: usize, change: impl FnOnce(&mut Options)) -> (Cluster, Vec<Replica<Store>>) {
        Cluster::start_in(TempDir::new(), size, change)
    }

    /// As [`Cluster::start`], with the nodes' directories in this one.
    pub(crate) fn start_in(
        directory: TempDir,
        size: usize,
        change: impl FnOnce(&mut Options),
    ) -> (Cluster, Vec<Replica<Store>>) {
        let listeners: Vec<_> = (0..size).map(|_| listener()).collect();
        let addresses = listeners.iter().map(|one| one.local_addr().unwrap().to_string()).collect();
        let mut options = Options::default();
        options.call_deadline = PATIENCE;
        change(&mut options);
        let cluster = Cluster { addresses, directory, options };
        let nodes: Vec<_> =
            listeners.into_iter().enumerate().map(|(at, one)| cluster.node(at, one)).collect();
        nodes.iter().for_each(ready);
        (cluster, nodes)
    }

    pub(crate) fn path(&self, at: usize) -> PathBuf {
        self.directory.0.join(at.to_string())
    }

    fn node(&self, at: usize, listener: TcpListener) -> Replica<Store> {
        let own = &self.addresses[at];
        Replica::builder(own.as_str())
            .peers(self.addresses.iter().filter(|address| *address != own).cloned())
            .listener(listener)
            .data_dir(self.path(at))
            .options(self.options.clone())
            .start(Store::default())
            .unwrap()
    }

    /// Starts a node again, with its address and its directory.
    pub(crate) fn restart(&self, at: usize) -> Replica<Store> {
        // The system may have given the free port to an outgoing connection.
        let listener = wait_until("its port is free", || TcpListener::bind(&self.addresses[at]).ok());
        self.node(at, listener)
    }
}

/// Waits until a node can serve.
pub(crate) fn ready(node: &Replica<Store>) {
    node.ready().deadline(PATIENCE).wait().unwrap();
}

/// Waits until `condition` returns a value; panics after [`PATIENCE`].
pub(crate) fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match condition() {
            Some(value) => return value,
            None => assert!(Instant::now() < end, "it does not happen: {what}"),
        }
        std::thread::yield_now();
    }
}

/// The position of the leader among these nodes.
pub(crate) fn leader(nodes: &[Replica<Store>]) -> usize {
    wait_until("a leader", || nodes.iter().position(|node| node.node().status().role == Role::Leader))
}

/// Waits until all nodes have applied the same entries, and compares their digests.
pub(crate) fn agree(nodes: &[Replica<Store>]) {
    wait_until("all nodes have applied the same entries", || {
        let statuses: Vec<_> = nodes.iter().map(|node| node.node().status()).collect();
        let applied = statuses.iter().map(|status| status.applied_index).max()?;
        let equal =
            statuses.iter().all(|status| status.applied_index == applied && status.last_index == applied);
        equal.then(|| {
            assert!(statuses.iter().all(|status| status.digest == statuses[0].digest), "digests differ");
        })
    });
}
