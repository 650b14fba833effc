//! What a leader knows of one peer's log (matchIndex, nextIndex), and which appends are in append to it.
//!
//! ```text
//!            the peer's log has prev
//!   ┌───────┐ ───────────────────────▶ ┌───────────┐
//!   │ Probe │                          │ Replicate │ ──┐ appends in a window, acknowledged
//!   └───────┘ ◀─────────────────────── └───────────┘ ◀─┘
//!     │   ▲    rejected, lost, no answer
//!     └───┘ one empty append at a time
//! ```
//!
//! Invariant: `match_index < next_index`; `match_index` never decreases within a term.

use super::types::{Index, Ticks};
use crate::marks::mark;
use crate::planted::planted;
use std::collections::VecDeque;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Progress {
    /// matchIndex (figure 2): the peer's log is durable and equal to the leader's up to here.
    match_index: Index,
    /// nextIndex (figure 2): the next entry to send.
    next_index: Index,
    mode: Mode,
    /// When the last message of this term came from the peer.
    pub(crate) last_heard: Ticks,
    /// The highest read round that it has answered.
    pub(crate) round: u64,
    /// The commitIndex that was last sent to it.
    pub(crate) commit_sent: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// It is not known up to where the logs match. One empty append at a time finds out.
    Probe { sent: Option<Ticks> },
    /// The logs match up to `next_index - 1`, unless an append was lost.
    Replicate { inflight: VecDeque<InflightAppend>, bytes: usize, last_progress: Ticks },
}

/// An append that was sent and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct InflightAppend {
    last: Index,
    bytes: usize,
}

impl Progress {
    /// A peer of a new leader (figure 2: nextIndex is initialised to the leader's last log index + 1, matchIndex to 0).
    pub(crate) fn new(last: Index, now: Ticks) -> Progress {
        Progress {
            match_index: Index(0),
            next_index: last.next(),
            mode: Mode::Probe { sent: None },
            last_heard: now,
            round: 0,
            commit_sent: Index(0),
        }
    }

    pub(crate) fn match_index(&self) -> Index {
        self.match_index
    }

    pub(crate) fn next_index(&self) -> Index {
        self.next_index
    }

    pub(crate) fn is_probing(&self) -> bool {
        matches!(self.mode, Mode::Probe { .. })
    }

    /// Whether a probe may be sent: none is in flight.
    pub(crate) fn may_probe(&self) -> bool {
        matches!(self.mode, Mode::Probe { sent: None })
    }

    /// Whether a commitIndex can be sent on its own: the peer's log is known to match, and a lower one was sent.
    pub(crate) fn lacks_commit(&self, commit: Index) -> bool {
        !self.is_probing() && commit > self.commit_sent
    }

    /// A probe was sent.
    pub(crate) fn probe_sent(&mut self, now: Ticks) {
        self.mode = Mode::Probe { sent: Some(now) };
    }

    /// Whether the window has room for one more append of entries.
    pub(crate) fn has_room(&self, messages_max: usize, bytes_max: usize) -> bool {
        match &self.mode {
            Mode::Probe { .. } => false,
            Mode::Replicate { inflight, bytes, .. } => inflight.len() < messages_max && *bytes < bytes_max,
        }
    }

    /// An append that ends at `last` was sent.
    pub(crate) fn append_sent(&mut self, last: Index, bytes: usize, now: Ticks) {
        self.next_index = last.next();
        if planted!(NextIndexTakenForMatchIndex) {
            self.match_index = last;
        }
        if let Mode::Replicate { inflight, bytes: inflight_bytes, last_progress } = &mut self.mode {
            if inflight.is_empty() {
                *last_progress = now;
            }
            inflight.push_back(InflightAppend { last, bytes });
            *inflight_bytes += bytes;
        }
    }

    /// The peer's log is durable and equal up to `match_index`. Acknowledgements may arrive late and out of order; only
    /// the highest counts.
    pub(crate) fn acknowledged(&mut self, match_index: Index, now: Ticks) {
        mark!(AcknowledgementLate if match_index < self.match_index);
        let is_higher = match_index > self.match_index;
        self.match_index =
            if planted!(MatchIndexDecreases) { match_index } else { self.match_index.max(match_index) };
        let answers_probe = match_index.next() == self.next_index;
        match &mut self.mode {
            Mode::Probe { .. } if answers_probe || planted!(ProbeEndedByAny) => {
                mark!(ProbeAnswered);
                self.next_index = self.match_index.next();
                self.mode = Mode::Replicate { inflight: VecDeque::new(), bytes: 0, last_progress: now };
            }
            // Any other acknowledgement may be from before a restart of the peer. The peer does not keep on disk up to
            // where its log matches the leader's, so it must receive a probe to learn it again.
            Mode::Probe { .. } if is_higher => {
                self.next_index = self.match_index.next();
                self.mode = Mode::Probe { sent: None };
            }
            Mode::Probe { .. } => {}
            Mode::Replicate { inflight, bytes, last_progress } => {
                self.next_index = self.next_index.max(match_index.next());
                while let Some(append) = inflight.front()
                    && append.last <= match_index
                {
                    *bytes -= append.bytes;
                    *last_progress = now;
                    inflight.pop_front();
                }
            }
        }
    }

    /// Whether a rejection of `rejected` is to be acted on. A rejection is late if its probe was answered already. At or
    /// below match_index it is ignored: that peer has lost entries that it acknowledged, there is no earlier entry to
    /// back off to, and probing again at once would never end.
    pub(crate) fn is_current(&self, rejected: Index) -> bool {
        rejected > self.match_index
            && match self.mode {
                Mode::Probe { .. } => rejected.next() == self.next_index,
                Mode::Replicate { .. } => true,
            }
    }

    /// Lowers nextIndex (§5.3): the logs may match up to `last_possible_match`, and do not after it.
    pub(crate) fn back_off(&mut self, last_possible_match: Index) {
        self.next_index = last_possible_match.max(self.match_index).next();
        self.mode = Mode::Probe { sent: None };
    }

    /// Messages in flight may be lost: probe again, from match_index.
    pub(crate) fn restart_probe(&mut self) {
        if let Mode::Replicate { .. } = self.mode {
            self.next_index = self.match_index.next();
        }
        self.mode = Mode::Probe { sent: None };
    }

    /// Probes again where nothing has been acknowledged for `timeout`.
    pub(crate) fn tick(&mut self, now: Ticks, timeout: Ticks) {
        let since = match &self.mode {
            Mode::Probe { sent: Some(sent) } => *sent,
            Mode::Replicate { inflight, last_progress, .. } if !inflight.is_empty() => *last_progress,
            _ => return,
        };
        if now.0 - since.0 >= timeout.0 {
            mark!(ProbeRepeated if self.is_probing());
            mark!(AppendsGivenUp if !self.is_probing());
            self.restart_probe();
        }
    }

    /// Shifts every point in time: the model compares members by differences between times only.
    #[cfg(test)]
    pub(crate) fn shift_times(&mut self, shift: impl Fn(Ticks) -> Ticks) {
        self.last_heard = shift(self.last_heard);
        match &mut self.mode {
            Mode::Probe { sent } => *sent = sent.map(shift),
            Mode::Replicate { last_progress, inflight, .. } => {
                *last_progress = if inflight.is_empty() { Ticks(0) } else { shift(*last_progress) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating() -> Progress {
        let mut progress = Progress::new(Index(10), Ticks(0));
        progress.probe_sent(Ticks(0));
        progress.acknowledged(Index(10), Ticks(1));
        progress
    }

    #[test]
    fn the_window_counts_messages_and_bytes_and_acknowledgements_free_it() {
        let mut progress = replicating();
        progress.append_sent(Index(11), 100, Ticks(1));
        progress.append_sent(Index(15), 100, Ticks(1));
        assert!(!progress.has_room(2, 1000));
        assert!(!progress.has_room(9, 200));
        assert!(progress.has_room(9, 201));
        progress.acknowledged(Index(11), Ticks(2));
        assert!(progress.has_room(2, 101));
        assert_eq!((progress.match_index(), progress.next_index()), (Index(11), Index(16)));
    }

    #[test]
    fn a_late_acknowledgement_does_not_lower_match_index() {
        let mut progress = replicating();
        progress.append_sent(Index(12), 1, Ticks(1));
        progress.acknowledged(Index(12), Ticks(1));
        progress.acknowledged(Index(11), Ticks(1));
        assert_eq!(progress.match_index(), Index(12));
    }

    #[test]
    fn a_rejection_counts_once_and_never_below_match_index() {
        let mut progress = Progress::new(Index(10), Ticks(0));
        assert!(progress.is_current(Index(10)));
        progress.back_off(Index(4));
        assert!(!progress.is_current(Index(10)), "the same rejection again");
        assert!(progress.is_current(Index(4)));
        progress.acknowledged(Index(4), Ticks(1));
        assert!(!progress.is_current(Index(4)));
        progress.back_off(Index(2));
        assert_eq!(progress.next_index(), Index(5));
        assert!(!progress.is_current(Index(4)), "a probe at match_index itself");
    }

    // Breaks: a follower that was restarted after it acknowledged never learns, in a quiet cluster, up to where its log
    // matches: it does not keep that on disk, and the leader takes the old acknowledgement for the answer to its probe.
    #[test]
    fn only_an_acknowledgement_of_the_probe_ends_it() {
        let mut progress = Progress::new(Index(10), Ticks(0));
        progress.back_off(Index(0));
        progress.probe_sent(Ticks(1));
        progress.acknowledged(Index(1), Ticks(2));
        assert!(progress.may_probe(), "probed again, from match_index");
        assert_eq!((progress.match_index(), progress.next_index()), (Index(1), Index(2)));
        progress.probe_sent(Ticks(2));
        progress.acknowledged(Index(1), Ticks(3));
        assert!(!progress.is_probing());
    }

    // Breaks: a network that duplicates messages makes each acknowledgement cause a probe, and each probe an
    // acknowledgement, without end.
    #[test]
    fn a_duplicate_acknowledgement_causes_no_probe() {
        let mut progress = Progress::new(Index(10), Ticks(0));
        progress.acknowledged(Index(1), Ticks(1));
        progress.back_off(Index(5));
        progress.probe_sent(Ticks(2));
        progress.acknowledged(Index(1), Ticks(3));
        assert!(!progress.may_probe());
        assert_eq!(progress.next_index(), Index(6));
    }

    #[test]
    fn planted_probe_ended_by_any_acknowledgement_is_found() {
        use crate::planted::{Bug, with};
        with(Bug::ProbeEndedByAny, || {
            let mut progress = Progress::new(Index(10), Ticks(0));
            progress.back_off(Index(0));
            progress.probe_sent(Ticks(1));
            progress.acknowledged(Index(1), Ticks(2));
            assert!(!progress.is_probing(), "only_an_acknowledgement_of_the_probe_ends_it would fail");
        });
    }

    #[test]
    fn a_timeout_probes_again_from_match_index() {
        let mut progress = replicating();
        progress.append_sent(Index(20), 1, Ticks(5));
        progress.tick(Ticks(14), Ticks(10));
        assert!(!progress.is_probing());
        progress.tick(Ticks(15), Ticks(10));
        assert!(progress.may_probe());
        assert_eq!(progress.next_index(), Index(11));
    }
}
