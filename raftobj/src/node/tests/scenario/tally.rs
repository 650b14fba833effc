//! A node's replica of the object: the fixture's [`Tally`] in a real [`Machine`].

use super::disk::ScriptedDisk;
use super::options::ServerOptions;
use crate::codec::command::SessionId;
use crate::object::fixture::Tally;
use crate::object::lock::StateLock;
use crate::object::machine::{Applied, Between, Machine, MachineConfig, OnPanic};
use crate::raft::types::Entry;
use std::sync::Arc;

/// The object, and the machine that applies entries to it.
pub(super) struct TallyMachine {
    state: Arc<StateLock<Tally>>,
    machine: Machine<Tally>,
}

impl TallyMachine {
    /// The object before the first entry.
    pub(super) fn new(disk: &ScriptedDisk, options: &ServerOptions) -> TallyMachine {
        let tally =
            Tally { skew: options.skew, lacks: options.lacks.map(|method| method.id), ..Tally::default() };
        let state = Arc::new(StateLock::new(tally));
        let config = MachineConfig {
            own: SessionId { node: disk.node, incarnation: disk.incarnation, boot: disk.boot },
            reply_bytes_max: 1_000,
            on_panic: OnPanic::Continue,
        };
        TallyMachine { machine: Machine::new(Arc::clone(&state), config), state }
    }

    pub(super) fn apply(&mut self, entries: &[Entry]) -> Applied {
        self.machine.apply(entries, &mut || Between::Continue)
    }

    /// The keys with their counts: `1×5 2×1`.
    pub(super) fn counts(&self) -> String {
        let state = self.state.read();
        let counts: Vec<String> = state.counts.iter().map(|(key, count)| format!("{key}×{count}")).collect();
        if counts.is_empty() { "nothing".to_owned() } else { counts.join(" ") }
    }
}
