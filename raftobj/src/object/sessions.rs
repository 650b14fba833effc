//! The session table (thesis §6.3): which calls have taken effect, and their replies.
//!
//! It is part of the replicated state: equal entries give equal tables, so it uses no clock and nothing that is local
//! to a node. Begin with [`Sessions::receive`], which decides whether a command takes effect: commands may be in the
//! log more than once, and this is the only place that makes a call take effect at most once.
//!
//! A session is (node, incarnation, boot): one process of a node. It has no registration request as in the thesis. Its
//! first command registers it and retires all lower boots of the node, whose commands have no effect from then on. A
//! command of a *lower* boot, or of another incarnation than the registered one, is [`CommandStatus::Retired`]: while
//! the membership does not change, no member's incarnation changes. (When members can be replaced, the entry that
//! replaces a member will also drop its session.) Sessions do not expire: there is one for each member.

use super::reply::Reply;
use crate::codec::command::{Number, SessionId};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Boot, EntryId, Incarnation, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// How far the numbers of a session may run ahead of its first unanswered one. Part of the format, because it decides
/// whether a command takes effect. It bounds the table to this many replies for each member.
pub(crate) const SESSION_CALLS_MAX: u64 = 8_192;

/// How many bytes of replies are kept for a session; the oldest are dropped first. It decides only how a duplicate is
/// answered, never whether a command takes effect.
pub(crate) const SESSION_REPLY_BYTES_MAX: usize = 64 << 20;

/// What the session table knows about a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandStatus<'a> {
    /// It takes effect now; its reply must be recorded.
    Fresh,
    /// It has taken effect already, with this reply.
    Duplicate(&'a KeptReply),
    /// It has taken effect already, or it never will. The session no longer waits for it.
    Forgotten,
    /// No effect: an earlier call is missing, or the number is beyond the session's window. A leader appends no such command
    /// ([`crate::calls::appended`]).
    Gap,
    /// No effect, ever: its session is over.
    Retired,
}

/// The reply of a call that has taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeptReply {
    /// The entry at which it took effect.
    pub(crate) entry: EntryId,
    /// The reply.
    pub(crate) reply: Reply,
}

/// The sessions of all members, at most one for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sessions {
    by_node: BTreeMap<NodeId, Session>,
}

/// A member's session.
///
/// Invariants:
/// - `replies` are those of the numbers `lowest..=last`, in order: a call that takes effect has the number after
///   `last`, or is `lowest` itself while `replies` is empty.
/// - The bytes of the first `forgotten` replies are dropped; the others together have `reply_bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    incarnation: Incarnation,
    boot: Boot,
    /// The highest number that took effect.
    last: Number,
    /// The highest `lowest` of all its commands: no number below takes effect any more, and no caller waits for one.
    lowest: Number,
    replies: VecDeque<KeptReply>,
    reply_bytes: usize,
    forgotten: usize,
}

impl Sessions {
    /// Decides whether a command takes effect. After [`CommandStatus::Fresh`], [`Sessions::record`] must follow before
    /// the next command.
    pub(crate) fn receive(&mut self, id: SessionId, number: Number, lowest: Number) -> CommandStatus<'_> {
        assert!(lowest <= number, "lowest {} beyond number {}", lowest.0, number.0);
        let session = self.by_node.entry(id.node).or_insert_with(|| Session::new(id));
        if session.has_retired(id) {
            mark!(CallOfRetiredBoot);
            return CommandStatus::Retired;
        }
        if session.is_retired_by(id) {
            mark!(BootRetired);
            *session = Session::new(id);
        }
        session.raise_lowest(lowest, number);
        if number < session.lowest {
            mark!(RepeatForgotten);
            CommandStatus::Forgotten
        } else if session.has_applied(number) {
            mark!(RepeatAnswered);
            CommandStatus::Duplicate(session.kept(number))
        } else if session.may_apply(number) {
            CommandStatus::Fresh
        } else {
            CommandStatus::Gap
        }
    }

    /// Records the reply of a call that has just taken effect.
    pub(crate) fn record(&mut self, id: SessionId, number: Number, entry: EntryId, reply: Reply) {
        let session =
            self.by_node.get_mut(&id.node).expect("a reply is recorded right after its command was received");
        assert_eq!(id.boot, session.boot, "the recorded reply is of another boot");
        if planted!(RetryAppliedTwice if number <= session.last) {
            return;
        }
        assert_eq!(number, session.expected(), "the recorded reply is of another number");
        session.last = number;
        session.reply_bytes += reply.bytes();
        session.replies.push_back(KeptReply { entry, reply });
        while session.reply_bytes > SESSION_REPLY_BYTES_MAX {
            let kept = &mut session.replies[session.forgotten];
            session.reply_bytes -= kept.reply.bytes();
            kept.reply = Reply::Forgotten;
            session.forgotten += 1;
        }
    }

    /// The kept replies of a session, from number `first` on.
    #[cfg(test)]
    pub(crate) fn decided(&self, id: SessionId, first: Number) -> impl Iterator<Item = (Number, &KeptReply)> {
        let session = self.by_node.get(&id.node);
        let session =
            session.filter(|session| session.incarnation == id.incarnation && session.boot == id.boot);
        session.into_iter().flat_map(move |session| {
            (session.lowest.0..).map(Number).zip(&session.replies).filter(move |(number, _)| *number >= first)
        })
    }

    /// Asserts the invariants, which hold between any two commands.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        for (node, session) in &self.by_node {
            let kept = (session.last.0 + 1).saturating_sub(session.lowest.0);
            assert_eq!(session.replies.len() as u64, kept, "replies kept for {}", node.short());
            assert!(kept <= SESSION_CALLS_MAX, "{kept} replies kept for {}", node.short());
            let bytes: usize = session.replies.iter().map(|kept| kept.reply.bytes()).sum();
            assert_eq!(session.reply_bytes, bytes, "bytes of replies for {}", node.short());
            assert!(session.forgotten <= session.replies.len(), "{} forgotten", session.forgotten);
        }
    }
}

impl Session {
    fn new(id: SessionId) -> Session {
        Session {
            incarnation: id.incarnation,
            boot: id.boot,
            last: Number(0),
            lowest: Number(1),
            replies: VecDeque::new(),
            reply_bytes: 0,
            forgotten: 0,
        }
    }

    /// A lower boot than the registered one, or another disk: its commands have no effect.
    fn has_retired(&self, id: SessionId) -> bool {
        id.incarnation != self.incarnation || (id.boot < self.boot && !planted!(RetiredBootAdmitted))
    }

    /// The first command of a higher boot: it begins a new session.
    fn is_retired_by(&self, id: SessionId) -> bool {
        id.boot > self.boot || planted!(RetiredBootAdmitted if id.boot != self.boot)
    }

    /// Whether a number, at least `lowest`, has taken effect: then the command is a duplicate.
    fn has_applied(&self, number: Number) -> bool {
        number <= self.last && !planted!(RetryAppliedTwice)
    }

    /// Whether a number that has not taken effect may do so now: all earlier ones from `lowest` on have taken effect,
    /// and it is within the session's window.
    fn may_apply(&self, number: Number) -> bool {
        let is_next = number == self.expected() || planted!(RetryAppliedTwice if number <= self.last);
        is_next && number.0 - self.lowest.0 < SESSION_CALLS_MAX
    }

    /// The only number that can take effect next.
    fn expected(&self) -> Number {
        Number(self.last.0.max(self.lowest.0 - 1).saturating_add(1))
    }

    /// A command with this `lowest` and `number`: no caller waits for a number below `lowest` any more.
    fn raise_lowest(&mut self, lowest: Number, number: Number) {
        if planted!(LowestIgnored) {
            return;
        }
        self.drop_below(lowest);
        if planted!(GapAccepted if number > self.expected()) {
            self.drop_below(number);
        }
    }

    fn drop_below(&mut self, lowest: Number) {
        while self.lowest < lowest {
            let Some(kept) = self.replies.pop_front() else {
                mark!(NumberSkipped);
                self.lowest = lowest;
                return;
            };
            self.reply_bytes -= kept.reply.bytes();
            self.forgotten = self.forgotten.saturating_sub(1);
            self.lowest = self.lowest.next();
        }
    }

    fn kept(&self, number: Number) -> &KeptReply {
        let offset = usize::try_from(number.0 - self.lowest.0).expect("within the window");
        &self.replies[offset]
    }
}

#[cfg(test)]
#[path = "tests/sessions.rs"]
mod tests;
