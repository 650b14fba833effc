//! A target that runs simulated clusters under schedules as bytes: coverage guides the fuzzer to rare branches.

use raftobj::__fuzz::{MemoryBound, Target};
use raftobj::sim::Simulation;
use raftobj::sim::standard::{Slots, simulation};

/// A cluster of seven nodes, with disks, logs and the record of all messages.
const MEMORY: MemoryBound = MemoryBound { bytes_fixed: 256 << 20, bytes_per_byte: 4096 };

/// The input is a seed, which determines sizes and limits, then events.
const SEED_BYTES: usize = 2;

pub(crate) fn targets() -> Vec<Target> {
    vec![Target { name: "schedule", decode: run, seeds, memory: MEMORY }]
}

fn run(bytes: &[u8]) -> Option<raftobj::__fuzz::Check> {
    let (seed, events) = bytes.split_first_chunk::<SEED_BYTES>()?;
    if let Err(failure) = simulation().run_encoded_schedule(u16::from_le_bytes(*seed).into(), events) {
        panic!("{failure}");
    }
    Some(Box::new(|| ()))
}

/// Schedules in which all nodes dial each other, time passes, and all writes, messages and calls are carried out.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![("seed_1", schedule(1, 1)), ("seed_2", schedule(2, 3)), ("seed_3", schedule(3, 5))]
}

fn schedule(seed: u16, nodes: u8) -> Vec<u8> {
    let pairs = |event: fn(u8, u8) -> String| {
        (0..nodes).flat_map(move |from| (0..nodes).map(move |to| event(from, to))).collect::<String>()
    };
    let dial = pairs(|from, to| format!("dial {from} {to}; "));
    let deliver = pairs(|from, to| format!("deliver {from} {to} 4; "));
    let work: String =
        (0..nodes).map(|node| format!("write {node} 8; apply {node} 4; call {node}; ")).collect();
    let text = format!("{dial}{}", format!("tick; {work}{deliver}").repeat(12));
    match Simulation::<Slots>::encode_schedule(&text) {
        Ok(events) => [&seed.to_le_bytes()[..], &events].concat(),
        Err(error) => panic!("{error}"),
    }
}
