//! The list of planted bugs, and the switch.

use std::cell::Cell;

/// One list makes the enum and [`Bug::ALL`].
macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident,)*) => {
        /// A planted bug: what it breaks, and which kind of schedule reveals it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Bug {
            $($(#[$doc])* $bug,)*
        }

        impl Bug {
            /// All of them.
            pub(crate) const ALL: &[Bug] = &[$(Bug::$bug,)*];
        }
    };
}

bugs! {
    // Elections

    /// A vote is answered before it is durable: after a crash in between, the node votes again. Revealed by crashes that
    /// lose unsynced writes, in contested terms.
    VoteBeforePersist,
    /// The term is not persisted: after a restart the log has entries of a term that the node does not know. Revealed by
    /// a crash of a follower that adopted a term without voting in it.
    TermNotPersisted,
    /// Two votes in a term, after a restart. Revealed by a crash between two requests of one term.
    VoteForgottenAtStart,
    /// A candidate's own vote counts before its fsync: after a crash it votes for another.
    OwnVoteBeforeFsync,
    /// The election timeout starts before term and vote are durable. Revealed by fsyncs that take longer than it: no leader
    /// is elected, and terms grow.
    ElectionTimerBeforeFsync,
    /// A vote that comes after the candidate's timeout does not count. Revealed by voters whose fsync takes longer than it.
    LateVotesIgnored,
    /// A leader whose disk hangs goes on leading, by its heartbeats. Revealed by a hung disk in a healthy cluster.
    DiskStallIgnored,
    /// §5.4.1 is not checked: a candidate whose log is behind wins, and committed entries are overwritten. Revealed by
    /// crashes and partitions that leave logs of different length.
    VoteForLogBehind,
    /// The vote of a node counts that is not a member. Revealed only where messages of other nodes get in.
    NonMemberVotes,
    /// A pre-vote is granted beside a live leader: a node that was cut off raises the term when it returns, and deposes
    /// the leader. Safe, so only a check that a healthy cluster keeps its leader reveals it.
    PreVoteBesideLeader,
    /// A pre-vote of an earlier term is dropped, so the candidate does not learn the term: a live-lock. Revealed by two
    /// nodes of which one has the higher term and the other the longer log, if they are a majority only together.
    PreVoteOfLowerTermDropped,

    // Replication

    /// Entries of an earlier term are committed by counting (§5.4.2, figure 8). Revealed by leaders that change faster
    /// than they commit.
    CommitByCounting,
    /// A late append truncates the log although nothing conflicts. Revealed by reordered appends.
    StaleAppendTruncates,
    /// A follower commits up to leaderCommit, also entries that are not known to match the leader's: entries that the
    /// leader does not have are applied. Revealed by a heartbeat that overtakes the first append of a term.
    CommitBeyondLeaderMatch,
    /// matchIndex decreases when acknowledgements are reordered.
    MatchIndexDecreases,
    /// An append is acknowledged before its fsync. Revealed by crashes that lose unsynced writes.
    AcknowledgedBeforeFsync,
    /// A leader counts itself before its own fsync. Revealed by a crash of a leader whose disk is slow.
    LeaderCountsBeforeFsync,
    /// An acknowledgement of an earlier term counts in this one. Revealed by late acknowledgements after a node has led,
    /// lost the term, and leads again.
    OldTermAcknowledges,
    /// The ABA problem of asynchronous appends: "written up to i" of deleted entries counts for their replacements. The
    /// simulator cannot reveal it: a leader sends entries only to peers that answered in its term, after all their
    /// earlier writes. A unit test of `durability` reveals it.
    PersistedAba,
    /// Effects that calls and the log cause in each other are left for the next turn, which may come late.
    EffectsInOneRound,
    /// nextIndex is taken for matchIndex (figure 2): sent entries count as acknowledged.
    NextIndexTakenForMatchIndex,
    /// A follower that becomes a candidate forgets up to where its log matches the leader's: it never learns the last
    /// commit. Revealed by a campaign in a term that goes on, without an entry after it.
    LeaderMatchForgotten,
    /// Any acknowledgement ends a probe, also one from before a restart of the peer: the peer never learns again up to
    /// where its log matches. Revealed by a follower that restarts between its acknowledgement and the probe, in a quiet
    /// cluster.
    ProbeEndedByAny,
    /// A follower whose log is nearly full counts entries that it has already, and rejects appends for ever. Revealed by
    /// small limits of the log.
    NearlyFullRefuses,
    /// Neither heartbeats nor messages of their own carry the commit index: followers learn it with the next append only.
    /// Revealed by a last call in a quiet cluster.
    CommitNotSent,
    /// Committed entries are applied before they are on this node's disk. Revealed by a crash of a slow disk.
    AppliedBeforeDurable,

    // Reads

    /// A read index is given before the no-op of the term is committed. Revealed by reads at a new leader.
    ReadBeforeNoop,
    /// A read index is given without a round of heartbeats. Revealed by reads at a leader that is cut off.
    ReadWithoutRound,
    /// A read is requested again under an id that was used before, and takes an old reply. Revealed by slow networks.
    ReadIdReused,
    /// A read is served before its index is applied on this node. Revealed by slow apply.
    ReadBeforeApplied,

    // Calls and sessions

    /// A retry is applied twice after a leader change.
    RetryAppliedTwice,
    /// A call after a lost one is appended and takes effect without it; the lost one never does. Revealed by messages lost
    /// between a node and its leader, while several calls are in flight.
    GapAccepted,
    /// A leader does not remember which calls it has appended in its term: a call that is sent again has a second entry.
    /// Without effect, so only a check of the log reveals it.
    AppendedForgotten,
    /// A call from before a restart of its process takes effect again. Revealed by late messages after a restart.
    RetiredBootAdmitted,
    /// A call that was given up blocks all that follow it for ever. Revealed by short deadlines.
    LowestIgnored,
    /// The outcomes of calls are lost when a leader changes: callers hang.
    CompletionDropped,
    /// A call has no deadline any more after it was sent: its caller hangs where there is no leader.
    DeadlineForgotten,
    /// Calls are not sent again, neither to a new leader nor when nothing is decided. Revealed by a last call under a
    /// leader that is lost.
    NeverResent,

    // Apply

    /// Apply order depends on batches: two calls of one batch change places. Revealed where batches differ between
    /// replicas.
    OrderOfBatch,
    /// A call that was sent ends at its deadline as "not applied". Revealed by late replies.
    SentCallDenied,
    /// A method that fails stops one replica only, that of its caller.
    FailingMethodStopsItsCaller,
    /// Replicas that differ are found, and none stops. Revealed by a method that is not deterministic.
    DivergenceGoesOn,
    /// A member that has not applied the disputed entry yet counts as one with another state: nodes that are the majority
    /// stop. Revealed by a start of one of them during a dispute.
    AnyAnswerCounts,
    /// The members are asked for their digests only once: a lost reply ends the dispute, and nodes that are the majority
    /// stop. Revealed by a connection that breaks during a dispute.
    DisputeAskedOnce,
    /// A dispute does not wait for connected members that are behind: nodes that are the majority stop. Revealed by a
    /// member that replays its log for longer than a dispute lasts.
    BehindNotWaitedFor,

    // Founding

    /// A founding list is announced before it is durable: after a crash the same disk may announce another. Revealed by
    /// a crash and a lost disk during founding.
    FoundingListSentEarly,
    /// A founding list changes when another disk appears at an address. Revealed by a lost disk during founding.
    ListChanges,
    /// A peer whose connections have ended still counts as met: its disk is proposed although it is lost. Revealed by a
    /// disk lost before the last node comes.
    GoneFounderCounts,
    /// A formed list is adopted by a disk that never announced it. No node talks to such a disk, so the simulator cannot
    /// reveal it; a test of founding does.
    FormedAdoptedByAnyone,
    /// Another incarnation of a member is taken for it. Ids are random, so no other disk has one of them and the simulator
    /// cannot reveal it; a test of the handshake does.
    IncarnationIgnored,
    /// A wiped disk returns under the old id and votes: ids are made of the address, the incarnation is not checked, and a
    /// formed list is adopted. Revealed by a lost disk after which another node is away.
    WipedDiskReturns,

    // Storage

    /// A damaged record in the middle of the log is taken for a torn tail. Revealed by a flipped bit or a lost write in
    /// synced data.
    DamageTakenForTail,
    /// A failed fsync is repeated: the second succeeds, and the data is gone. Revealed by a failed fsync followed by a
    /// power cut.
    FsyncRetried,
    /// What waits for space on the disk is acknowledged. Revealed by a crash while a disk is full.
    AcknowledgedWithoutSpace,
    /// A full disk is not tried again: its node refuses calls for ever. Revealed by a disk that gets space again.
    FullDiskNotRetried,
    /// The directory is not fsynced after the rename of a segment. Revealed by a power cut after a rotation.
    SegmentNameNotSynced,
    /// The directory is not fsynced after the rename of the identity: boot, proposal and cluster go back.
    IdentityNameNotSynced,
    /// The checksum of a frame's payload is not checked. Revealed by torn writes.
    ChecksumNotChecked,
    /// It is not checked that a frame follows the one before. Batch numbers hide it from power cuts: only a disk that
    /// returns an older, complete state of a place reveals it. A test of the log does.
    ChainNotChecked,
    /// The log leaves a segment before it is synced. Revealed by a power cut after a rotation.
    RotationWithoutSync,
    /// A new segment begins with the term but without the vote.
    VoteNotCarried,
    /// At a start an entry does not remove the entries that it replaced.
    TruncationNotReplayed,

    // Connections

    /// The length of a frame has no limit. The simulator has no sockets; a test of the frames reveals it.
    FrameWithoutLimit,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether this bug is switched on, on this thread.
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Runs `body` with a bug switched on, on this thread.
pub(crate) fn with<T>(bug: Bug, body: impl FnOnce() -> T) -> T {
    /// Restores the earlier switch, also when `body` panics.
    struct Before(Option<Bug>);

    impl Drop for Before {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }

    let _before = Before(PLANTED.replace(Some(bug)));
    body()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks: a bug stays switched on for later tests after a panic, or is never switched on.
    #[test]
    fn a_bug_is_there_while_its_body_runs() {
        assert!(!planted!(CommitByCounting));
        with(Bug::CommitByCounting, || {
            assert!(planted!(CommitByCounting));
            assert!(!planted!(ReadBeforeNoop));
        });
        let panicked = std::panic::catch_unwind(|| with(Bug::ReadBeforeNoop, || panic!("found")));
        assert!(panicked.is_err());
        assert_eq!(Bug::ALL.iter().filter(|bug| is(**bug)).count(), 0);
    }
}
