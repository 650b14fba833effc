//! `kvstorage`'s object in the simulator: all that a user writes to test an object.

#![allow(clippy::unwrap_used, reason = "unwrap prints the failure in full")]
#![allow(clippy::disallowed_types, reason = "one of the objects is wrong on purpose")]

#[path = "../kvstorage/storage.rs"]
#[allow(dead_code, reason = "what only the program calls is unused here")]
mod storage;

use raftobj::replicated;
use raftobj::sim::{Client, Simulation};
use std::collections::HashMap;
use storage::KvStorage;

/// Chooses one operation of a client: on one of a few keys, with a value that no other operation writes.
fn workload(client: &mut Client<'_, KvStorage>) {
    let key = client.random().below(3);
    client.set_key(key);
    let (name, value) = (format!("key{key}"), client.operation_number().to_string());
    match client.random().below(4) {
        0 => client.read(move |kv| kv.get(&name)),
        1 => client.call(|kv| kv.pop(&name)),
        _ => client.call(|kv| kv.set(name, value)),
    }
}

#[test]
fn the_map_is_the_same_on_every_node_whatever_happens() {
    let report = Simulation::new(KvStorage::default, workload).check_state().seeds(0..200).run().unwrap();
    assert!(report.applied_calls() > 1_000, "{report}");
}

/// Looks right, but is not: the order of a hash map differs between processes.
#[replicated]
#[derive(Default)]
struct Queue {
    waiting: HashMap<u64, String>,
}

#[replicated]
impl Queue {
    #[replicated]
    fn push(&mut self, number: u64, name: String) {
        self.waiting.insert(number, name);
    }

    /// Takes "the first".
    #[replicated]
    fn pop(&mut self) -> Option<String> {
        let first = *self.waiting.keys().next()?;
        self.waiting.remove(&first)
    }
}

// Breaks: users find such a method only when their replicas in production differ.
#[test]
fn a_method_that_depends_on_the_order_of_a_hash_map_is_named() {
    let workload = |client: &mut Client<'_, Queue>| {
        let number = client.operation_number();
        match client.random().below(3) {
            0 => client.call(|queue| queue.pop()),
            _ => client.call(|queue| queue.push(number, number.to_string())),
        }
    };
    let failure = Simulation::new(Queue::default, workload).run().unwrap_err();
    let reason = failure.reason();
    assert!(reason.contains("differ after index") && reason.contains("`pop()`"), "{reason}");
}
