//! The messages of the protocol. Each variant names the paper's RPC, each field the paper's argument.
//!
//! The paper's RPCs are requests and results; here both are messages on their own, because they are pipelined and may
//! arrive late, twice or out of order. The sender and its term are in the [`Envelope`].

use super::types::{Entry, EntryId, Index, NodeId, Term};

/// A message, with who sends it and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope {
    /// The sender: candidateId or leaderId in requests (figure 2).
    pub(crate) from: NodeId,
    /// The receiver.
    pub(crate) to: NodeId,
    /// The sender's currentTerm: durable before the message is sent (figure 2).
    pub(crate) term: Term,
    /// The content.
    pub(crate) message: Message,
}

/// Identifies one read of one life of one node. A retry takes a fresh one (etcd #20418).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReadId(pub(crate) u64);

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    /// PreVote RPC (thesis §9.6), request: would you vote for me in the term after mine?
    PreVote {
        /// lastLogTerm and lastLogIndex: the last entry of the candidate's log.
        last: EntryId,
    },
    /// PreVote RPC, result, for a campaign in the term after `of`.
    PreVoteReply {
        /// The term of the request that this answers.
        of: Term,
        /// voteGranted.
        granted: bool,
    },
    /// RequestVote RPC (§5.2, figure 2), request: vote for me in the envelope's term.
    RequestVote {
        /// lastLogTerm and lastLogIndex: the last entry of the candidate's log.
        last: EntryId,
    },
    /// RequestVote RPC, result, in the envelope's term.
    VoteReply {
        /// voteGranted.
        granted: bool,
    },
    /// AppendEntries RPC (§5.3, figure 2), request. Without entries it is a probe.
    AppendEntries {
        /// prevLogTerm and prevLogIndex: the entry directly before the first of `entries`.
        prev: EntryId,
        /// leaderCommit: the leader's commitIndex.
        commit: Index,
        /// entries\[\]: in order, without gaps, possibly none.
        entries: Vec<Entry>,
    },
    /// AppendEntries RPC, result, success: the receiver's log matches the leader's.
    Appended {
        /// The receiver's log is durable and equal to the leader's up to here. The leader takes it for matchIndex.
        match_index: Index,
    },
    /// AppendEntries RPC, result, failure: the receiver's log has no entry that matches prevLogIndex and prevLogTerm.
    Conflict {
        /// The prevLogIndex that was rejected.
        rejected: Index,
        /// The last entry of the receiver's log that may match: its index is at most `rejected`, its term at most the
        /// rejected prevLogTerm (the faster back-off at the end of §5.3).
        hint: EntryId,
    },
    /// The leader's commitIndex has grown and there is no entry to send it with. It saves a call that was made at a
    /// follower the wait for the next heartbeat. It has no result; if it is lost, the next heartbeat replaces it.
    Commit {
        /// leaderCommit: the leader's commitIndex.
        commit: Index,
    },
    /// AppendEntries RPC without entries and without a consistency check: the heartbeat (§5.2).
    Heartbeat {
        /// leaderCommit: the leader's commitIndex.
        commit: Index,
        /// The number of the latest read round (thesis §6.4). It counts up within a term; a reply to this round
        /// confirms the leader for all reads of this round and of earlier ones.
        round: u64,
    },
    /// The result of a heartbeat. With round 0 it only carries the term to a sender whose term is over.
    HeartbeatReply {
        /// The round of the heartbeat that this answers.
        round: u64,
    },
    /// A follower asks the leader for a read index (thesis §6.4), request.
    ReadIndex {
        /// Chosen by the follower.
        id: ReadId,
    },
    /// The leader's result.
    ReadIndexReply {
        /// The id of the request.
        id: ReadId,
        /// readIndex: the read may be served once this is applied. `None`: this node does not lead; ask again.
        index: Option<Index>,
    },
}
