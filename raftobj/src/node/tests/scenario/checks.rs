//! What must hold across nodes, whatever a scenario does to them: figure 3 of the paper, and that nothing is told
//! before it is durable.

use super::disk::ScriptedDisk;
use super::network::Host;
use super::print;
use super::server::ScriptedServer;
use crate::calls::outcome::Committed;
use crate::codec::message::Message;
use crate::object::digest::Checkpoint;
use crate::raft::Raft;
use crate::raft::message::Message as RaftMessage;
use crate::raft::types::{Entry, EntryId, Index, NodeId, Term};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Checks {
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry that was in any log, with the one before it: log matching (§5.3).
    entries: BTreeMap<EntryId, (Entry, EntryId)>,
    /// Every entry that any node took for committed.
    committed: BTreeMap<Index, EntryId>,
    /// Term, commit and applied index of each running node: none of them goes back.
    progress: BTreeMap<Host, (Term, Index, Index)>,
    digests: BTreeMap<Index, u64>,
    /// A disk was lost, and with it what was durable there.
    pub(super) disk_lost: bool,
    /// Replicas are made to differ.
    pub(super) may_diverge: bool,
}

impl Checks {
    /// A node starts: its commit index may begin anew.
    pub(super) fn started(&mut self, host: Host) {
        self.progress.remove(&host);
    }

    /// Entries that a script has put on a disk.
    pub(super) fn remembered(&mut self, disk: &ScriptedDisk) {
        self.log_matches(&disk.entries);
    }

    /// A message leaves: what it tells of its sender's disk is true.
    pub(super) fn sent(&self, disk: &ScriptedDisk, to: NodeId, message: &Message) {
        let Message::Raft(term, message) = message else { return };
        let (durable, from) = (disk.hard_state, print::name(disk.node));
        assert!(durable.term >= *term, "{from} tells term {term} with {} on disk", durable.term);
        if durable.term > *term {
            return;
        }
        match message {
            RaftMessage::Vote { .. } => {
                assert_eq!(
                    durable.voted_for,
                    Some(disk.node),
                    "{from} asks for votes before its own is on disk"
                );
            }
            RaftMessage::VoteReply { granted: true } => {
                assert_eq!(durable.voted_for, Some(to), "{from} tells a vote that is not on its disk");
            }
            RaftMessage::Appended { match_index } => {
                let last = disk.entries.len() as u64;
                assert!(match_index.0 <= last, "{from} acknowledges {match_index}, with {last} on disk");
            }
            _ => {}
        }
    }

    /// A caller is told that its call has taken effect.
    pub(super) fn acknowledged(
        &self,
        servers: &BTreeMap<Host, ScriptedServer>,
        committed: &Committed<Bytes>,
    ) {
        let id = EntryId { term: committed.term, index: committed.index };
        assert_eq!(self.committed.get(&id.index), Some(&id), "{id} is acknowledged and not committed");
        self.is_at_a_quorum(servers, id);
    }

    fn is_at_a_quorum(&self, servers: &BTreeMap<Host, ScriptedServer>, id: EntryId) {
        let disks = servers.values().filter(|server| server.disk.has(id)).count();
        assert!(self.disk_lost || disks > servers.len() / 2, "{id} is committed, and on {disks} disks");
    }

    /// A node has applied entries: with what every other had after them.
    pub(super) fn applied(&mut self, host: Host, checkpoints: &[Checkpoint]) {
        for Checkpoint { index, digest, .. } in checkpoints {
            let same = *self.digests.entry(*index).or_insert(*digest) == *digest;
            assert!(self.may_diverge || same, "{host} differs at {index}");
        }
    }

    /// Everything else, at any moment.
    pub(super) fn check(&mut self, servers: &BTreeMap<Host, ScriptedServer>) {
        for server in servers.values() {
            if let Some(process) = &server.process
                && let Some(raft) = process.node.raft()
            {
                self.log_matches(&process.node.log(usize::MAX));
                self.node_advances(server.host, raft, process.node.status().applied);
                self.committed_stays(servers, raft);
                self.one_leader(raft);
            }
        }
    }

    fn log_matches(&mut self, log: &[Entry]) {
        let mut before = EntryId::default();
        for entry in log {
            let seen = self.entries.entry(entry.id).or_insert_with(|| (entry.clone(), before));
            assert_eq!(*seen, (entry.clone(), before), "two entries {}, or two logs before it", entry.id);
            before = entry.id;
        }
    }

    fn node_advances(&mut self, host: Host, raft: &Raft, applied: Index) {
        let now = (raft.term(), raft.commit(), applied);
        let before = self.progress.insert(host, now).unwrap_or_default();
        let back = now.0 < before.0 || now.1 < before.1 || now.2 < before.2;
        assert!(!back, "{host} goes back from {before:?} to {now:?}");
    }

    fn committed_stays(&mut self, servers: &BTreeMap<Host, ScriptedServer>, raft: &Raft) {
        for index in (1..=raft.commit().0).map(Index) {
            let id = raft.log().get(index).expect("commit is within the log").id;
            let known = self.committed.contains_key(&index);
            let seen = *self.committed.entry(index).or_insert(id);
            assert_eq!(seen, id, "{} takes another entry for committed", print::name(raft.id()));
            if !known {
                self.is_at_a_quorum(servers, id);
            }
        }
    }

    /// One leader a term (§5.2), and it has all that was committed before (§5.4.3).
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
