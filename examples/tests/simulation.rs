//! `kvstorage`'s object under the simulator: all that a user writes to test one of their own.

#![allow(clippy::unwrap_used, reason = "a failure unwraps to what a person needs")]

#[path = "../kvstorage/storage.rs"]
#[allow(dead_code, reason = "what only the program calls is unused here")]
mod storage;

use raftobj::sim::{Client, Simulation};
use storage::KvStorage;

/// What the clients ask for: each time one operation, on one of a few keys, with a value that nobody else writes.
fn workload(client: &mut Client<'_, KvStorage>) {
    let key = client.random().below(3);
    client.about(key);
    let (name, value) = (format!("key{key}"), client.serial().to_string());
    match client.random().below(4) {
        0 => client.read(move |kv| kv.get(&name)),
        1 => client.call(|kv| kv.pop(&name)),
        _ => client.call(|kv| kv.set(name, value)),
    }
}

#[test]
fn the_map_is_the_same_on_every_node_whatever_happens() {
    let report = Simulation::new(KvStorage::default, workload).seeds(0..200).run().unwrap();
    assert!(report.calls() > 1_000, "{report}");
}
