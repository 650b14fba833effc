//! The list of marks, and how often each was hit.

#![cfg_attr(not(test), allow(dead_code, reason = "counts are for whoever runs schedules to read"))]

use std::cell::Cell;

/// One list makes the enum, [`Mark::ALL`] and the names.
macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident: $name:literal,)*) => {
        /// A rare event. "§" is the Raft paper, "thesis" Ongaro's dissertation, as in `raft`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Mark {
            $($(#[$doc])* $mark,)*
        }

        impl Mark {
            /// All of them, in the order of their rooms.
            pub(crate) const ALL: &[Mark] = &[$(Mark::$mark,)*];

            /// The event in words, for the summary of a run.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Mark::$mark => $name,)*
                }
            }
        }
    };
}

marks! {
    // raft: elections

    /// §5.2: randomised timeouts resolve it.
    SplitVoteRetried: "a candidate that was not elected campaigned again",
    /// Thesis §9.6.
    PreVoteRefusedBesideLeader: "a pre-vote was refused beside a live leader",
    /// §5.4.1, checked before the election.
    PreVoteRefusedLogBehind: "a pre-vote was refused because the candidate's log is behind",
    /// The refusal carries the term to the candidate: without it two nodes can refuse each other for ever.
    PreVoteOfLowerTermAnswered: "a pre-vote of an earlier term was answered with the present one",
    /// The voter's term is behind the candidate's; it grants a vote in the term after the candidate's.
    PreVoteGrantedByLowerTerm: "a pre-vote was granted by a voter of an earlier term",
    /// It granted a vote in a campaign that is over.
    PreVoteReplyLate: "a pre-vote's reply came after its campaign was over",
    /// Thesis §4.2.3.
    VoteRequestIgnored: "a vote request of a higher term was ignored beside a live leader",
    /// §5.2: one vote in a term.
    VoteRefusedAlreadyGiven: "a vote was refused because another candidate has got it",
    /// §5.4.1.
    VoteRefusedLogBehind: "a vote was refused because the candidate's log is behind",
    /// A follower that heard from the leader before the request came.
    VoteRefusedBesideLeader: "a vote was refused because the term has a leader",
    /// The network duplicated the request.
    VoteRepeated: "a vote was granted again to the same candidate",
    /// A candidate's own vote counts after its fsync; it can be the last vote that is missing.
    ElectedByOwnVote: "a candidate was elected when its own vote became durable",
    /// Its requests could not leave before.
    CampaignWaitedForDisk: "a node did not campaign because its term and vote were not durable",
    /// A voter's disk is slower than the election timeout.
    ElectedByLateVote: "a candidate was elected by a vote that came after its timeout",
    /// §5.2: another candidate has won.
    CandidateFollows: "a candidate received a message of the leader of its own term",
    /// §5.1.
    LeaderDeposed: "a leader received a higher term",
    /// Check-quorum, thesis §6.2.
    LeaderWithoutQuorum: "a leader that no majority answered stepped down",
    /// Its heartbeats would keep it in power (hashicorp/raft #503).
    LeaderDiskStalled: "a leader whose disk was stalled stepped down",
    /// Figure 2: the reply carries the term.
    StaleTermAnswered: "a message of an earlier leader was answered with the present term",
    /// The log may have changed since that term.
    StaleAcknowledgementDropped: "an acknowledgement of an earlier term was dropped",

    // raft: replication

    /// The limit of the log in memory.
    ProposalRefusedFull: "a leader refused a call because its log is full",
    /// §5.3: the consistency check.
    AppendConflict: "an append was rejected because the previous entry does not match",
    /// The end of §5.3: back-off by a term at a time instead of an entry at a time.
    BackedOffByTerm: "a leader backed off by more than one entry",
    /// Its probe was answered already.
    ConflictLate: "a late rejection of an append was ignored",
    /// §5.3, figure 7: the leader's entries replace those that it does not have.
    TailOverwritten: "an uncommitted tail was overwritten",
    /// Only a conflict deletes entries.
    AppendKnownAlready: "an append brought only entries that were there already",
    /// §5.4.3: committed entries are not compared.
    AppendBelowCommit: "an append began below the commit index",
    /// Apply lags: the follower does not answer, and the leader sends again.
    AppendWithoutRoom: "a follower had no room for an append",
    /// matchIndex never decreases.
    AcknowledgementLate: "an acknowledgement came after a higher one",
    /// It is known now up to where the peer's log matches.
    ProbeAnswered: "a probe found where a peer's log matches",
    /// The window of appends in flight to a peer.
    WindowFull: "a peer's window was full and entries waited",
    /// Nothing was acknowledged for an election timeout.
    AppendsGivenUp: "appends in flight were taken for lost",
    /// Only a probe was in flight.
    ProbeRepeated: "a probe was not answered and was sent again",
    /// §5.4.2, figure 8: an entry of an earlier term is not committed by being on a majority of disks.
    CommitHeldByTerm: "an entry of an earlier term was not committed by counting",
    /// §5.4.2: they become committed with an entry of the leader's own term.
    CommitCoversEarlierTerm: "entries of an earlier term were committed with one of the present term",
    /// Thesis §10.2.1: the others alone can be a majority.
    CommitBeforeOwnDisk: "a leader committed an entry before it was on its own disk",
    /// A follower commits only entries that are known to match the leader's.
    CommitBeyondLeaderMatch: "a leader's commit index was beyond the entries known to match",
    /// A follower learns the commit index without an append or a heartbeat.
    CommitSent: "a commit index was sent in a message of its own",
    /// Entries are applied only when they are on this node's disk.
    CommittedNotDurable: "a committed entry waited for this node's own disk",
    /// The limit on entries that are being applied.
    ApplyBehind: "committed entries waited for apply",
    /// The ABA problem of asynchronous appends: the report of deleted entries must not count for their replacements.
    CutWhileWritten: "entries were deleted while they were being written",
    /// One acknowledgement for all the appends that one write makes durable.
    AcknowledgementsMerged: "acknowledgements that waited for one write were merged",
    /// The clock of the machine jumped.
    ClockJumpRefused: "a jump of the clock was refused",
    /// Clocks can go back, the time of entries must not.
    StampHeldByLog: "an entry got the time of the entry before it",

    // raft: reads

    /// §8.
    ReadBeforeNoop: "a read waited for the no-op of the term",
    /// Thesis §6.4.
    ReadsShareRound: "several reads shared a round of heartbeats",
    /// A reply confirms all rounds up to its own.
    RoundsConfirmedTogether: "one reply confirmed several rounds of reads",
    /// The node does not lead any more, or never did.
    ReadRefused: "a read was refused by a node that does not lead",
    /// Its leader can no longer confirm it.
    ReadDroppedByLeader: "a read was dropped when its leader stepped down",

    // calls

    /// The limit of the queue.
    CallQueueFull: "a call was refused by a full queue",
    /// The limit of a command.
    CallTooLarge: "a call was too large",
    /// The bound of the window.
    CallWindowFull: "a call waited for room in the window",
    /// Never sent: not applied.
    DeadlineQueued: "a call's deadline passed while it was queued",
    /// Sent and undecided: unknown.
    DeadlineSent: "a call's deadline passed after it was sent",
    /// Its deadline had passed, or another copy of it was decided before.
    DecidedLate: "a call was decided after its caller had been answered",
    /// A call keeps its number, so it takes effect once.
    ResentToNewLeader: "calls were sent again to another leader",
    /// Calls sent over the old connection may be lost.
    ResentAfterReconnect: "calls were sent again over a new connection",
    /// Nothing was decided for too long.
    ResentOverdue: "calls were sent again because nothing was decided",
    /// A call before this one was lost.
    ResentAfterGap: "calls were sent again because of a gap",
    /// Copies that were in flight before the calls were sent again.
    GapKnown: "a gap was reported again after the calls had been sent again",
    /// It is not decided yet, and was sent again.
    CallKnown: "a leader was sent a call that it has appended in its term",
    /// An earlier call was lost on its way to the leader.
    CallAfterGap: "a leader refused a call after a gap",
    /// It does not lead, its log is full, or it cannot apply the call.
    CallRefused: "a node taken for the leader refused a call",
    /// The calls are sent again anyway.
    RefusalLate: "a late refusal was ignored",
    /// A call was given up and its neighbours were not.
    SendHeldByHole: "calls were held until all before a call that was given up have ended",
    /// A new leader, or no reply: a retry has a fresh id (etcd #20418).
    ReadAskedAgain: "a read was requested again",
    /// The request was replaced by another.
    ReadAnswerLate: "a read's reply came to a request that was replaced",
    /// No leader, no majority, or apply is behind.
    ReadDeadline: "a read's deadline passed",

    // object

    /// Exactly once.
    RepeatAnswered: "a repeated call was answered from the session table",
    /// Its session no longer waits for it.
    RepeatForgotten: "a repeated call was below its session's lowest unanswered number",
    /// Its process has been replaced.
    CallOfRetiredBoot: "a call of a retired boot had no effect",
    /// The first command of a higher boot retires the lower ones.
    BootRetired: "a higher boot retired a session",
    /// A call that was lost and given up can never take effect.
    NumberSkipped: "a number was skipped because its call was given up",
    /// It is the outcome of the call; the node goes on.
    MethodPanicked: "a method panicked",
    /// Only its size is kept.
    ReplyTooLarge: "a reply was too large to be kept",
    /// The method took effect; its return value is lost.
    ReplyUnencodable: "a reply could not be encoded",

    /// Its node cannot reach a leader before somebody acts.
    RefusalReported: "a call ended with the reason why its node was refused",

    // node

    /// Founding needs all nodes, and any of its messages can be lost.
    AnnouncementRepeated: "a founding list was announced again",
    /// A lost disk must not be proposed.
    FounderForgotten: "a peer went away before a founding list was proposed",
    /// This node missed an announcement, and another has formed the cluster meanwhile.
    FormedListAdopted: "a formed list was adopted",
    /// A wiped disk has lost its votes.
    WipedNodeRefused: "a node with another disk was refused by the cluster",
    /// The list of a founding never changes.
    WipedFounderRefused: "a node with another disk was refused during founding",
    /// Digests of an index differ.
    DivergenceAsked: "a digest differed, and all members were asked for theirs",
    /// The peer is ahead of this node.
    DigestEarly: "a digest came for an index that is not applied yet",
    /// It replays its log, or is slow.
    DisputeWaits: "a dispute lasted longer, because a connected member was behind",
    /// Its state differs from that of all others.
    DivergenceOutvoted: "a node whose state differs from all others stopped",
    /// No two states agree, or too few nodes answer.
    DivergenceUndecided: "replicas differed, and no majority agreed",
    /// The method is unknown here, or the session is not the sender's.
    CallBarred: "a forwarded call was refused before it was appended",
    /// Its disk is nearly full.
    CallRefusedDiskFull: "a leader without space refused a call",

    // storage

    /// A crash left a part of a batch that was never synced.
    TornTailCut: "a torn tail was cut",
    /// After a failed fsync the page cache may show data that is not on the disk.
    UnvouchedRewritten: "frames that are not known to be synced were written again",
    /// The log is only appended to: an entry replaces those at and after its index.
    ConflictReplayed: "overwritten entries were skipped at a start",
    /// The log continues in the next file.
    SegmentRotated: "a segment was full",
    /// Another thread had created it in the meantime.
    SegmentReady: "a prepared segment was used",
    /// The leader refuses new calls.
    DiskNearlyFull: "a disk had no space for the next segment or the reserve",
    /// The log continues in space that nobody else can take.
    ReserveTaken: "the reserve became a segment",
    /// The log waits, open.
    NoSpaceForSegment: "a log waited for space",
    /// The leader accepts calls again.
    SpaceReturned: "a disk had space again",
    /// A start on a full disk, or a founding.
    ReserveReleased: "a reserve was released for a new identity",
    /// The log created one itself.
    SegmentPreparedLate: "a segment was prepared too late",
    /// A crash while a segment was created.
    LeftoverRemoved: "an unfinished segment was removed at a start",
    /// It distinguishes damage to the last batch from a torn tail.
    IdleMarked: "an idle log wrote a marker that all of it is synced",
    /// The header of each carries the state at the end of the one before.
    SegmentsRecovered: "a log was recovered from several segments",
    /// Synced data is missing: the node must not vote.
    DamageRefused: "a start was refused because of damage",
    /// After an error nothing is written to that log again.
    LogClosedByError: "a log was closed by an error of its disk",
    /// No other node knows of a directory that was not complete.
    DirectoryBegunAgain: "an incomplete directory was created again",
}

thread_local! {
    static HITS: [Cell<u64>; Mark::ALL.len()] = const { [const { Cell::new(0) }; Mark::ALL.len()] };
}

/// Counts one event on this thread.
pub(crate) fn hit(mark: Mark) {
    HITS.with(|hits| {
        let count = &hits[mark as usize];
        count.set(count.get() + 1);
    });
}

/// How often each mark was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    hits: [u64; Mark::ALL.len()],
}

impl Counts {
    /// All at zero.
    pub(crate) fn new() -> Counts {
        Counts { hits: [0; Mark::ALL.len()] }
    }

    /// The hits on this thread since the last call; its counters are reset to zero.
    pub(crate) fn take() -> Counts {
        Counts { hits: HITS.with(|hits| hits.each_ref().map(Cell::take)) }
    }

    /// Adds the hits of another run.
    pub(crate) fn add(&mut self, other: &Counts) {
        for (sum, more) in self.hits.iter_mut().zip(other.hits) {
            *sum += more;
        }
    }

    /// How often a mark was hit.
    pub(crate) fn of(&self, mark: Mark) -> u64 {
        self.hits[mark as usize]
    }

    /// Every mark with its count, in the order of [`Mark::ALL`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Mark, u64)> {
        Mark::ALL.iter().map(|mark| (*mark, self.of(*mark)))
    }

    /// The marks that were never hit.
    pub(crate) fn never(&self) -> impl Iterator<Item = Mark> {
        self.iter().filter(|(_, count)| *count == 0).map(|(mark, _)| mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks: a hit counts for another mark, or for the run before.
    #[test]
    fn a_hit_is_counted_once() {
        Counts::take();
        mark!(TailOverwritten);
        mark!(TailOverwritten if 1 > 2);
        mark!(TornTailCut if 2 > 1);
        let taken = Counts::take();
        let hit: Vec<_> = taken.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(hit, [(Mark::TailOverwritten, 1), (Mark::TornTailCut, 1)]);
        assert_eq!(taken.never().count(), Mark::ALL.len() - 2);
        assert_eq!(Counts::take(), Counts::new());
        let mut sum = taken.clone();
        sum.add(&taken);
        assert_eq!(sum.of(Mark::TornTailCut), 2);
    }

    /// Breaks: two rows of a summary cannot be distinguished.
    #[test]
    fn every_mark_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.name()).collect();
        assert_eq!(names.len(), Mark::ALL.len());
    }
}
