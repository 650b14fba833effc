//! The session table: which calls were decided, and with what reply.
//!
//! It is part of the replicated state: equal entries make equal tables, so it uses neither clocks nor anything
//! local. Begin with [`Sessions::receive`], which says whether a command takes effect; every exactly-once promise
//! hangs on it.
//!
//! A session is one life of a process: (node, incarnation, boot). Its first command registers it and retires
//! the node's lower boots: nothing of theirs takes effect from then on. A command of a *lower* boot, or of
//! another incarnation than the recorded one, is [`CommandStatus::Retired`]: in a membership that does not change, an
//! incarnation does not change either. (When members can be replaced, the entry that replaces one will also
//! drop its session here.)

use super::reply::Reply;
use crate::codec::command::{Number, SessionId};
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::types::{Boot, EntryId, Incarnation, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// How far a session's numbers may run ahead of its first unanswered one. Part of the format: it decides
/// whether a command takes effect. Bounds the table at this many records a member.
pub(crate) const SESSION_CALLS_MAX: u64 = 8_192;

/// How many bytes of replies a session may have unanswered; the oldest are forgotten first. Decides only what a
/// repeat is answered, never whether a command takes effect.
pub(crate) const SESSION_REPLY_BYTES_MAX: usize = 64 << 20;

/// What becomes of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandStatus<'a> {
    /// It takes effect now; its reply must be recorded.
    Fresh,
    /// It took effect before, here is how.
    Duplicate(&'a KeptReply),
    /// It took effect before or it never will; its session has said that it no longer asks.
    Forgotten,
    /// A call before it is missing, or it is beyond the session's window: no effect; the origin sends again.
    Gap,
    /// Its session is over: no effect, ever.
    Retired,
}

/// A decided call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeptReply {
    /// Where it took effect.
    pub(crate) entry: EntryId,
    /// What the method returned.
    pub(crate) reply: Reply,
}

/// The sessions of all members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sessions {
    by_node: BTreeMap<NodeId, Session>,
}

/// A member's session.
///
/// Invariants:
/// - `replies` are those of exactly the numbers `lowest..=last`, in order: a call that takes effect has either
///   the number after `last`, or is `lowest` itself with nothing kept.
/// - The first `forgotten` of them have lost their reply's bytes, the others together have `reply_bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    incarnation: Incarnation,
    boot: Boot,
    /// The highest number that took effect.
    last: Number,
    /// The highest `lowest` that was seen: nothing below takes effect any more, nor is it asked for.
    lowest: Number,
    replies: VecDeque<KeptReply>,
    reply_bytes: usize,
    forgotten: usize,
}

impl Sessions {
    /// Whether the command takes effect. If [`CommandStatus::Fresh`], [`Sessions::record`] must follow before the
    /// next command is admitted.
    pub(crate) fn receive(&mut self, id: SessionId, number: Number, lowest: Number) -> CommandStatus<'_> {
        assert!(lowest <= number, "lowest {} beyond number {}", lowest.0, number.0);
        let session = self.by_node.entry(id.node).or_insert_with(|| Session::new(id));
        let retired = id.boot < session.boot && !planted!(RetiredBootAdmitted);
        if id.incarnation != session.incarnation || retired {
            mark!(CallOfRetiredBoot);
            return CommandStatus::Retired;
        }
        if id.boot > session.boot || planted!(RetiredBootAdmitted if id.boot != session.boot) {
            mark!(BootRetired);
            *session = Session::new(id);
        }
        if !planted!(LowestIgnored) {
            session.raise(lowest);
        }
        if planted!(GapAccepted if number > session.expected()) {
            session.raise(number);
        }
        if number < session.lowest {
            mark!(RepeatForgotten);
            return CommandStatus::Forgotten;
        }
        if planted!(RetryAppliedTwice if number <= session.last) {
            return CommandStatus::Fresh;
        }
        if number <= session.last {
            mark!(RepeatAnswered);
            return CommandStatus::Duplicate(session.kept(number));
        }
        if number == session.expected() && number.0 - session.lowest.0 < SESSION_CALLS_MAX {
            return CommandStatus::Fresh;
        }
        mark!(CallAfterGap);
        CommandStatus::Gap
    }

    /// Keeps the reply of a call that has just taken effect.
    pub(crate) fn record(&mut self, id: SessionId, number: Number, entry: EntryId, reply: Reply) {
        let session = self.by_node.get_mut(&id.node).expect("recorded right after it was admitted");
        assert_eq!(id.boot, session.boot, "recorded for another boot than was admitted");
        if planted!(RetryAppliedTwice if number <= session.last) {
            return;
        }
        assert_eq!(number, session.expected(), "recorded another number than was admitted");
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

    /// The calls of a session that are decided and still kept, from `first` on.
    #[cfg(test)]
    pub(crate) fn decided(&self, id: SessionId, first: Number) -> impl Iterator<Item = (Number, &KeptReply)> {
        let session = self.by_node.get(&id.node);
        let session =
            session.filter(|session| session.incarnation == id.incarnation && session.boot == id.boot);
        session.into_iter().flat_map(move |session| {
            (session.lowest.0..).map(Number).zip(&session.replies).filter(move |(number, _)| *number >= first)
        })
    }

    /// Asserts what must hold between any two commands.
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

    /// The only number that may take effect next.
    fn expected(&self) -> Number {
        Number(self.last.0.max(self.lowest.0 - 1).saturating_add(1))
    }

    /// The origin no longer asks for anything below `lowest`.
    fn raise(&mut self, lowest: Number) {
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
