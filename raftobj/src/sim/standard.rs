//! The object and the workload that raftobj's own seeds run: small, and so made that what went wrong can be seen.
//!
//! Every value that is written is unique, and every write returns what was there before: the replies on one slot are
//! one chain, in which a call that took effect twice, or not at all, is a fork or a gap.

use super::{Client, Simulation};
use crate::{ApplyContext, replicated};
use std::collections::BTreeMap;

/// Slots with a value each, and a count of what was done to them.
#[replicated]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots {
    slots: BTreeMap<u64, Slot>,
}

/// What is in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Slot {
    /// The serial of the operation that wrote it; 0 before the first.
    pub value: u64,
    /// How many writes there were.
    pub writes: u64,
}

#[replicated]
impl Slots {
    /// Writes, and returns what was there.
    #[replicated]
    pub fn swap(&mut self, key: u64, value: u64) -> Slot {
        let slot = self.slots.entry(key).or_default();
        let before = *slot;
        *slot = Slot { value, writes: before.writes + 1 };
        before
    }

    /// Writes where `expected` is what is there.
    ///
    /// # Errors
    /// What is there instead.
    #[replicated]
    pub fn compare_and_swap(&mut self, key: u64, expected: u64, value: u64) -> Result<Slot, Slot> {
        match self.get(key) {
            slot if slot.value == expected => Ok(self.swap(key, value)),
            slot => Err(slot),
        }
    }

    /// Takes the value out.
    #[replicated]
    pub fn take(&mut self, key: u64) -> Option<Slot> {
        self.slots.remove(&key)
    }

    /// Writes, then panics: the write stays, on every replica.
    ///
    /// # Panics
    /// Always.
    #[replicated]
    pub fn write_and_panic(&mut self, key: u64, value: u64) {
        self.swap(key, value);
        panic!("as asked, at {key}");
    }

    /// Returns what only the log knows.
    #[replicated]
    pub fn stamp(&mut self, key: u64, context: &ApplyContext) -> (u64, u64) {
        self.slots.entry(key).or_default().writes += 1;
        (context.index().0, context.random_u64())
    }

    /// Returns so many bytes.
    #[replicated]
    pub fn fill(&mut self, key: u64, bytes: u16) -> Vec<u8> {
        let slot = self.slots.entry(key).or_default();
        slot.writes += 1;
        vec![slot.writes as u8; bytes.into()]
    }

    /// Takes in many bytes, and returns how many.
    #[replicated]
    pub fn weigh(&mut self, key: u64, bytes: Vec<u8>) -> u64 {
        self.slots.entry(key).or_default().writes += 1;
        bytes.len() as u64
    }

    /// Writes, and has nothing to say that could be said.
    #[replicated]
    pub fn write_and_choke(&mut self, key: u64, value: u64) -> Unencodable {
        self.swap(key, value);
        Unencodable
    }

    /// What is in a slot.
    pub fn get(&self, key: u64) -> Slot {
        self.slots.get(&key).copied().unwrap_or_default()
    }
}

/// A reply that does not encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it cannot be said"))
    }
}

impl<'de> serde::Deserialize<'de> for Unencodable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Unencodable, D::Error> {
        Err(serde::de::Error::custom("it cannot have been said"))
    }
}

/// So many operations go by before clients turn to other slots, so that no slot's history grows long.
const OPERATIONS_A_SLOT: u64 = 150;

/// What the clients ask for.
pub fn workload(client: &mut Client<'_, Slots>) {
    let serial = client.operation_number();
    let key = serial / OPERATIONS_A_SLOT * 2 + client.random().below(2);
    client.set_key(key);
    match client.random().below(64) {
        0..=21 => client.call(|slots| slots.swap(key, serial)),
        22..=29 => {
            let expected = serial.saturating_sub(1 + client.random().below(8));
            client.call(|slots| slots.compare_and_swap(key, expected, serial));
        }
        30..=33 => client.call(|slots| slots.take(key)),
        34 => client.call(|slots| slots.write_and_panic(key, serial)),
        35..=38 => client.call(|slots| slots.stamp(key)),
        39..=41 => {
            let bytes = client.random().below(400) as u16;
            client.call(|slots| slots.fill(key, bytes));
        }
        42 => match client.random().below(8) {
            0 => client.call(|slots| slots.write_and_choke(key, serial)),
            bytes => client.call(|slots| slots.weigh(key, vec![0; 60 * bytes as usize])),
        },
        43..=54 => client.read(move |slots| slots.get(key)),
        _ => client.read_local(move |slots| slots.get(key)),
    }
}

/// The simulation of [`Slots`] under [`workload`].
pub fn simulation() -> Simulation<Slots> {
    Simulation::new(Slots::default, workload).check_state().check_linearizability()
}
