//! The checks of the whole cluster after every step. The oracle sees all nodes, disks and messages. The properties of the
//! protocol are checked in this file, those of calls in [`calls`], those of the user's object in [`replicas`].
//!
//! Comparing whole logs at each step would cost more than the run. So each entry carries a hash of its log up to it
//! ([`chain`]): equal ids and hashes mean equal logs up to there, and each property costs one comparison per change.
//!
//! | property | where it is checked |
//! |---|---|
//! | one leader per term, elected by durable votes (§5.2) | [`Oracle::check_leader`] |
//! | a match index is what a peer has acknowledged in this term, and never goes back (figure 2) | [`Oracle::check_match_index`] |
//! | log matching (§5.3) | [`Oracle::check_append`] |
//! | leader completeness (§5.4) | [`Oracle::check_leader`] |
//! | committed entries never change, and are durable on a majority | [`Oracle::check_commit`] |
//! | state machine safety (§5.4.3) | [`Oracle::check_applying`], [`Oracle::check_applied`] |
//! | nothing is sent before it is durable | [`Oracle::check_sent`] |
//! | a call takes effect at most once, in its session's order | [`Oracle::check_applied`] |
//! | without a leader change a call has at most one entry | [`Oracle::check_applied`] |
//! | every acknowledged call takes effect once, and no refused call does | [`Oracle::check_calls`] |
//! | replies are those of the object when calls are made one after the other | [`Oracle::check_applied`], [`Oracle::check_reply`] |
//! | replicas are equal, and reads of them return the same | [`replicas`] |

mod calls;
pub(crate) mod chain;
pub(crate) mod replicas;

use super::violation::{Violation, ensure};
use crate::codec::command::{Command, Number, SessionId};
use crate::codec::message::{Announcement, Message};
use crate::object::Object;
use crate::object::context::ApplyContext;
use crate::object::digest::Checkpoint;
use crate::raft::membership::Membership;
use crate::raft::message::Message as RaftMessage;
use crate::raft::types::{Boot, Entry, EntryId, HardState, Index, NodeId, Term};
use chain::{ChainedEntry, Durable};
use std::collections::BTreeMap;

const DURABLE_FIRST: &str = "nothing is sent before it is durable";

/// What a run has shown so far, and the checks against it.
pub(crate) struct Oracle<T: Object> {
    /// Each entry that was ever in a log, with its hash.
    chain: BTreeMap<EntryId, u64>,
    pub(crate) leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(Term, NodeId), NodeId>,
    /// Of each follower in a term: what it has acknowledged, and its leader's match index.
    followers: BTreeMap<(Term, NodeId), Follower>,
    committed: Vec<ChainedEntry>,
    /// The term in which each of them was first known to be committed. It may be later than the entry's own term.
    committed_in: Vec<Term>,
    /// The effect of each committed entry that some node has applied.
    effects: Vec<Effect>,
    membership: Option<Membership>,
    /// The last call of each session that took effect, and the latest boot of each node.
    last_numbers: BTreeMap<SessionId, Number>,
    boots: BTreeMap<NodeId, Boot>,
    /// The calls of each session that have committed entries: the term of the last one.
    entries: BTreeMap<(SessionId, Number), Term>,
    /// One more replica: each call that takes effect is applied to it once, by the user's code alone.
    reference: T,
    checkpoint: Checkpoint,
}

/// How far a follower's log agrees with its leader's.
#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    acknowledged: Index,
    match_index: Index,
}

/// The effect of an entry.
struct Effect {
    digest: u64,
    /// The call that took effect, and how its method ended.
    call: Option<(Command, MethodEnd)>,
}

/// How a method of the reference replica ended.
#[derive(Debug, PartialEq, Eq)]
enum MethodEnd {
    Value(Vec<u8>),
    Panicked,
    Unencodable,
}

impl<T: Object> Oracle<T> {
    pub(crate) fn new(reference: T) -> Oracle<T> {
        Oracle {
            chain: BTreeMap::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            followers: BTreeMap::new(),
            committed: Vec::new(),
            committed_in: Vec::new(),
            effects: Vec::new(),
            membership: None,
            last_numbers: BTreeMap::new(),
            boots: BTreeMap::new(),
            entries: BTreeMap::new(),
            reference,
            checkpoint: Checkpoint::default(),
        }
    }

    /// The last index that some node knows to be committed.
    pub(crate) fn commit(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// The context of the method that took effect at this index.
    pub(crate) fn context(&self, index: Index) -> ApplyContext {
        let entry = (index.0 as usize).checked_sub(1).and_then(|at| self.committed.get(at));
        entry.map_or(ApplyContext::for_test(0, 0, 0), |entry| {
            ApplyContext::new(index, entry.id.term, entry.time)
        })
    }

    /// A node has appended entries to its log, those of `log` from the index `from` on.
    pub(crate) fn check_append(&mut self, node: usize, log: &[ChainedEntry], from: Index) {
        let first = from.0 as usize - 1;
        for at in first..log.len() {
            let entry = log[at];
            if let Some(before) = at.checked_sub(1).map(|at| log[at]) {
                ensure!(
                    before.id.term <= entry.id.term && before.time <= entry.time,
                    "terms and times in a log never go back",
                    "n{node} has {} of {} after {} of {}",
                    entry.id,
                    entry.time,
                    before.id,
                    before.time
                );
            }
            let known = *self.chain.entry(entry.id).or_insert(entry.hash);
            ensure!(
                known == entry.hash,
                "logs that agree on an entry agree on all before it (log matching, §5.3)",
                "n{node} has another {}, or another log before it, than another node",
                entry.id
            );
        }
    }

    /// A node leads. `disks` are those of all machines; of a machine whose disk was lost, the lost one.
    pub(crate) fn check_leader<'a>(
        &mut self,
        node: usize,
        id: NodeId,
        term: Term,
        log: &[ChainedEntry],
        disks: impl Iterator<Item = &'a Durable> + Clone,
    ) {
        match self.leaders.get(&term) {
            Some(leader) if *leader == id => {}
            Some(leader) => ensure!(
                false,
                "a term has one leader (election safety, §5.2)",
                "n{node} leads term {term}, which {} led before",
                leader.short()
            ),
            None => {
                self.leaders.insert(term, id);
                // A node in a later term can no longer vote in this one.
                let vote = HardState { term, voted_for: Some(id) };
                let voted = |disk: &&Durable| disk.hard_state == vote || disk.hard_state.term > term;
                let (votes, all) = (disks.clone().filter(voted).count(), disks.count());
                ensure!(
                    votes > all / 2,
                    "a leader has the durable votes of a majority (§5.2)",
                    "n{node} leads term {term} with votes on {votes} of {all} disks"
                );
                // The leader of an earlier term may be noticed late: it need not have what later terms committed.
                let before = self.committed_in.partition_point(|committed_in| *committed_in < term);
                if let Some(last) = before.checked_sub(1).map(|at| self.committed[at]) {
                    let held = log.get(last.id.index.0 as usize - 1);
                    ensure!(
                        held == Some(&last),
                        "a leader has every entry committed in earlier terms (leader completeness, §5.4)",
                        "n{node} leads term {term} without the committed {}; at that index it has {}",
                        last.id,
                        held.map_or("nothing".to_owned(), |held| held.id.to_string())
                    );
                }
            }
        }
    }

    /// A leader's match index for a peer.
    pub(crate) fn check_match_index(&mut self, node: usize, term: Term, peer: NodeId, match_index: Index) {
        let Follower { acknowledged, match_index: before } = self.followers.entry((term, peer)).or_default();
        ensure!(
            match_index <= *acknowledged,
            "a match index is acknowledged by the peer in the same term (figure 2)",
            "n{node} has the match index {match_index} for {} in term {term}, which acknowledged {acknowledged}",
            peer.short()
        );
        ensure!(
            match_index >= *before,
            "a match index never goes back within a term (figure 2)",
            "n{node} has the match index {match_index} for {} in term {term}, after {before}",
            peer.short()
        );
        *before = match_index;
    }

    /// A node in this term knows entries up to `commit` to be committed. `disks` are those of all machines; of a machine
    /// whose disk was lost, the lost one, because the leader counted it.
    pub(crate) fn check_commit<'a>(
        &mut self,
        node: usize,
        term: Term,
        commit: Index,
        log: &[ChainedEntry],
        disks: impl Iterator<Item = &'a Durable> + Clone,
    ) {
        let known = self.committed.len().min(commit.0 as usize);
        if let Some(last) = known.checked_sub(1) {
            ensure!(
                log.get(last) == Some(&self.committed[last]),
                "committed entries never change",
                "n{node} has committed another log than other nodes: it differs at {} or before",
                self.committed[last].id
            );
        }
        for at in known..commit.0 as usize {
            let Some(entry) = log.get(at) else {
                Violation::raise(
                    "a commit index is within the log",
                    format!("n{node} commits up to {commit} with a log of {} entries", log.len()),
                )
            };
            self.committed.push(*entry);
            let latest = self.committed_in.last().copied().unwrap_or_default();
            self.committed_in.push(latest.max(term));
        }
        if let Some(last) = self.committed.get(known..).and_then(<[ChainedEntry]>::last) {
            let holders =
                disks.clone().filter(|disk| disk.log.get(last.id.index.0 as usize - 1) == Some(last));
            let (holders, all) = (holders.count(), disks.count());
            ensure!(
                holders > all / 2,
                "a committed entry is durable on a majority",
                "n{node} has committed {}, which is on {holders} of {all} disks",
                last.id
            );
        }
    }

    /// A node passes entries to its object to apply.
    pub(crate) fn check_applying(
        &self,
        node: usize,
        entries: &[Entry],
        log: &[ChainedEntry],
        durable: &Durable,
    ) {
        for entry in entries {
            let at = entry.id.index.0 as usize - 1;
            let chained = log.get(at).copied();
            let before = at.checked_sub(1).and_then(|at| log.get(at));
            ensure!(
                chained == Some(ChainedEntry::after(before, entry))
                    && chained.as_ref() == self.committed.get(at),
                "only committed entries are applied",
                "n{node} applies {}; another entry is committed at its index",
                entry.id
            );
            ensure!(
                chained.as_ref() == durable.log.get(at),
                "a node applies only entries that are durable on its own disk",
                "n{node} applies {}; its disk has {} entries",
                entry.id,
                durable.log.len()
            );
        }
    }

    /// A node sends a message. What it asserts must be on the node's disk; `log` may be ahead of that.
    pub(crate) fn check_sent(
        &mut self,
        node: usize,
        id: NodeId,
        to: NodeId,
        message: &Message,
        log: &[ChainedEntry],
        durable: &Durable,
    ) {
        if let Message::Founding(announcement) = message {
            let written = match announcement {
                Announcement::Waiting => true,
                Announcement::Proposed(_) => durable.proposed,
                Announcement::Formed(_) => durable.formed,
            };
            ensure!(written, DURABLE_FIRST, "n{node} announces {announcement:?}; on its disk is {durable:?}");
        }
        let Message::Raft(term, message) = message else { return };
        let hard_state = durable.hard_state;
        let is_durable = match message {
            // Questions: they assert nothing.
            RaftMessage::PreVote { .. } | RaftMessage::ReadIndex { .. } => return,
            // A durable later term also rules out another vote in this one.
            RaftMessage::RequestVote { .. } => {
                hard_state.term > *term || (hard_state.term == *term && hard_state.voted_for == Some(id))
            }
            RaftMessage::VoteReply { granted: true } => {
                let first = *self.votes.entry((*term, id)).or_insert(to);
                ensure!(
                    first == to,
                    "a node votes once per term (§5.2)",
                    "n{node} voted in term {term} for {} and for {}",
                    first.short(),
                    to.short()
                );
                hard_state.term > *term || (hard_state.term == *term && hard_state.voted_for == Some(to))
            }
            // An older tail of the same length does not count. After a later term the log may have been truncated.
            RaftMessage::Appended { match_index } => {
                let follower = self.followers.entry((*term, id)).or_default();
                follower.acknowledged = follower.acknowledged.max(*match_index);
                let last = (match_index.0 as usize).checked_sub(1);
                let same = last.is_none_or(|last| durable.log.get(last) == log.get(last));
                let holds = durable.log.len() as u64 >= match_index.0;
                hard_state.term > *term || (hard_state.term == *term && holds && same)
            }
            _ => hard_state.term >= *term,
        };
        ensure!(
            is_durable,
            DURABLE_FIRST,
            "n{node} sends {message:?} in term {term}; on its disk are {hard_state:?} and {} entries",
            durable.log.len()
        );
    }

    /// A node is a member of a cluster of these members.
    pub(crate) fn check_membership(&mut self, node: usize, membership: &Membership) {
        match &self.membership {
            None => self.membership = Some(membership.clone()),
            Some(known) => ensure!(
                known == membership,
                "there is one cluster",
                "n{node} has the members {membership:?}, another node has {known:?}"
            ),
        }
    }
}
