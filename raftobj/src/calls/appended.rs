//! Which calls a leader has in its log from its present term, so that it appends each once and none after a gap.
//!
//! A call that is not decided is sent again, so a leader receives it many times while apply or a disk is slow. An entry of
//! a leader's own term stays in its log for as long as it leads, so a second entry would only cost space and time. Not
//! safety: the session table decides what takes effect when an entry is applied ([`crate::object::sessions`]).
//!
//! What is appended in a term for a session begins with the session's first unanswered call, and goes on without a gap:
//! each entry has the number after the one before, or is itself the first unanswered one. By induction each is decided
//! when it is applied, and so is every lower number. (Those below the first entry of the term were below the first
//! unanswered number then.) So a number that is not above the last appended one needs no entry in this term.

use crate::codec::command::{Command, Number, SessionId};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{NodeId, Term};
use std::collections::BTreeMap;

/// The calls that a leader has appended in its term: for each member, its latest session with an entry in this term, and
/// the highest number.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppendedCalls {
    term: Term,
    last: BTreeMap<NodeId, (SessionId, Number)>,
}

/// What a leader does with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// It appends it.
    Append,
    /// Nothing: an entry of this term decides the call.
    Known,
    /// It refuses it: an earlier call of its session is missing, and without that it would have no effect.
    Gap,
}

impl AppendedCalls {
    /// The node leads this term. What it appended in earlier terms may have been lost.
    pub(crate) fn enter(&mut self, term: Term) {
        if term != self.term {
            *self = AppendedCalls { term, last: BTreeMap::new() };
        }
    }

    /// What to do with a command.
    pub(crate) fn check(&self, command: &Command) -> Proposal {
        let Command { session, number, lowest, .. } = *command;
        let proposal = match self.last.get(&session.node) {
            // Of an earlier process of the member. Applied, it has no effect, which its process learns if it still runs.
            Some((latest, _)) if session < *latest => Proposal::Append,
            Some((latest, last)) if session == *latest => {
                if number <= *last {
                    Proposal::Known
                } else if number == (*last).max(Number(lowest.0 - 1)).next() {
                    Proposal::Append
                } else {
                    Proposal::Gap
                }
            }
            _ if number == lowest => Proposal::Append,
            _ => Proposal::Gap,
        };
        mark!(CallKnown if proposal == Proposal::Known);
        mark!(CallAfterGap if proposal == Proposal::Gap);
        match proposal {
            Proposal::Known if planted!(AppendedForgotten) => Proposal::Append,
            Proposal::Gap if planted!(GapAccepted) => Proposal::Append,
            proposal => proposal,
        }
    }

    /// A command was appended.
    pub(crate) fn append(&mut self, command: &Command) {
        let latest = self.last.entry(command.session.node).or_insert((command.session, command.number));
        if latest.0 <= command.session {
            *latest = (command.session, command.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::fixture::{ADD, command, session};
    use crate::planted::{Bug, with};

    /// Offers calls of node 2 as (boot, number, lowest); returns what is done with each.
    fn offer(appended: &mut AppendedCalls, calls: &[(u64, u64, u64)]) -> Vec<Proposal> {
        let offer = |&(boot, number, lowest): &(u64, u64, u64)| {
            let command = command(session(2, boot), number, lowest, ADD, number);
            let proposal = appended.check(&command);
            if proposal == Proposal::Append {
                appended.append(&command);
            }
            proposal
        };
        calls.iter().map(offer).collect()
    }

    use Proposal::{Append, Gap, Known};

    // Breaks: the log grows by every copy of a call; or a lost call is not appended, and its caller never gets an answer.
    #[test]
    fn a_call_is_appended_once_in_a_term_and_never_after_a_gap() {
        let mut appended = AppendedCalls::default();
        appended.enter(Term(1));
        let first = offer(&mut appended, &[(1, 6, 5), (1, 5, 5), (1, 6, 5), (1, 8, 5), (1, 7, 5)]);
        assert_eq!(first, [Gap, Append, Append, Gap, Append], "it begins with the first unanswered call");
        let again = offer(&mut appended, &[(1, 5, 5), (1, 6, 5), (1, 7, 6), (1, 4, 4)]);
        assert_eq!(again, [Known; 4]);
        let given_up = offer(&mut appended, &[(1, 9, 8), (1, 9, 9), (1, 11, 9), (1, 11, 11), (1, 10, 9)]);
        assert_eq!(given_up, [Gap, Append, Gap, Append, Known], "8 and 10 were given up");
        appended.enter(Term(1));
        assert_eq!(offer(&mut appended, &[(1, 11, 11)]), [Known]);
        appended.enter(Term(2));
        assert_eq!(offer(&mut appended, &[(1, 11, 10), (1, 10, 10), (1, 11, 10)]), [Gap, Append, Append]);
    }

    // Breaks: after a restart of a node the numbers of its last process hide those of the new one.
    #[test]
    fn each_process_of_a_node_has_numbers_of_its_own() {
        let mut appended = AppendedCalls::default();
        let calls = [(1, 1, 1), (1, 2, 1), (2, 2, 1), (2, 1, 1), (2, 2, 1), (2, 1, 1), (1, 3, 1), (2, 3, 1)];
        let expected = [Append, Append, Gap, Append, Append, Known, Append, Append];
        assert_eq!(offer(&mut appended, &calls), expected);
    }

    #[test]
    fn planted_gaps_that_are_accepted_are_found() {
        let found = with(Bug::GapAccepted, || {
            std::panic::catch_unwind(a_call_is_appended_once_in_a_term_and_never_after_a_gap)
        });
        assert!(found.is_err());
    }
}
