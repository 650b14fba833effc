//! The object and the workload that raftobj's own seeds run: small, and designed to make errors visible.
//!
//! Every written value is unique, and every write returns the value before it. So the replies on one slot form one chain,
//! in which a call that took effect twice is a fork, and a lost call is a gap.

use super::client::Client;
use super::simulation::Simulation;
use crate::{ApplyContext, replicated};
use std::collections::BTreeMap;

/// Slots with a value each, and a count of their writes.
#[replicated]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots {
    slots: BTreeMap<u64, Slot>,
}

/// A slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Slot {
    /// The number of the operation that wrote it; 0 before the first write.
    pub value: u64,
    /// The number of writes to this slot.
    pub writes: u64,
}

#[replicated]
impl Slots {
    /// Writes, and returns the slot as it was before.
    #[replicated]
    pub fn swap(&mut self, key: u64, value: u64) -> Slot {
        let slot = self.slots.entry(key).or_default();
        let before = *slot;
        *slot = Slot { value, writes: before.writes + 1 };
        before
    }

    /// Writes if the slot's value is `expected`.
    ///
    /// # Errors
    /// The slot, if its value is another one.
    #[replicated]
    pub fn compare_and_swap(&mut self, key: u64, expected: u64, value: u64) -> Result<Slot, Slot> {
        match self.get(key) {
            slot if slot.value == expected => Ok(self.swap(key, value)),
            slot => Err(slot),
        }
    }

    /// Removes the slot, and returns it.
    #[replicated]
    pub fn take(&mut self, key: u64) -> Option<Slot> {
        self.slots.remove(&key)
    }

    /// Writes, then panics. The write stays, on every replica.
    ///
    /// # Panics
    /// Always.
    #[replicated]
    pub fn write_and_panic(&mut self, key: u64, value: u64) {
        self.swap(key, value);
        panic!("as asked, at {key}");
    }

    /// Returns what only the log determines: the index, and a random number.
    #[replicated]
    pub fn stamp(&mut self, key: u64, context: &ApplyContext) -> (u64, u64) {
        self.slots.entry(key).or_default().writes += 1;
        (context.index().0, context.random_u64())
    }

    /// Returns this many bytes.
    #[replicated]
    pub fn fill(&mut self, key: u64, bytes: u16) -> Vec<u8> {
        let slot = self.slots.entry(key).or_default();
        slot.writes += 1;
        vec![slot.writes as u8; bytes.into()]
    }

    /// Takes bytes, and returns how many. The call's size is what matters.
    #[replicated]
    pub fn weigh(&mut self, key: u64, bytes: Vec<u8>) -> u64 {
        self.slots.entry(key).or_default().writes += 1;
        bytes.len() as u64
    }

    /// Writes, and returns a value that cannot be encoded.
    #[replicated]
    pub fn write_and_choke(&mut self, key: u64, value: u64) -> Unencodable {
        self.swap(key, value);
        Unencodable
    }

    /// The slot of a key; empty before the first write.
    pub fn get(&self, key: u64) -> Slot {
        self.slots.get(&key).copied().unwrap_or_default()
    }
}

/// A reply that cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it cannot be encoded"))
    }
}

impl<'de> serde::Deserialize<'de> for Unencodable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Unencodable, D::Error> {
        Err(serde::de::Error::custom("it cannot have been encoded"))
    }
}

/// After this many operations clients turn to other slots: short histories are checked fast.
const OPERATIONS_PER_SLOT: u64 = 150;

/// Chooses the clients' operations.
pub fn workload(client: &mut Client<'_, Slots>) {
    let number = client.operation_number();
    let key = number / OPERATIONS_PER_SLOT * 2 + client.random().below(2);
    client.set_key(key);
    match client.random().below(64) {
        0..=21 => client.call(|slots| slots.swap(key, number)),
        22..=29 => {
            let expected = number.saturating_sub(1 + client.random().below(8));
            client.call(|slots| slots.compare_and_swap(key, expected, number));
        }
        30..=33 => client.call(|slots| slots.take(key)),
        34 => client.call(|slots| slots.write_and_panic(key, number)),
        35..=38 => client.call(|slots| slots.stamp(key)),
        39..=41 => {
            let bytes = client.random().below(400) as u16;
            client.call(|slots| slots.fill(key, bytes));
        }
        42 => match client.random().below(8) {
            0 => client.call(|slots| slots.write_and_choke(key, number)),
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
