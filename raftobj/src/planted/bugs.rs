//! The bugs there are, and the switch.

use std::cell::Cell;

/// One list makes the enum and [`Bug::ALL`].
macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident,)*) => {
        /// A bug. Each says what it breaks, in the words of the list of planted bugs where it is on it, and which
        /// kind of schedule reveals it.
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

    /// Planted bug 1, vote answered before it is persisted: a crash between the two, and it votes again.
    /// Revealed by crashes that lose what was not synced, in contested terms.
    VoteBeforePersist,
    /// Planted bug 2, term not persisted: entries of a term that the node has never heard of after a restart.
    /// Revealed by a crash of a follower after it adopted a term without voting in it.
    TermNotPersisted,
    /// Planted bug 3, two votes in a term after a restart. Revealed by a crash between two requests of a term.
    VoteForgottenAtStart,
    /// A candidate's own vote counts before its fsync: after a crash it gives that vote to another.
    OwnVoteBeforeFsync,
    /// §5.4.1 not asked: a log that is behind wins, and what was committed is overwritten. Revealed by crashes and
    /// partitions that leave logs of different length.
    VoteForLogBehind,
    /// Planted bug 15, vote of a node counted that is not a member. Revealed only where a stranger's messages get in.
    NonMemberVotes,
    /// Planted bug 28, pre-vote granted beside a live leader: a node that was cut off raises the term when it returns,
    /// and deposes the leader. Safe, so only a check that peace keeps its leader reveals it.
    PreVoteBesideLeader,
    /// Planted bug 28, live-lock: a pre-vote of an earlier term is dropped, and teaches nothing. Revealed by two nodes
    /// of which the one has the higher term and the other the longer log, when they are a quorum only together.
    PreVoteOfLowerTermDropped,

    // Replication

    /// Planted bug 4, entries of an old term committed by counting (§5.4.2, figure 8). Revealed by leaders that change
    /// faster than they commit.
    CommitByCounting,
    /// Planted bug 5, truncation by a stale append without conflict. Revealed by reordered appends.
    StaleAppendTruncates,
    /// Planted bug 6, commit = the leader's commit without the last confirmed index: a divergent tail is applied.
    /// Revealed by a heartbeat that overtakes the first append of a term.
    CommitBeyondLeaderMatch,
    /// Planted bug 7, match index going back on reordered replies.
    MatchIndexDecreases,
    /// Planted bug 8, acknowledged before fsync. Revealed by crashes that lose what was not synced.
    AcknowledgedBeforeFsync,
    /// Planted bug 9, leader counts itself before its own fsync. Revealed by a crash of a leader whose disk is slow.
    LeaderCountsBeforeFsync,
    /// An acknowledgement of an earlier term counts in this one. Revealed by late acknowledgements after a node has
    /// led, lost the term, and leads again.
    OldTermAcknowledges,
    /// The ABA of asynchronous appends: "written up to i" of an overwritten tail counts for the new one. Beyond a
    /// simulator: a leader sends entries to those who answered in its term, after all their earlier writes. The disk's
    /// own test has it.
    PersistedAba,
    /// What calls and the log set off in each other is left for the next turn, which may be long in coming.
    EffectsInOneRound,
    /// What was sent is taken for what matches (figure 2: nextIndex for matchIndex).
    NextIndexTakenForMatchIndex,
    /// How far a log is confirmed is forgotten when its follower doubts the leader: the last commit is never learnt.
    /// Revealed by a campaign in a term that goes on, with no entry after it.
    LeaderMatchForgotten,
    /// Any acknowledgement ends a probe: one of a peer's earlier life does, and what the peer has forgotten is never told
    /// it again. Revealed by a follower that restarts between its acknowledgement and the probe, in a quiet cluster.
    ProbeEndedByAny,
    /// A follower whose log is nearly full counts what it has already, and refuses appends for ever. Revealed by small
    /// limits of the log.
    NearlyFullRefuses,
    /// Neither heartbeats nor messages of their own tell a commit index: followers learn it with the next append only.
    /// Revealed by a last call in a quiet cluster.
    CommitNotSent,
    /// Committed entries are handed out before they are on this node's disk. Revealed by a crash of a slow disk.
    AppliedBeforeDurable,

    // Reads

    /// Planted bug 16, read index before the no-op commits. Revealed by reads at a fresh leader.
    ReadBeforeNoop,
    /// Planted bug 17, read index without the round. Revealed by reads at a leader that is cut off.
    ReadWithoutRound,
    /// A read is asked again under an id that was used before: it takes an old answer. Revealed by slow networks.
    ReadIdReused,
    /// A read is served before its index is applied here. Revealed by slow apply.
    ReadBeforeApplied,

    // Calls and sessions

    /// Planted bug 19, retry applied twice after a leader change.
    RetryAppliedTwice,
    /// A call behind a lost one takes effect without it; the lost one never does. Revealed by messages lost between a
    /// node and its leader, while several calls are under way.
    GapAccepted,
    /// A call of an earlier life of a process takes effect again. Revealed by late messages after a restart.
    RetiredBootAdmitted,
    /// A call given up blocks all that follow it for ever. Revealed by short deadlines.
    LowestIgnored,
    /// The ends of calls are lost when a leader changes: callers hang.
    CompletionDropped,
    /// A call has no deadline any more once it was sent: its caller hangs where there is no leader.
    DeadlineForgotten,
    /// Calls are not sent again to a new leader, nor when nothing is decided. Revealed by a last call under a leader
    /// that is lost.
    NeverResent,

    // Apply

    /// Planted bug 26, apply order differs under batching: two calls of one batch change places. Revealed where batches
    /// differ between replicas.
    OrderOfBatch,
    /// A call that was sent is said at its deadline not to have been applied. Revealed by answers that are late.
    SentCallDenied,
    /// Planted bug 30, a failing method stops one replica only, that of its caller.
    FailingMethodStopsItsCaller,
    /// Replicas that differ are told apart, and none stops. Revealed by a method that is not deterministic.
    DivergenceGoesOn,
    /// What a member says that has not applied the disputed entry yet counts as its opinion: nodes that are the majority
    /// stop. Revealed by a start of one of them in the middle of a dispute.
    AnyAnswerCounts,
    /// The members of a dispute are asked once: it ends without an answer that was lost, and nodes that are the majority
    /// stop. Revealed by a connection that breaks in the middle of a dispute.
    DisputeAskedOnce,

    // Founding

    /// A founding list is announced before it is durable: after a crash the same disk may announce another. Revealed by
    /// a crash and a lost disk in the middle of founding.
    ListToldEarly,
    /// A founding list changes when another disk appears at an address. Revealed by a lost disk in the middle of
    /// founding.
    ListChanges,
    /// A formed list is adopted by a disk that never announced it. Nobody talks to such a disk: beyond a simulator,
    /// the founding's own test has it.
    FormedAdoptedByAnyone,
    /// Another incarnation of a member is taken for it. Ids are random, so that no other disk has one of them: beyond
    /// a simulator, the handshake's own test has it.
    IncarnationIgnored,
    /// Planted bug 25, wiped disk returns under the old id and votes: ids are made of the address, the incarnation is
    /// not looked at, and a formed list is adopted. Revealed by a lost disk after which another node is away.
    WipedDiskReturns,

    // Storage

    /// Planted bug 21, torn record in the middle taken for the tail. Revealed by a flipped bit, or a lost write, in what
    /// was synced.
    DamageTakenForTail,
    /// Planted bug 22, fsync error retried: the second says yes, and the data is gone. Revealed by a failed fsync
    /// followed by a power cut.
    FsyncRetried,
    /// Planted bug 23, rename without directory fsync, of a segment. Revealed by a power cut after a rotation.
    SegmentNameNotSynced,
    /// Planted bug 23, rename without directory fsync, of the identity: boot, proposal and cluster go back.
    IdentityNameNotSynced,
    /// A frame's payload is not checked. Revealed by torn writes.
    ChecksumNotChecked,
    /// That a frame follows the one before is not checked. Batch numbers hide it from power cuts: revealed only by a
    /// disk that shows an older, whole state of a place; the log's own test has it.
    ChainNotChecked,
    /// A segment is left before it is synced. Revealed by a power cut after a rotation.
    RotationWithoutSync,
    /// A new segment begins with the term, and without the vote.
    VoteNotCarried,
    /// At a start an entry does not remove those that it replaced.
    TruncationNotReplayed,

    // Connections

    /// Planted bug 29, frame length without a limit. Beyond a simulator without sockets: the frames' own test has it.
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
    /// Puts back what was there before, also when `body` panics.
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

    /// Breaks: a bug stays switched on for the tests after a panic, or none ever is.
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
