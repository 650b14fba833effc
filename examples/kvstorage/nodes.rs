//! The nodes that this process runs: one of a cluster of processes, or a cluster of three.

use crate::arguments::{Arguments, NodeArguments};
use crate::storage::KvStorage;
use raftobj::{Options, Replica, StartError};
use std::io;
use std::net::TcpListener;
use std::time::Duration;
use tempfile::TempDir;

/// Running nodes. Dropping them shuts them down, then removes temporary files.
pub(crate) struct Nodes {
    replicas: Vec<Replica<KvStorage>>,
    /// Printed at the start.
    pub(crate) banner: String,
    _directory: Option<TempDir>,
}

/// Why the nodes do not run.
#[derive(Debug)]
pub(crate) enum NodesError {
    /// A node could not be started.
    Start(StartError),
    /// No temporary directory, or no free port.
    System(io::Error),
}

impl Nodes {
    /// Starts the nodes that the arguments name.
    pub(crate) fn start(arguments: &Arguments) -> Result<Nodes, NodesError> {
        match &arguments.node {
            Some(node) => one(node, arguments.deadline).map_err(NodesError::Start),
            None => three(arguments.deadline),
        }
    }

    /// The node that commands go to.
    pub(crate) fn first(&self) -> &Replica<KvStorage> {
        &self.replicas[0]
    }

    /// Shuts every node down, even if clones of its handle exist.
    pub(crate) fn shutdown(&self) {
        self.replicas.iter().for_each(|replica| replica.node().shutdown());
    }
}

fn one(node: &NodeArguments, deadline: Duration) -> Result<Nodes, StartError> {
    let mut builder = Replica::builder(node.address.as_str())
        .peers(node.peers.iter().cloned())
        .data_dir(&node.data_dir)
        .options(options(deadline));
    if let Some(bind) = &node.bind {
        builder = builder.bind(bind);
    }
    let replica = builder.start(KvStorage::default())?;
    let banner = format!("node {}, files in {}", node.address, node.data_dir.display());
    Ok(Nodes { replicas: vec![replica], banner, _directory: None })
}

fn three(deadline: Duration) -> Result<Nodes, NodesError> {
    let directory = tempfile::Builder::new().prefix("kvstorage-").tempdir().map_err(NodesError::System)?;
    let listeners = (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>();
    let listeners = listeners.map_err(NodesError::System)?;
    let addresses = listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string()));
    let addresses = addresses.collect::<io::Result<Vec<_>>>().map_err(NodesError::System)?;

    let mut replicas = Vec::new();
    for (listener, address) in listeners.into_iter().zip(&addresses) {
        let replica = Replica::builder(address.as_str())
            .peers(addresses.iter().filter(|peer| *peer != address).cloned())
            .listener(listener)
            .data_dir(directory.path().join(address.replace(':', "-")))
            .options(options(deadline))
            .start(KvStorage::default())
            .map_err(NodesError::Start)?;
        replicas.push(replica);
    }
    let banner = format!(
        "three nodes in this process, {}; temporary files in {}; commands go to the first node\n\
         to run three processes instead, one a terminal, each with its own address first:\n    \
         cargo run --example kvstorage 127.0.0.1:4321 127.0.0.1:4322 127.0.0.1:4323",
        addresses.join(", "),
        directory.path().display(),
    );
    Ok(Nodes { replicas, banner, _directory: Some(directory) })
}

fn options(deadline: Duration) -> Options {
    let mut options = Options::default();
    options.call_deadline = deadline;
    options
}
