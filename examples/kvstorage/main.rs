//! The course exercise.
use raftobj::{Replica, replicated};
use std::collections::BTreeMap;

/// A dictionary of strings.
#[replicated]
#[derive(Default)]
pub struct KvStorage {
    data: BTreeMap<String, String>,
}

#[replicated]
impl KvStorage {
    /// Sets a key and returns the value it had.
    #[replicated]
    pub fn set(&mut self, key: String, value: String) -> Option<String> {
        self.data.insert(key, value)
    }

    /// Gets.
    pub fn get(&self, key: &str) -> Option<String> {
        self.data.get(key).cloned()
    }
}

fn main() {
    let dir = std::env::temp_dir().join(format!("kv-{}", std::process::id()));
    let addresses = ["127.0.0.1:4321", "127.0.0.1:4322", "127.0.0.1:4323"];
    let nodes: Vec<Replica<KvStorage>> = addresses
        .iter()
        .map(|own| {
            Replica::builder(*own)
                .peers(addresses.iter().filter(|a| *a != own).copied())
                .data_dir(dir.join(own.replace(':', "-")))
                .start(KvStorage::default())
                .unwrap()
        })
        .collect();
    let start = std::time::Instant::now();
    for node in &nodes {
        node.ready().wait().unwrap();
        println!("ready {:?}", start.elapsed());
    }
    for i in 0..5 {
        for node in &nodes {
            let t = std::time::Instant::now();
            let done = node.set("a".into(), format!("{i}")).wait().unwrap();
            println!("{:?} {:?} {:?}", done, t.elapsed(), node.get("a"));
        }
    }
    for node in &nodes {
        let t = std::time::Instant::now();
        node.linearizable().wait().unwrap();
        println!("{} read {:?}", node.node().status(), t.elapsed());
    }
    let node = &nodes[0];
    let t = std::time::Instant::now();
    let n = 100_000;
    let calls: Vec<_> = (0..n).map(|i| node.set(format!("k{}", i % 1000), "x".repeat(64))).collect();
    let mut bad = 0;
    for call in calls {
        bad += usize::from(call.wait().is_err());
    }
    println!("{} in {:?}: {}/s, {bad} bad", n, t.elapsed(), n as f64 / t.elapsed().as_secs_f64());
    for node in &nodes {
        println!("{}", node.node().status());
        for line in node.node().log(3) {
            println!("   {line:.100}");
        }
    }
    let t = std::time::Instant::now();
    drop(nodes);
    println!("dropped {:?}", t.elapsed());
    let _ = std::fs::remove_dir_all(dir);
}
