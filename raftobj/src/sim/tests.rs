use super::{Client, Simulation};
use std::collections::BTreeMap;

#[raftobj::replicated]
#[derive(Default)]
struct Slots {
    slots: BTreeMap<u64, (u64, u64)>,
}

#[raftobj::replicated]
impl Slots {
    #[replicated]
    fn swap(&mut self, key: u64, serial: u64) -> (u64, u64) {
        let slot = self.slots.entry(key).or_default();
        let before = *slot;
        *slot = (serial, before.1 + 1);
        before
    }

    #[replicated]
    fn boom(&mut self, key: u64) {
        panic!("boom {key}");
    }

    fn get(&self, key: u64) -> (u64, u64) {
        self.slots.get(&key).copied().unwrap_or_default()
    }
}

fn workload(client: &mut Client<'_, Slots>) {
    let serial = client.serial();
    let key = serial / 100 * 2 + client.random().below(2);
    client.about(key);
    match client.random().below(10) {
        0 => client.call(|slots| slots.boom(key)),
        1 | 2 => client.read(move |slots| slots.get(key)),
        3 => client.read_local(move |slots| slots.get(key)),
        _ => client.call(|slots| slots.swap(key, serial)),
    }
}

fn simulation() -> Simulation<Slots> {
    Simulation::new(Slots::default, workload)
}

#[test]
fn the_standard_seeds_hold() {
    let report = simulation().seeds(0..300).run().unwrap();
    println!("{report}");
    assert_eq!(report.missed(), [""; 0]);
}
