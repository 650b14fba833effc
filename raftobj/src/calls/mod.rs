//! The life of a call: numbering, window, re-send, deadline, forwarding, read tickets, outcome.
//!
//! Pure: time is ticks, peers are ids. It knows neither sockets nor disks. Begin with [`Calls`].
//!
//! ```text
//!  submit                    leader known, room               decided
//!  ──────▶ queue (in turn) ────────────────────▶ window ──────────────────▶ Committed | Applied
//!    │        │ deadline, stop                     │  ▲ │ deadline, stop
//!    │        ▼                                    └──┘ ▼
//!    └───▶ NotApplied                         sent again  Unknown
//!   too large, queue full
//! ```
//!
//! A call gets its number when it leaves the queue. From then on it may be in some leader's log, so that its
//! end is unknown until this node's own apply decides it. What is sent again keeps its number, so that it takes
//! effect once (see `object::sessions`); each command says which number is the first one still unanswered, so
//! that a call given up cannot take effect after one that was sent later.

mod config;
pub(crate) mod outcome;
mod queue;
mod reads;
mod retry;
mod window;

pub(crate) use config::{CallId, CallsConfig, CallsReady, LeaderId, ReadTicket};

use crate::codec::command::{COMMAND_OVERHEAD_MAX, Command, Number, ObjectId, SessionId};
use crate::codec::message::CallsRefusal;
use crate::codec::method::MethodId;
use crate::marks::mark;
use crate::object::reply::{Decision, Reply, Verdict};
use crate::planted::planted;
use crate::raft::message::ReadId;
use crate::raft::types::{EntryId, Index, NodeId, Ticks};
use bytes::Bytes;
use outcome::{AppliedReason, CallError, Committed, NotAppliedReason, ReadError, Retry, UnknownReason};
use queue::CallQueue;
use reads::{ReadState, Reads};
use retry::RetryTimer;
use std::collections::{BTreeMap, BTreeSet};
use window::{Pending, Window};

/// All calls and linearizable reads of this node that have not ended.
///
/// Inputs are methods; what follows from them is collected by [`Calls::ready`]. Every call that is submitted
/// appears in exactly one [`CallsReady::completions`].
///
/// Invariants: each key of `open` is in `deadlines`, and in either the queue or the window, at the place that it
/// says.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    session: SessionId,
    config: CallsConfig,
    now: Ticks,
    leader: Option<LeaderId>,
    founding: Option<Vec<String>>,
    stopped: Option<String>,
    /// Why the present leader took nothing, since something was decided last.
    refusal: Option<CallsRefusal>,
    applied: Index,
    queue: CallQueue,
    window: Window,
    retry: RetryTimer,
    open: BTreeMap<CallId, Open>,
    deadlines: BTreeSet<(Ticks, CallId)>,
    reads: Reads,
    done: CallsReady,
}

/// A call that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    deadline: Ticks,
    state: CallState,
}

#[derive(Clone, Copy, Debug)]
enum CallState {
    /// In the queue, at this position.
    Queued(u64),
    /// In the window, under this number.
    Sent(Number),
}

impl Calls {
    /// Nothing has been called, no leader is known.
    pub(crate) fn new(session: SessionId, config: CallsConfig) -> Calls {
        config.check();
        Calls {
            session,
            now: Ticks(0),
            leader: None,
            founding: None,
            stopped: None,
            refusal: None,
            applied: Index(0),
            queue: CallQueue::default(),
            window: Window::default(),
            retry: RetryTimer::new(&config),
            open: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            reads: Reads::new(session.boot, &config),
            done: CallsReady::default(),
            config,
        }
    }

    /// A call was made. Calls are sent in the order in which they are submitted. `call` is the owner's, and
    /// not in use.
    pub(crate) fn submit(&mut self, call: CallId, method: MethodId, arguments: Bytes, deadline: Ticks) {
        assert!(!self.open.contains_key(&call), "call {} is submitted twice", call.0);
        let bytes = COMMAND_OVERHEAD_MAX + arguments.len();
        let config = &self.config;
        let refused = if let Some(reason) = &self.stopped {
            Some((NotAppliedReason::Stopped(reason.clone()), Retry::Elsewhere))
        } else if bytes > config.command_bytes_max {
            mark!(CallTooLarge);
            Some((NotAppliedReason::TooLarge { bytes, limit: config.command_bytes_max }, Retry::Never))
        } else if self.queue.calls() >= config.queue_calls_max {
            mark!(CallQueueFull);
            let limit = format!("{} calls", config.queue_calls_max);
            Some((NotAppliedReason::QueueFull { limit }, Retry::Here))
        } else if self.queue.bytes() + bytes > config.queue_bytes_max {
            mark!(CallQueueFull);
            let limit = format!("{} bytes", config.queue_bytes_max);
            Some((NotAppliedReason::QueueFull { limit }, Retry::Here))
        } else {
            None
        };
        if let Some((reason, retry)) = refused {
            self.complete(call, Err(CallError::NotApplied { reason, retry }));
            return;
        }
        let state = CallState::Queued(self.queue.push(Pending { call, method, arguments }));
        self.open.insert(call, Open { deadline, state });
        self.deadlines.insert((deadline, call));
        if deadline <= self.now {
            self.give_up(call);
        }
    }

    /// Another deadline for a call; none if it has ended.
    pub(crate) fn set_deadline(&mut self, call: CallId, deadline: Ticks) {
        let Some(open) = self.open.get_mut(&call) else { return };
        self.deadlines.remove(&(open.deadline, call));
        self.deadlines.insert((deadline, call));
        open.deadline = deadline;
        if deadline <= self.now {
            self.give_up(call);
        }
    }

    /// A linearizable read wants to know when it may be served. `ticket` is the owner's, and not in use.
    pub(crate) fn read(&mut self, ticket: ReadTicket, deadline: Ticks) {
        let refused = if let Some(reason) = &self.stopped {
            Some(ReadError::Stopped(reason.clone()))
        } else if self.reads.tickets() >= self.config.reads_max {
            Some(ReadError::QueueFull { limit: self.config.reads_max })
        } else {
            None
        };
        match refused {
            Some(error) => self.done.read_completions.push((ticket, Err(error))),
            None => self.reads.queue(ticket, deadline),
        }
    }

    /// Time goes on: deadlines pass, and what made no progress is sent again.
    pub(crate) fn tick(&mut self, now: Ticks) {
        assert!(now >= self.now, "time went back from {} to {now}", self.now);
        self.now = now;
        while let Some((deadline, call)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.give_up(call);
        }
        for (ticket, state) in self.reads.tick(now) {
            let error = self.late(state);
            self.done.read_completions.push((ticket, Err(error)));
        }
        if self.leader.is_some() && self.window.in_flight() && self.retry.is_overdue(now) {
            mark!(ResentOverdue);
            self.retry.overdue();
            self.send_again();
        }
    }

    /// Who leads, as this node knows; it may be this node. All that is unanswered is sent to a new one.
    pub(crate) fn set_leader(&mut self, leader: Option<LeaderId>) {
        if leader == self.leader {
            return;
        }
        if planted!(CompletionDropped) {
            self.done.completions.clear();
        }
        self.leader = leader;
        self.refusal = None;
        self.reads.ask_again();
        if leader.is_some() {
            mark!(ResentToNewLeader if self.window.in_flight());
            self.retry.start_over(self.now);
            self.send_again();
        }
    }

    /// The connection to a peer is a new one: what was sent over the old one may be lost.
    pub(crate) fn reconnected(&mut self, peer: NodeId) {
        if self.leader.is_some_and(|leader| leader.node == peer) {
            mark!(ResentAfterReconnect if self.window.in_flight());
            self.reads.ask_again();
            self.send_again();
        }
    }

    /// A node that was taken for the leader did not take a command: it does not lead, or is busy. Calls from
    /// this one on are sent again after a pause that grows while nothing is decided.
    pub(crate) fn refused(&mut self, by: NodeId, number: Number, why: CallsRefusal) {
        // Of what is to be sent again anyway, a refusal says nothing new.
        if self.leader.is_some_and(|leader| leader.node == by) && self.window.is_sent(number) {
            mark!(CallRefused);
            self.refusal = Some(why);
            self.window.rewind(number);
            self.retry.refused(self.now, number);
        } else {
            mark!(RefusalLate);
        }
    }

    /// This node's own apply, or its session table, says what became of a call.
    pub(crate) fn decided(&mut self, decision: Decision) {
        let Decision { number, verdict } = decision;
        let outcome = match verdict {
            Verdict::Replied { entry, reply } => outcome(entry, reply),
            // A call before it got lost. The calls behind it come back with the same verdict; what is sent again
            // now answers them all, so once is enough until something is decided.
            Verdict::Gap => {
                if self.window.is_sent(number) && self.retry.is_new_gap(self.window.lowest()) {
                    mark!(ResentAfterGap);
                    self.send_again();
                } else {
                    mark!(GapKnown);
                }
                return;
            }
            // Only what this node has given up is below its own `lowest`; if it is open yet, nobody knows.
            Verdict::Forgotten => Err(CallError::Unknown { reason: UnknownReason::Deadline }),
            Verdict::Retired => {
                let reason = "another process runs as this node, from a copy of its directory".to_owned();
                Err(CallError::Unknown { reason: UnknownReason::Stopped(reason) })
            }
        };
        if let Some(call) = self.window.end(number) {
            self.refusal = None;
            self.retry.progress(self.now, number);
            self.close(call);
            self.complete(call, outcome);
        } else {
            mark!(DecidedLate);
        }
    }

    /// The leader's answer to a read of ours: serve it once `index` is applied, or ask again.
    pub(crate) fn read_index_reply(&mut self, id: ReadId, index: Option<Index>) {
        self.reads.answered(id, index, self.now);
        self.serve_reads();
    }

    /// This node has applied all entries up to here.
    pub(crate) fn applied(&mut self, upto: Index) {
        assert!(upto >= self.applied, "applied went back from {} to {upto}", self.applied);
        self.applied = upto;
        self.serve_reads();
    }

    /// The node has not met these peers yet; until it has, nothing is sent.
    pub(crate) fn founding(&mut self, waiting_for: Vec<String>) {
        self.founding = Some(waiting_for);
    }

    /// The cluster is formed.
    pub(crate) fn formed(&mut self) {
        self.founding = None;
    }

    /// The node stops: every call and read ends, now and from now on.
    pub(crate) fn stop(&mut self, reason: &str) {
        self.stopped.get_or_insert_with(|| reason.to_owned());
        while let Some((call, open)) = self.open.first_key_value().map(|(call, open)| (*call, *open)) {
            let error = match open.state {
                CallState::Queued(position) => {
                    self.queue.remove(position);
                    let reason = NotAppliedReason::Stopped(reason.to_owned());
                    CallError::NotApplied { reason, retry: Retry::Elsewhere }
                }
                CallState::Sent(number) => {
                    self.window.end(number);
                    CallError::Unknown { reason: UnknownReason::Stopped(reason.to_owned()) }
                }
            };
            self.close(call);
            self.complete(call, Err(error));
        }
        for ticket in self.reads.stop() {
            self.done.read_completions.push((ticket, Err(ReadError::Stopped(reason.to_owned()))));
        }
    }

    /// What is to be done now. The commands and the read go to the leader as last told, in order; if it is this
    /// node they are proposed here.
    pub(crate) fn ready(&mut self) -> CallsReady {
        let mut ready = std::mem::take(&mut self.done);
        ready.leader = self.leader;
        if self.leader.is_some() && self.stopped.is_none() {
            if self.retry.may_send(self.now) {
                self.send(&mut ready.commands);
            }
            ready.read = self.reads.ask(self.now);
        }
        ready
    }

    /// How many calls were sent and have no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.window.calls()
    }

    /// How many calls wait their turn.
    pub(crate) fn queued(&self) -> usize {
        self.queue.calls()
    }

    /// Asserts what must hold after each method.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.open.len(), self.queue.calls() + self.window.calls(), "calls in queue and window");
        assert_eq!(self.open.len(), self.deadlines.len(), "calls with deadlines");
        for (call, open) in &self.open {
            assert!(self.deadlines.contains(&(open.deadline, *call)), "call {} has no deadline", call.0);
            let there = match open.state {
                CallState::Queued(position) => self.queue.at(position),
                CallState::Sent(number) => self.window.at(number),
            };
            assert_eq!(there, Some(*call), "call {} is not at {:?}", call.0, open.state);
        }
        self.window.check_invariants(&self.config);
    }

    /// Sends what the leader has not been sent, then new calls while there is room.
    fn send(&mut self, commands: &mut Vec<Command>) {
        let idle = !self.window.in_flight();
        while let Some(pending) = self.queue.pop_if(|pending| self.window.has_room(pending, &self.config)) {
            let call = pending.call;
            let number = self.window.push(pending);
            if planted!(DeadlineForgotten) {
                self.deadlines.remove(&(self.open[&call].deadline, call));
            }
            self.open.get_mut(&call).expect("what is queued is open").state = CallState::Sent(number);
        }
        mark!(CallWindowFull if self.queue.calls() > 0);
        let lowest = self.window.lowest();
        while let Some((number, pending)) = self.window.next_to_send() {
            commands.push(Command {
                object: ObjectId::default(),
                session: self.session,
                number,
                lowest,
                method: pending.method,
                arguments: pending.arguments.clone(),
            });
        }
        if idle && !commands.is_empty() {
            self.retry.sent(self.now);
        }
    }

    /// Everything that is unanswered is to be sent again.
    fn send_again(&mut self) {
        if planted!(NeverResent) {
            return;
        }
        if self.window.in_flight() {
            self.retry.sent_again(self.now, self.window.lowest());
        }
        self.window.rewind(self.window.lowest());
    }

    /// A call's deadline has passed.
    fn give_up(&mut self, call: CallId) {
        let open = *self.open.get(&call).expect("what has a deadline is open");
        let error = match open.state {
            CallState::Queued(position) => {
                mark!(DeadlineQueued);
                let ahead = self.queue.ahead(position) + self.window.calls();
                self.queue.remove(position);
                let reason = match (&self.founding, self.leader) {
                    (Some(waiting_for), _) => NotAppliedReason::Founding { waiting_for: waiting_for.clone() },
                    (None, None) => NotAppliedReason::NoLeader,
                    (None, Some(_)) => NotAppliedReason::Queued { ahead },
                };
                CallError::NotApplied { reason, retry: Retry::Here }
            }
            CallState::Sent(number) => {
                mark!(DeadlineSent);
                self.window.end(number);
                // NB: unknown all the same: an earlier leader may have taken it.
                let reason = match self.refusal {
                    Some(CallsRefusal::Busy) => UnknownReason::LogFull,
                    Some(CallsRefusal::NotAdmitted) => UnknownReason::MethodUnknown,
                    Some(CallsRefusal::NotLeader) | None => UnknownReason::Deadline,
                };
                if planted!(SentCallDenied) {
                    CallError::NotApplied { reason: NotAppliedReason::NoLeader, retry: Retry::Here }
                } else {
                    CallError::Unknown { reason }
                }
            }
        };
        self.close(call);
        self.complete(call, Err(error));
    }

    fn close(&mut self, call: CallId) {
        let open = self.open.remove(&call).expect("a call ends once");
        self.deadlines.remove(&(open.deadline, call));
    }

    fn complete(&mut self, call: CallId, outcome: Result<Committed<Bytes>, CallError>) {
        self.done.completions.push((call, outcome));
    }

    fn serve_reads(&mut self) {
        let index = self.applied;
        let served = self.reads.served(index).into_iter().map(|ticket| (ticket, Ok(index)));
        self.done.read_completions.extend(served);
    }

    /// Why a read was not served in time.
    fn late(&self, state: ReadState) -> ReadError {
        match (state, &self.founding, self.leader) {
            (ReadState::Confirmed(index), _, _) => ReadError::Behind { index, applied: self.applied },
            (_, Some(waiting_for), _) => ReadError::Founding { waiting_for: waiting_for.clone() },
            (_, None, None) => ReadError::NoLeader,
            (_, None, Some(_)) => ReadError::Unconfirmed,
        }
    }
}

/// What a caller is told of a call that took effect.
fn outcome(entry: EntryId, reply: Reply) -> Result<Committed<Bytes>, CallError> {
    let EntryId { term, index } = entry;
    let reason = match reply {
        Reply::Value(value) => return Ok(Committed { value, index, term }),
        Reply::Panicked(message) => AppliedReason::Panicked(message.into_owned()),
        Reply::Unencodable(message) => AppliedReason::Encode(message.into_owned()),
        Reply::TooLarge { bytes, limit } => AppliedReason::TooLarge { bytes, limit },
        Reply::Forgotten => AppliedReason::Forgotten,
    };
    Err(CallError::Applied { index, reason })
}

#[cfg(test)]
mod tests;
