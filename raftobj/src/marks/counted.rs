//! The marks there are, and how often each was hit.

#![cfg_attr(not(test), allow(dead_code, reason = "counts are for whoever runs schedules to read"))]

use std::cell::Cell;

/// One list makes the enum, [`Mark::ALL`] and the names.
macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident: $name:literal,)*) => {
        /// A rare event. `§` is the Raft paper's, as in `raft`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Mark {
            $($(#[$doc])* $mark,)*
        }

        impl Mark {
            /// All of them, in the order of their rooms.
            pub(crate) const ALL: &[Mark] = &[$(Mark::$mark,)*];

            /// What happened, for people.
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

    /// §5.2: the randomised timeouts are there for it.
    SplitVoteRetried: "a candidate that was not elected campaigned again",
    /// Thesis §9.6.
    PreVoteRefusedBesideLeader: "a pre-vote was refused beside a live leader",
    /// §5.4.1, asked before the election.
    PreVoteRefusedLogBehind: "a pre-vote was refused to a log that is behind",
    /// The refusal teaches the candidate the term: without it two nodes can refuse each other for ever.
    PreVoteOfLowerTermAnswered: "a pre-vote of an earlier term was answered with the present one",
    /// The voter has not heard of the candidate's term, and says yes to the one after it.
    PreVoteGrantedByLowerTerm: "a pre-vote was granted by a voter of an earlier term",
    /// A grant for a campaign that is over.
    PreVoteReplyLate: "a pre-vote's answer came after its question had lapsed",
    /// Leader stickiness, thesis §4.2.3.
    VoteRequestIgnored: "a vote request of a higher term was ignored beside a live leader",
    /// §5.2: one vote a term.
    VoteRefusedAlreadyGiven: "a vote was refused because another candidate has it",
    /// §5.4.1.
    VoteRefusedLogBehind: "a vote was refused to a log that is behind",
    /// A follower that was told of the leader before it was asked.
    VoteRefusedBesideLeader: "a vote was refused because the term has a leader",
    /// The request was repeated by the network.
    VoteRepeated: "a vote was given once more to the same candidate",
    /// A candidate's own vote counts after its fsync, which may be the last thing that it waits for.
    ElectedByOwnVote: "a candidate was elected when its own vote was durable",
    /// §5.2: another has won.
    CandidateFollows: "a candidate heard the leader of its own term",
    /// §5.1.
    LeaderDeposed: "a leader met a higher term",
    /// Check-quorum, §6.2.
    LeaderWithoutQuorum: "a leader that no majority answers stepped down",
    /// Figure 2: the answer carries the term.
    StaleTermAnswered: "a message of an earlier leader was answered with the present term",
    /// What was acknowledged in another term says nothing of the present one's log.
    StaleAcknowledgementDropped: "an acknowledgement of an earlier term was dropped",

    // raft: replication

    /// The bound of the log in memory.
    ProposalRefusedFull: "a leader refused a call because its log is full",
    /// §5.3: the consistency check.
    AppendConflict: "an append was refused because the entry before it is not here",
    /// The end of §5.3: a term a round instead of an entry a round.
    BackedOffByTerm: "a leader backed off by more than one entry",
    /// The refusal of a probe that was answered already.
    ConflictLate: "a late refusal was not acted upon",
    /// §5.3, figure 7: the leader's entries replace what it does not have.
    TailOverwritten: "an uncommitted tail was overwritten",
    /// Only a real conflict cuts.
    AppendKnownAlready: "an append brought only entries that were here",
    /// §5.4.3: what is committed here is not compared.
    AppendBelowCommit: "an append began below what is committed",
    /// Apply lags: the follower does not answer, and is asked again.
    AppendWithoutRoom: "a follower had no room for an append",
    /// `matched` never goes back.
    AcknowledgementLate: "an acknowledgement came after a higher one",
    /// Where a peer's log agrees is known now.
    ProbeAnswered: "a probed peer was found to agree",
    /// The window of appends on their way to a peer.
    WindowFull: "a peer's window was full while there was more to send",
    /// Nothing came back for an election timeout.
    AppendsGivenUp: "appends on their way were taken for lost",
    /// Only a probe was on its way.
    ProbeRepeated: "a probe was not answered and put again",
    /// §5.4.2, figure 8: an entry of an earlier term on a majority's disks is not committed by that.
    CommitHeldByTerm: "a majority's entry of an earlier term was not committed by counting",
    /// §5.4.2: with an entry of the leader's own term those before it are.
    CommitCoversEarlierTerm: "entries of an earlier term were committed by one of the present",
    /// Thesis §10.2.1: a majority of others is one.
    CommitBeforeOwnDisk: "a leader committed before its own disk had the entry",
    /// A follower's commit index never passes what its leader has confirmed.
    CommitBeyondLeaderMatch: "a leader's commit index was beyond what is confirmed here",
    /// A follower learns of a commit without an append or a heartbeat.
    CommitSent: "a commit index was told on its own",
    /// Entries leave for apply only when they are on this disk.
    CommittedNotDurable: "a committed entry waited for this node's own disk",
    /// The bound on what waits to be applied.
    ApplyBehind: "committed entries waited for apply",
    /// The ABA of asynchronous appends: the report of the old tail must not count for the new.
    CutWhileWritten: "a tail was cut while it was being written",
    /// One acknowledgement for all the appends that one write makes durable.
    AcknowledgementsMerged: "acknowledgements that waited for one write became one",
    /// The clock of the machine jumped.
    ClockJumpRefused: "a jump of the clock was not believed",
    /// Stamps never go back, clocks do.
    StampHeldByLog: "an entry was stamped with the time of the one before it",

    // raft: reads

    /// §8.
    ReadBeforeNoop: "a read waited for the no-op of the term",
    /// Thesis §6.4.
    ReadsShareRound: "several reads shared a round of heartbeats",
    /// An answer confirms all rounds up to its own.
    RoundsConfirmedTogether: "one answer confirmed several rounds of reads",
    /// It leads no more, or never did.
    ReadRefused: "a read was refused by a node that does not lead",
    /// Its leader cannot confirm it any more.
    ReadDroppedByLeader: "a read was dropped when its leader stepped down",

    // calls

    /// The bound of the queue.
    CallQueueFull: "a call was refused by a full queue",
    /// The bound of a command.
    CallTooLarge: "a call was too large",
    /// The bound of the window.
    CallWindowFull: "a call waited for room in the window",
    /// Never sent: not applied.
    DeadlineQueued: "a call's deadline passed while it was queued",
    /// Sent and undecided: unknown.
    DeadlineSent: "a call's deadline passed after it was sent",
    /// Its deadline had passed, or another copy was decided before.
    DecidedLate: "a call was decided whose caller had been answered",
    /// It keeps its number, so that it takes effect once.
    ResentToNewLeader: "calls were sent again to another leader",
    /// What was sent over the old connection may be lost.
    ResentAfterReconnect: "calls were sent again over a new connection",
    /// Nothing was decided for too long.
    ResentOverdue: "calls were sent again because nothing was decided",
    /// A call before it got lost.
    ResentAfterGap: "calls were sent again because of a gap",
    /// Copies that were on their way before the last re-send.
    GapKnown: "a gap that was being mended was told again",
    /// It does not lead, its log is full, or it cannot apply the call.
    CallRefused: "a node taken for the leader refused a call",
    /// Of what is sent again anyway.
    RefusalLate: "a refusal came too late to matter",
    /// A call given up between two that are not.
    HolePassedOver: "a call given up was passed over when others were sent again",
    /// With the leader it was asked of, a question is void (etcd #20418: a retry has a fresh id).
    ReadAskedAgain: "a read was asked again",
    /// A question that is void.
    ReadAnswerLate: "a read's answer came to a question no longer open",
    /// No leader, no majority, or apply is behind.
    ReadDeadline: "a read's deadline passed",

    // object

    /// Exactly once.
    RepeatAnswered: "a repeated call was answered from the session table",
    /// Its session has said that it no longer asks.
    RepeatForgotten: "a repeated call was below its session's lowest",
    /// No effect: the origin sends again.
    CallAfterGap: "a call after a gap had no effect",
    /// Its process was replaced.
    CallOfRetiredBoot: "a call of a retired boot had no effect",
    /// The first command of a higher boot retires the lower ones.
    BootRetired: "a higher boot retired a session",
    /// A call given up that was lost can never take effect.
    NumberSkipped: "a number was skipped because its call was given up",
    /// An outcome, not the end of a node.
    MethodPanicked: "a method panicked",
    /// Kept as its size.
    ReplyTooLarge: "a reply was too large to be kept",
    /// The method took effect, its value is lost.
    ReplyUnencodable: "a reply could not be encoded",

    // node

    /// Founding takes all nodes, and any message of it can be lost.
    AnnouncementRepeated: "a founding list was announced again",
    /// It missed an announcement, and somebody has formed meanwhile.
    FormedListAdopted: "a formed list was adopted",
    /// A wiped disk has forgotten its votes.
    WipedNodeRefused: "a node with another disk was refused by the cluster",
    /// The list of a founding never changes.
    WipedFounderRefused: "a node with another disk was refused in the middle of founding",
    /// Digests of an index differ.
    DivergenceAsked: "a digest differed, and all members were asked for theirs",
    /// The peer is ahead.
    DigestEarly: "a digest was told of an index not applied yet",
    /// The node that is alone with its state.
    DivergenceOutvoted: "a node alone with its state stopped",
    /// No two agree, or too few are there to tell.
    DivergenceUndecided: "replicas differed, and no majority agreed",
    /// A method that this node does not have, or a session that is not the sender's.
    CallBarred: "a forwarded call was kept out of the log",

    // storage

    /// What a crash left of a batch that was never synced.
    TornTailCut: "a torn tail was cut",
    /// After a failed sync the page cache may show what the disk does not have.
    UnvouchedRewritten: "frames that nothing vouches for were written again",
    /// Rule 11: there is no record for a cut.
    ConflictReplayed: "entries overwritten in the log were passed over at a start",
    /// The log goes on in the next file.
    SegmentRotated: "a segment was full",
    /// It was made on another thread meanwhile.
    SegmentReady: "a segment that was prepared was used",
    /// The log did not wait.
    SegmentPreparedLate: "a segment was prepared too late",
    /// A crash in the middle of making one.
    LeftoverRemoved: "an unfinished segment was removed at a start",
    /// It tells damage to the last batch from a torn tail.
    IdleMarked: "a log that is idle said so",
    /// The opening of each carries what the one before knew.
    SegmentsRecovered: "a log was recovered from several segments",
    /// What was synced is gone: the node must not vote.
    DamageRefused: "a start was refused because of damage",
    /// Rules 3 and 4: nothing is tried again.
    LogClosedByError: "a log was closed by a disk's error",
    /// A directory that nobody was told of.
    DirectoryBegunAgain: "a directory half made was begun again",
}

thread_local! {
    static HITS: [Cell<u64>; Mark::ALL.len()] = const { [const { Cell::new(0) }; Mark::ALL.len()] };
}

/// Counts one event, on this thread.
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

    /// What was hit on this thread since the last time; the thread's counters begin at zero again.
    pub(crate) fn take() -> Counts {
        Counts { hits: HITS.with(|hits| hits.each_ref().map(Cell::take)) }
    }

    /// Counts another run's hits in.
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

    /// The marks that nothing has hit.
    pub(crate) fn never(&self) -> impl Iterator<Item = Mark> {
        self.iter().filter(|(_, count)| *count == 0).map(|(mark, _)| mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks: a branch counts for another, or for the run before.
    #[test]
    fn what_was_hit_is_taken_once() {
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

    /// Breaks: two rows of a summary cannot be told apart.
    #[test]
    fn every_mark_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.name()).collect();
        assert_eq!(names.len(), Mark::ALL.len());
    }
}
