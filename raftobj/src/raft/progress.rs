//! What a leader knows of one peer's log, and how much it has on its way there.
//!
//! ```text
//!            the peer's log holds prev
//!   ┌───────┐ ───────────────────────▶ ┌───────────┐
//!   │ Probe │                          │ Replicate │ ──┐ appends in a window, acknowledged
//!   └───────┘ ◀─────────────────────── └───────────┘ ◀─┘
//!     │   ▲    refused, dropped, silent
//!     └───┘ one empty append at a time
//! ```
//!
//! Invariant: `matched < next`; `matched` never goes back within a term.

use super::types::{Index, Ticks};
use crate::marks::mark;
use crate::planted::planted;
use std::collections::VecDeque;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Progress {
    /// Durable there and equal to the leader's log, up to here (figure 2, matchIndex).
    matched: Index,
    /// The next entry to send (figure 2, nextIndex).
    next: Index,
    mode: Mode,
    /// When the peer last said anything in this term.
    pub(crate) heard: Ticks,
    /// The highest read round it has answered.
    pub(crate) round: u64,
    /// The commit index that it was told last.
    pub(crate) commit_told: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// Where the logs agree is not known.
    Probe { sent: Option<Ticks> },
    /// They agree up to `next - 1` unless something was lost.
    Replicate { flights: VecDeque<Flight>, bytes: usize, moved: Ticks },
}

/// One append on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    last: Index,
    bytes: usize,
}

impl Progress {
    /// A peer of which a new leader knows nothing: it is asked about the leader's last entry first.
    pub(crate) fn new(last: Index, now: Ticks) -> Progress {
        Progress {
            matched: Index(0),
            next: last.next(),
            mode: Mode::Probe { sent: None },
            heard: now,
            round: 0,
            commit_told: Index(0),
        }
    }

    pub(crate) fn matched(&self) -> Index {
        self.matched
    }

    pub(crate) fn next(&self) -> Index {
        self.next
    }

    pub(crate) fn is_probing(&self) -> bool {
        matches!(self.mode, Mode::Probe { .. })
    }

    /// Whether a probe may be sent: none is on its way.
    pub(crate) fn may_probe(&self) -> bool {
        matches!(self.mode, Mode::Probe { sent: None })
    }

    pub(crate) fn probed(&mut self, now: Ticks) {
        self.mode = Mode::Probe { sent: Some(now) };
    }

    /// Whether the window has room for one more append of entries.
    pub(crate) fn has_room(&self, messages_max: usize, bytes_max: usize) -> bool {
        match &self.mode {
            Mode::Probe { .. } => false,
            Mode::Replicate { flights, bytes, .. } => flights.len() < messages_max && *bytes < bytes_max,
        }
    }

    /// An append that ends at `last` was sent.
    pub(crate) fn sent(&mut self, last: Index, bytes: usize, now: Ticks) {
        self.next = last.next();
        if planted!(SentTakenForMatched) {
            self.matched = last;
        }
        if let Mode::Replicate { flights, bytes: on_their_way, moved } = &mut self.mode {
            if flights.is_empty() {
                *moved = now;
            }
            flights.push_back(Flight { last, bytes });
            *on_their_way += bytes;
        }
    }

    /// The peer has everything up to `matched` on its disk. Acknowledgements may come late and out of order;
    /// only the highest counts.
    pub(crate) fn acknowledged(&mut self, matched: Index, now: Ticks) {
        mark!(AcknowledgementLate if matched < self.matched);
        let is_news = matched > self.matched;
        self.matched = if planted!(MatchGoesBack) { matched } else { self.matched.max(matched) };
        let answers = matched.next() == self.next;
        match &mut self.mode {
            Mode::Probe { .. } if answers || planted!(ProbeEndedByAny) => {
                mark!(ProbeAnswered);
                self.next = self.matched.next();
                self.mode = Mode::Replicate { flights: VecDeque::new(), bytes: 0, moved: now };
            }
            // An acknowledgement of something else may be of an earlier life of the peer, which has forgotten since
            // how far its log is confirmed: only a probe that it has heard tells it that anew.
            Mode::Probe { .. } if is_news => {
                self.next = self.matched.next();
                self.mode = Mode::Probe { sent: None };
            }
            Mode::Probe { .. } => {}
            Mode::Replicate { flights, bytes, moved } => {
                self.next = self.next.max(matched.next());
                while let Some(flight) = flights.front()
                    && flight.last <= matched
                {
                    *bytes -= flight.bytes;
                    *moved = now;
                    flights.pop_front();
                }
            }
        }
    }

    /// Whether a refusal of `rejected` is news: not of a probe that was answered already, not at or below what is
    /// known to match. (A peer that refuses that has lost what it acknowledged: no entry to go back to is left, and
    /// asking again at once would go on for ever.)
    pub(crate) fn is_news(&self, rejected: Index) -> bool {
        rejected > self.matched
            && match self.mode {
                Mode::Probe { .. } => rejected.next() == self.next,
                Mode::Replicate { .. } => true,
            }
    }

    /// The logs may agree at `candidate` and not after it: ask there.
    pub(crate) fn back_off(&mut self, candidate: Index) {
        self.next = candidate.max(self.matched).next();
        self.mode = Mode::Probe { sent: None };
    }

    /// What was on its way may be lost: ask again from what is known.
    pub(crate) fn lost(&mut self) {
        if let Mode::Replicate { .. } = self.mode {
            self.next = self.matched.next();
        }
        self.mode = Mode::Probe { sent: None };
    }

    /// Asks again where nothing has come back for `patience`.
    pub(crate) fn tick(&mut self, now: Ticks, patience: Ticks) {
        let since = match &self.mode {
            Mode::Probe { sent: Some(sent) } => *sent,
            Mode::Replicate { flights, moved, .. } if !flights.is_empty() => *moved,
            _ => return,
        };
        if now.0 - since.0 >= patience.0 {
            mark!(ProbeRepeated if self.is_probing());
            mark!(AppendsGivenUp if !self.is_probing());
            self.lost();
        }
    }

    /// Changes every point in time by `shift`: the model's clocks have no beginning.
    #[cfg(test)]
    pub(crate) fn shift_times(&mut self, shift: impl Fn(Ticks) -> Ticks) {
        self.heard = shift(self.heard);
        match &mut self.mode {
            Mode::Probe { sent } => *sent = sent.map(shift),
            Mode::Replicate { moved, flights, .. } => {
                *moved = if flights.is_empty() { Ticks(0) } else { shift(*moved) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating() -> Progress {
        let mut progress = Progress::new(Index(10), Ticks(0));
        progress.probed(Ticks(0));
        progress.acknowledged(Index(10), Ticks(1));
        progress
    }

    #[test]
    fn the_window_counts_messages_and_bytes_and_acknowledgements_free_it() {
        let mut progress = replicating();
        progress.sent(Index(11), 100, Ticks(1));
        progress.sent(Index(15), 100, Ticks(1));
        assert!(!progress.has_room(2, 1000));
        assert!(!progress.has_room(9, 200));
        assert!(progress.has_room(9, 201));
        progress.acknowledged(Index(11), Ticks(2));
        assert!(progress.has_room(2, 101));
        assert_eq!((progress.matched(), progress.next()), (Index(11), Index(16)));
    }

    #[test]
    fn a_late_acknowledgement_does_not_take_the_match_back() {
        let mut progress = replicating();
        progress.sent(Index(12), 1, Ticks(1));
        progress.acknowledged(Index(12), Ticks(1));
        progress.acknowledged(Index(11), Ticks(1));
        assert_eq!(progress.matched(), Index(12));
    }

    #[test]
    fn a_refusal_counts_once_and_never_below_the_match() {
        let mut progress = Progress::new(Index(10), Ticks(0));
        assert!(progress.is_news(Index(10)));
        progress.back_off(Index(4));
        assert!(!progress.is_news(Index(10)), "the same refusal again");
        assert!(progress.is_news(Index(4)));
        progress.acknowledged(Index(4), Ticks(1));
        assert!(!progress.is_news(Index(4)));
        progress.back_off(Index(2));
        assert_eq!(progress.next(), Index(5));
        assert!(!progress.is_news(Index(4)), "a probe at the match itself");
    }

    // Breaks: a follower that was restarted after it acknowledged is never told, in a quiet cluster, how far its log
    // agrees: what it knows of that is not on its disk, and the leader takes the old word for the answer to its question.
    #[test]
    fn an_acknowledgement_of_something_else_does_not_answer_a_probe() {
        let mut progress = Progress::new(Index(10), Ticks(0));
        progress.back_off(Index(0));
        progress.probed(Ticks(1));
        progress.acknowledged(Index(1), Ticks(2));
        assert!(progress.may_probe(), "asked again, about what is known to match now");
        assert_eq!((progress.matched(), progress.next()), (Index(1), Index(2)));
        progress.probed(Ticks(2));
        progress.acknowledged(Index(1), Ticks(3));
        assert!(!progress.is_probing());
    }

    // Breaks: each repeated acknowledgement of a network that repeats makes the leader ask once more, and each question
    // an answer that may be repeated.
    #[test]
    fn an_acknowledgement_that_is_repeated_asks_nothing_again() {
        let mut progress = Progress::new(Index(10), Ticks(0));
        progress.acknowledged(Index(1), Ticks(1));
        progress.back_off(Index(5));
        progress.probed(Ticks(2));
        progress.acknowledged(Index(1), Ticks(3));
        assert!(!progress.may_probe());
        assert_eq!(progress.next(), Index(6));
    }

    #[test]
    fn planted_probes_that_anything_ends_are_found() {
        use crate::planted::{Bug, with};
        with(Bug::ProbeEndedByAny, || {
            let mut progress = Progress::new(Index(10), Ticks(0));
            progress.back_off(Index(0));
            progress.probed(Ticks(1));
            progress.acknowledged(Index(1), Ticks(2));
            assert!(!progress.is_probing(), "the test before this one sees it");
        });
    }

    #[test]
    fn silence_for_long_asks_again_from_the_match() {
        let mut progress = replicating();
        progress.sent(Index(20), 1, Ticks(5));
        progress.tick(Ticks(14), Ticks(10));
        assert!(!progress.is_probing());
        progress.tick(Ticks(15), Ticks(10));
        assert!(progress.may_probe());
        assert_eq!(progress.next(), Index(11));
    }
}
