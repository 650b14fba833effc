//! Three nodes in one process, and a counter that is the same on each. Run it: `cargo run --example counter`.

use raftobj::{Replica, replicated};
use std::{error::Error, io, net::TcpListener, time::Duration};

#[replicated]
#[derive(Default)]
struct Counter(u64);

#[replicated]
impl Counter {
    #[replicated] // every node runs these calls, in the order of the log
    fn add(&mut self, amount: u64) -> u64 {
        self.0 += amount;
        self.0
    }
    // Not annotated: reads this node's copy.
    fn value(&self) -> u64 {
        self.0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let listeners = (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    let mut nodes = Vec::new();
    for (listener, own) in listeners.into_iter().zip(&addresses) {
        let peers = addresses.iter().filter(|address| *address != own).map(ToString::to_string);
        let builder = Replica::builder(own.to_string()).peers(peers).listener(listener);
        nodes.push(builder.data_dir(directory.path().join(own.to_string())).start(Counter::default())?);
    }
    nodes[0].ready().deadline(Duration::from_secs(60)).wait()?; // a leader is elected
    for (node, address) in nodes.iter().zip(&addresses) {
        let done = node.add(1).wait()?; // on the disks of a majority, and applied at this node
        println!("added 1 at {address}: now {}, log index {}", done.value, done.index);
    }
    println!("the first node reads {}", nodes[0].linearizable().wait()?.value());
    Ok(())
}
