//! What nodes say to each other about the protocol.

use super::types::{Entry, EntryId, Index, NodeId, Term};

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope {
    /// Who says it.
    pub(crate) from: NodeId,
    /// To whom.
    pub(crate) to: NodeId,
    /// The sender's current term: durable before the message left (figure 2).
    pub(crate) term: Term,
    /// What.
    pub(crate) message: Message,
}

/// Names one read of one life of one node; a retry takes a fresh one (etcd #20418).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReadId(pub(crate) u64);

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    /// Would you vote for me in the term after mine? (thesis §9.6)
    PreVote {
        /// The last entry of the candidate's log.
        last: EntryId,
    },
    /// The answer, for a campaign in the term after `of`.
    PreVoteReply {
        /// The term of the request that this answers.
        of: Term,
        /// Yes or no.
        granted: bool,
    },
    /// Vote for me in the envelope's term (§5.2).
    Vote {
        /// The last entry of the candidate's log.
        last: EntryId,
    },
    /// The answer, in the envelope's term.
    VoteReply {
        /// Yes or no.
        granted: bool,
    },
    /// Append these entries after `prev` (§5.3). Without entries it is a probe.
    Append {
        /// The entry right before the first of `entries`.
        prev: EntryId,
        /// The leader's commit index.
        commit: Index,
        /// In order, without gaps, possibly none.
        entries: Vec<Entry>,
    },
    /// The answer to an append: durable here up to `matched`.
    Appended {
        /// Every entry up to here is on this node's disk and equal to the leader's.
        matched: Index,
    },
    /// The answer to an append whose `prev` is not here.
    Conflict {
        /// The index of the `prev` that was refused.
        rejected: Index,
        /// The last entry here that may match: at most `rejected`, of a term at most the refused one.
        hint: EntryId,
    },
    /// The commit index has grown, and there is nothing to append: sent so that a call made at a follower ends
    /// one network delay after its commit. Not answered; a lost one is made good by the next heartbeat.
    Commit {
        /// The leader's commit index.
        commit: Index,
    },
    /// I still lead (§5.2), and which read round this is.
    Heartbeat {
        /// The leader's commit index.
        commit: Index,
        /// Counts up within a term: an answer confirms leadership for all reads that waited for this round or one before.
        round: u64,
    },
    /// The answer to a heartbeat.
    HeartbeatReply {
        /// The round of the heartbeat that this answers.
        round: u64,
    },
    /// A follower asks for a read index (thesis §6.4).
    ReadIndex {
        /// Chosen by the asker.
        id: ReadId,
    },
    /// The leader's answer.
    ReadIndexReply {
        /// As asked.
        id: ReadId,
        /// Serve the read once this is applied; `None`: not leading, ask again.
        index: Option<Index>,
    },
}
