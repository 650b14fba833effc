//! The properties that hold across nodes in every scenario: those of figure 3, and that a node sends and acknowledges
//! nothing before it is durable.

use super::disk::ScriptedDisk;
use super::network::Host;
use super::print;
use super::server::ScriptedServer;
use crate::calls::outcome::Committed;
use crate::codec::message::Message;
use crate::node::Node;
use crate::object::digest::Checkpoint;
use crate::raft::Raft;
use crate::raft::message::Message as RaftMessage;
use crate::raft::types::{Entry, EntryId, Index, NodeId, Term};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The observations up to now that later ones must agree with.
#[derive(Default)]
pub(super) struct Checks {
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry that was in any log, with the id of the one before it: log matching (§5.3).
    entries: BTreeMap<EntryId, (Entry, EntryId)>,
    /// Every entry that any node has committed.
    committed: BTreeMap<Index, EntryId>,
    /// Term, commit index and applied index of each running node: none of them decreases.
    progress: BTreeMap<Host, (Term, Index, Index)>,
    digests: BTreeMap<Index, u64>,
    /// A disk lost durable entries.
    pub(super) disk_lost: bool,
    /// The scenario makes replicas diverge.
    pub(super) may_diverge: bool,
}

/// All entries of a node's log.
pub(super) fn whole_log(node: &Node) -> Vec<Entry> {
    let log = node.raft().map(|raft| raft.log());
    log.map_or(Vec::new(), |log| log.iter_from(log.first_index()).cloned().collect())
}

impl Checks {
    /// A node starts: its commit index is not persistent and may be lower than before.
    pub(super) fn started(&mut self, host: Host) {
        self.progress.remove(&host);
    }

    /// A script has put entries on a disk.
    pub(super) fn preloaded(&mut self, disk: &ScriptedDisk) {
        self.log_matches(&disk.entries);
    }

    /// A node sends a message: the term, the vote and the acknowledgement in it are durable.
    pub(super) fn sent(&self, disk: &ScriptedDisk, to: NodeId, message: &Message) {
        let Message::Raft(term, message) = message else { return };
        let (durable, from) = (disk.hard_state, print::name(disk.node));
        assert!(durable.term >= *term, "{from} sends term {term}, with {} on disk", durable.term);
        if durable.term > *term {
            return;
        }
        match message {
            RaftMessage::RequestVote { .. } => {
                assert_eq!(
                    durable.voted_for,
                    Some(disk.node),
                    "{from} requests votes before its own is on disk"
                );
            }
            RaftMessage::VoteReply { granted: true } => {
                assert_eq!(durable.voted_for, Some(to), "{from} sends a vote that is not on its disk");
            }
            RaftMessage::Appended { match_index } => {
                let last = disk.entries.len() as u64;
                assert!(match_index.0 <= last, "{from} acknowledges {match_index}, with {last} on disk");
            }
            _ => {}
        }
    }

    /// A call is acknowledged: its entry is committed, and durable on a majority.
    pub(super) fn acknowledged(
        &self,
        servers: &BTreeMap<Host, ScriptedServer>,
        committed: &Committed<Bytes>,
    ) {
        let id = EntryId { term: committed.term, index: committed.index };
        assert_eq!(self.committed.get(&id.index), Some(&id), "{id} is acknowledged but not committed");
        self.is_durable_on_a_majority(servers, id);
    }

    fn is_durable_on_a_majority(&self, servers: &BTreeMap<Host, ScriptedServer>, id: EntryId) {
        let disks = servers.values().filter(|server| server.disk.has(id)).count();
        assert!(self.disk_lost || disks > servers.len() / 2, "{id} is committed, but only on {disks} disks");
    }

    /// A node has applied entries: its digests equal those of the other nodes.
    pub(super) fn applied(&mut self, host: Host, checkpoints: &[Checkpoint]) {
        for Checkpoint { index, digest, .. } in checkpoints {
            let same = *self.digests.entry(*index).or_insert(*digest) == *digest;
            assert!(self.may_diverge || same, "{host} diverges at {index}");
        }
    }

    /// Checks all running nodes. Called after each command and each message.
    pub(super) fn check(&mut self, servers: &BTreeMap<Host, ScriptedServer>) {
        for server in servers.values() {
            if let Some(process) = &server.process
                && let Some(raft) = process.node.raft()
            {
                self.log_matches(&whole_log(&process.node));
                self.nothing_decreases(server.host, raft, process.node.status().applied_index);
                self.committed_entries_stay(servers, raft);
                self.one_leader(raft);
            }
        }
    }

    fn log_matches(&mut self, log: &[Entry]) {
        let mut before = EntryId::default();
        for entry in log {
            let known = self.entries.entry(entry.id).or_insert_with(|| (entry.clone(), before));
            assert_eq!(
                *known,
                (entry.clone(), before),
                "two entries are {}, or the logs before it differ",
                entry.id
            );
            before = entry.id;
        }
    }

    fn nothing_decreases(&mut self, host: Host, raft: &Raft, applied: Index) {
        let now = (raft.term(), raft.commit(), applied);
        let before = self.progress.insert(host, now).unwrap_or_default();
        let decreased = now.0 < before.0 || now.1 < before.1 || now.2 < before.2;
        assert!(!decreased, "{host} goes back from {before:?} to {now:?}");
    }

    fn committed_entries_stay(&mut self, servers: &BTreeMap<Host, ScriptedServer>, raft: &Raft) {
        for index in (1..=raft.commit().0).map(Index) {
            let id = raft.log().get(index).expect("commit is within the log").id;
            let is_new = !self.committed.contains_key(&index);
            let committed = *self.committed.entry(index).or_insert(id);
            assert_eq!(committed, id, "{} commits another entry", print::name(raft.id()));
            if is_new {
                self.is_durable_on_a_majority(servers, id);
            }
        }
    }

    /// Election safety (§5.2) and leader completeness (§5.4.3).
    fn one_leader(&mut self, raft: &Raft) {
        if !raft.is_leader() {
            return;
        }
        let leader = *self.leaders.entry(raft.term()).or_insert(raft.id());
        assert_eq!(leader, raft.id(), "two leaders in term {}", raft.term());
        for id in self.committed.values().filter(|id| id.term <= raft.term()) {
            assert!(raft.log().has(*id), "{} leads without {id}", print::name(raft.id()));
        }
    }
}
