//! A disk that stores what a node persists: writes wait in a queue, become durable one by one, and are lost in a crash
//! if they did not. (Failures within a write are tested in `storage`.)

use crate::node::{FoundingWrite, PersistentState};
use crate::persistence::Write;
use crate::raft::Persist;
use crate::raft::membership::Membership;
use crate::raft::types::{Boot, Entry, EntryId, HardState, Incarnation, NodeId};
use std::collections::VecDeque;

/// The disk of one node. A server that loses its disk gets a new one, with a new node.
#[derive(Debug)]
pub(super) struct ScriptedDisk {
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) boot: Boot,
    pub(super) hard_state: HardState,
    pub(super) entries: Vec<Entry>,
    proposal: Option<Membership>,
    pub(super) formed: Option<Membership>,
    unwritten: VecDeque<Write>,
    /// All writes fail from now on.
    pub(super) fails: bool,
}

impl ScriptedDisk {
    /// An empty disk.
    pub(super) fn new(node: NodeId, incarnation: Incarnation, formed: Option<Membership>) -> ScriptedDisk {
        ScriptedDisk {
            node,
            incarnation,
            boot: Boot(0),
            hard_state: HardState::default(),
            entries: Vec::new(),
            proposal: None,
            formed,
            unwritten: VecDeque::new(),
            fails: false,
        }
    }

    /// The state that a starting node reads.
    pub(super) fn persistent_state(&self) -> PersistentState {
        PersistentState {
            proposal: self.proposal.clone(),
            formed: self.formed.clone(),
            hard_state: self.hard_state,
            entries: self.entries.clone(),
        }
    }

    /// Whether the entry is durable.
    pub(super) fn has(&self, id: EntryId) -> bool {
        let position = usize::try_from(id.index.0).expect("small").checked_sub(1);
        position.and_then(|position| self.entries.get(position)).is_some_and(|entry| entry.id == id)
    }

    /// The writes that wait, oldest first.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = &Write> {
        self.unwritten.iter()
    }

    pub(super) fn push(&mut self, write: Write) {
        self.unwritten.push_back(write);
    }

    /// Makes the oldest write durable, and returns it.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn write_one(&mut self) -> Result<Option<Write>, String> {
        if self.fails && !self.unwritten.is_empty() {
            return Err("the disk failed: input/output error".to_owned());
        }
        let Some(write) = self.unwritten.pop_front() else { return Ok(None) };
        match &write {
            Write::Persist(persist) => self.put(persist),
            Write::Founding(FoundingWrite::Proposal(membership)) => self.proposal = Some(membership.clone()),
            Write::Founding(FoundingWrite::Formed { membership, .. }) => {
                self.formed = Some(membership.clone())
            }
        }
        Ok(Some(write))
    }

    fn put(&mut self, persist: &Persist) {
        if let Some(hard_state) = persist.hard_state {
            let (new, old) = (hard_state, self.hard_state);
            assert!(new.term >= old.term, "the term on disk goes back from {} to {}", old.term, new.term);
            let vote_is_kept =
                new.term > old.term || old.voted_for.is_none() || new.voted_for == old.voted_for;
            assert!(vote_is_kept, "the vote on disk changes within term {}", old.term);
            self.hard_state = hard_state;
        }
        for entry in &persist.entries {
            let before = usize::try_from(entry.id.index.0).expect("small") - 1;
            assert!(before <= self.entries.len(), "{} leaves a gap in the log on disk", entry.id);
            self.entries.truncate(before);
            self.entries.push(entry.clone());
        }
    }

    /// Loses the writes that wait.
    pub(super) fn crash(&mut self) {
        self.unwritten.clear();
    }
}
