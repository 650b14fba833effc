//! Linearizable reads without the log (thesis §6.4).
//!
//! A leader notes its commitIndex (readIndex), confirms by a round of heartbeats that it still leads after the read was
//! requested, and answers with that index. All reads that wait when a round opens share it. The node that requested the
//! read waits until lastApplied has reached the index: `calls/reads.rs`.

use super::durability::Requires;
use super::message::{Message, ReadId};
use super::types::{Index, NodeId};
use super::{LeaderState, Raft, ServerState};
use crate::marks::mark;
use crate::planted::planted;
use std::collections::VecDeque;

/// The result of a read that this node requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadReady {
    pub(crate) id: ReadId,
    /// Serve it once this is applied. `None`: no leader confirmed it; ask again with a fresh id.
    pub(crate) index: Option<Index>,
}

/// The reads that a leader has not answered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ReadQueue {
    /// For the next round.
    waiting: Vec<(NodeId, ReadId)>,
    /// Rounds that a quorum has not confirmed yet.
    open: VecDeque<Round>,
    /// The number of the last round that was opened.
    round: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Round {
    number: u64,
    index: Index,
    reads: Vec<(NodeId, ReadId)>,
}

/// How many reads may wait for a round. One more is refused, and its node asks again.
const WAITING_MAX: usize = 4096;
/// How many rounds may be open. At the limit, reads wait for the next one.
const ROUNDS_MAX: usize = 64;

impl ReadQueue {
    /// The number of the last round that was opened.
    pub(super) fn round(&self) -> u64 {
        self.round
    }
}

impl Raft {
    /// Requests a read index, here or at the leader. The result is in a later [`super::Ready`]. It may never come: then
    /// ask again, with a fresh id.
    pub(crate) fn read_index(&mut self, id: ReadId) {
        match self.leader() {
            None => self.reads_ready.push(ReadReady { id, index: None }),
            Some(leader) if leader == self.config.id => self.handle_read_index(leader, id),
            Some(leader) => self.send(leader, Message::ReadIndex { id }, Requires::HardState),
        }
    }

    /// ReadIndex request: a node asks this leader for a read index.
    pub(super) fn handle_read_index(&mut self, from: NodeId, id: ReadId) {
        match &mut self.state {
            ServerState::Leader(leader) if leader.reads.waiting.len() < WAITING_MAX => {
                leader.reads.waiting.push((from, id))
            }
            _ => {
                mark!(ReadRefused);
                self.answer_read(from, id, None);
            }
        }
    }

    /// ReadIndex result of the leader.
    pub(super) fn handle_read_index_reply(&mut self, id: ReadId, index: Option<Index>) {
        self.reads_ready.push(ReadReady { id, index });
    }

    /// Opens a round for all reads that wait.
    pub(super) fn open_read_round(&mut self) {
        let ServerState::Leader(leader) = &self.state else { return };
        let idle = leader.reads.waiting.is_empty();
        if idle || !self.may_open_read_round(leader) || leader.reads.open.len() >= ROUNDS_MAX {
            return;
        }
        let ServerState::Leader(LeaderState { reads: queue, .. }) = &mut self.state else { return };
        queue.round += 1;
        let reads = std::mem::take(&mut queue.waiting);
        mark!(ReadsShareRound if reads.len() > 1);
        queue.open.push_back(Round { number: queue.round, index: self.commit, reads });
        self.send_heartbeats();
        self.close_read_rounds();
    }

    /// Answers the reads of every round that a quorum has confirmed.
    pub(super) fn close_read_rounds(&mut self) {
        let ServerState::Leader(leader) = &mut self.state else { return };
        let latest = leader.reads.round;
        let own = self.config.id;
        let answered = |id| match leader.peers.get(&id) {
            Some(progress) => progress.round,
            None if id == own => latest,
            None => 0,
        };
        let mut confirmed = self.membership.quorum_value(answered).unwrap_or_default();
        if planted!(ReadWithoutRound) {
            confirmed = latest;
        }
        let mut answers = Vec::new();
        while let Some(round) = leader.reads.open.pop_front_if(|round| round.number <= confirmed) {
            mark!(RoundsConfirmedTogether if leader.reads.open.front().is_some_and(|next| next.number <= confirmed));
            answers.extend(round.reads.into_iter().map(|(from, id)| (from, id, round.index)));
        }
        for (from, id, index) in answers {
            self.answer_read(from, id, Some(index));
        }
    }

    /// The leader steps down. Reads of this node end without an index and are requested again; other nodes request
    /// theirs again when they notice the change.
    pub(super) fn give_up_reads(&mut self, queue: ReadQueue) {
        mark!(ReadDroppedByLeader if !queue.open.is_empty() || !queue.waiting.is_empty());
        let asked = queue.open.into_iter().flat_map(|round| round.reads).chain(queue.waiting);
        let own = asked.filter(|(from, _)| *from == self.config.id);
        self.reads_ready.extend(own.map(|(_, id)| ReadReady { id, index: None }));
    }

    fn answer_read(&mut self, from: NodeId, id: ReadId, index: Option<Index>) {
        if from == self.config.id {
            self.reads_ready.push(ReadReady { id, index });
        } else {
            self.send(from, Message::ReadIndexReply { id, index }, Requires::HardState);
        }
    }
}
