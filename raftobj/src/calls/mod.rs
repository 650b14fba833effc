//! The life of a call: number, window, resend, deadline, outcome. And linearizable reads, in `reads`.
//!
//! Pure: time is ticks, peers are ids; no sockets, no disks. Begin with [`Calls`].
//!
//! Each node is a client of its own cluster, with a session as in thesis §6.3. This room is the client's half: it
//! numbers the calls of this process, sends them to the leader as [`Command`]s, and sends them again until they are
//! decided. The other half is the session table, `object::sessions`, which is replicated and applies each number once.
//! A call is decided when **this node** applies its entry; no result is sent from the leader to the origin.
//!
//! ```text
//!  submit                  leader known, window has room           decided
//!  ──────▶ queue (in order) ────────────────────────────▶ window ───────────▶ Committed | Applied
//!    │        │ deadline, stop                             │  ▲ │ deadline, stop
//!    │        ▼                                            └──┘ ▼
//!    └───▶ NotApplied                                    resend  Unknown
//!   too large, queue full
//! ```
//!
//! A call gets its number when it leaves the queue. From then on a leader may have it in its log, so its outcome is
//! unknown until it is decided here. A call that is sent again keeps its number, so it takes effect at most once. Each
//! command carries `lowest`, the first number without an answer. Once it is applied, no number below `lowest` takes
//! effect, and the others do so only in order. A call that was given up therefore never takes effect after a later one.
//!
//! Calls are sent again after a new leader, a new connection to the leader, a refusal by the leader (it is busy, or an
//! earlier number is missing), or a long time without a decision. A leader appends each once in its term, however often it
//! is sent: [`appended`].
//!
//! `queue` has the calls without a number, `window` those with one; `retry` decides when to send; `outcome` has the
//! errors for callers. `appended` is the leader's side.

pub(crate) mod appended;
mod config;
pub(crate) mod limits;
pub(crate) mod outcome;
mod queue;
mod reads;
mod retry;
mod window;

pub(crate) use config::{CallId, CallsConfig, CallsReady, LeaderId, PeersRefused, ReadTicket};

use crate::codec::command::{COMMAND_OVERHEAD_MAX, Command, Number, ObjectId, SessionId};
use crate::codec::message::CallsRefusal;
use crate::codec::method::MethodId;
use crate::marks::mark;
use crate::object::reply::{CallVerdict, Decision, Reply};
use crate::planted::planted;
use crate::raft::message::ReadId;
use crate::raft::types::{EntryId, Index, NodeId, Ticks};
use bytes::Bytes;
use outcome::{
    CallError, Committed, NoReplyReason, NotAppliedReason, Outcome, ReadError, Retry, UnknownReason,
};
use queue::CallQueue;
use reads::{ReadState, Reads};
use retry::RetryTimer;
use std::collections::{BTreeMap, BTreeSet};
use window::{Pending, Window};

/// All calls and linearizable reads of this node that have not ended.
///
/// Each input is a method; [`Calls::ready`] returns what to do. Every call that is submitted appears in exactly one
/// [`CallsReady::completions`].
///
/// Invariants: each key of `open` is in `deadlines`, and where its state says: in the queue, or in the window.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    session: SessionId,
    config: CallsConfig,
    now: Ticks,
    leader: Option<LeaderId>,
    /// While the cluster is not formed: the addresses that the node waits for.
    founding: Option<Vec<String>>,
    /// The refused handshakes that keep the node from its cluster.
    peers_refused: Option<PeersRefused>,
    /// Why the node has stopped.
    stopped: Option<String>,
    /// Whether this node leads and its own disk is nearly full: then it would refuse every call.
    own_disk_is_full: bool,
    /// The last refusal by this leader since a call was decided.
    refusal: Option<CallsRefusal>,
    applied: Index,
    queue: CallQueue,
    window: Window,
    retry: RetryTimer,
    open: BTreeMap<CallId, OpenCall>,
    deadlines: BTreeSet<(Ticks, CallId)>,
    reads: Reads,
    /// Results since the last [`Calls::ready`].
    done: CallsReady,
}

/// A call that has not ended.
#[derive(Clone, Copy, Debug)]
struct OpenCall {
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
    /// No calls, and no leader is known.
    pub(crate) fn new(session: SessionId, config: CallsConfig) -> Calls {
        config.check();
        Calls {
            session,
            now: Ticks(0),
            leader: None,
            founding: None,
            peers_refused: None,
            stopped: None,
            own_disk_is_full: false,
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

    /// Adds a call. Calls are sent in the order of submission. No open call has the id `call`.
    pub(crate) fn submit(&mut self, call: CallId, method: MethodId, arguments: Bytes, deadline: Ticks) {
        assert!(!self.open.contains_key(&call), "call {} is submitted twice", call.0);
        let bytes = COMMAND_OVERHEAD_MAX + arguments.len();
        let config = &self.config;
        let not_applied = |reason, retry| Err(CallError::NotApplied { reason, retry });
        let checked = if let Some(reason) = &self.stopped {
            not_applied(NotAppliedReason::Stopped(reason.clone()), Retry::Elsewhere)
        } else if bytes > config.command_bytes_max {
            mark!(CallTooLarge);
            not_applied(NotAppliedReason::TooLarge { bytes, limit: config.command_bytes_max }, Retry::Never)
        } else {
            let room = config.queue_limits().check(self.queue.calls(), self.queue.bytes(), bytes);
            mark!(CallQueueFull if room.is_err());
            room
        };
        if let Err(error) = checked {
            self.report(call, Err(error));
            return;
        }
        let state = CallState::Queued(self.queue.push(Pending { call, method, arguments }));
        self.open.insert(call, OpenCall { deadline, state });
        self.deadlines.insert((deadline, call));
        if deadline <= self.now {
            self.give_up(call);
        }
    }

    /// Changes the deadline of a call, unless it has ended.
    pub(crate) fn set_deadline(&mut self, call: CallId, deadline: Ticks) {
        let Some(open) = self.open.get_mut(&call) else { return };
        self.deadlines.remove(&(open.deadline, call));
        self.deadlines.insert((deadline, call));
        open.deadline = deadline;
        if deadline <= self.now {
            self.give_up(call);
        }
    }

    /// Adds a linearizable read, which ends when it may be served. No open read has this ticket.
    pub(crate) fn read(&mut self, ticket: ReadTicket, deadline: Ticks) {
        let refused = if let Some(reason) = &self.stopped {
            Some(ReadError::Stopped(reason.clone()))
        } else if self.reads.open() >= self.config.reads_max {
            Some(ReadError::QueueFull { limit: self.config.reads_max })
        } else {
            None
        };
        match refused {
            Some(error) => self.done.read_completions.push((ticket, Err(error))),
            None => self.reads.add(ticket, deadline),
        }
    }

    /// Time advances: calls and reads reach their deadlines, and what is overdue is sent again.
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
            let error = self.read_timeout(state);
            self.done.read_completions.push((ticket, Err(error)));
        }
        if self.leader.is_some() && self.window.in_flight() && self.retry.is_overdue(now) {
            mark!(ResentOverdue);
            self.retry.back_off();
            self.resend_all();
        }
    }

    /// The leader, as far as this node knows; it may be this node. A new leader is sent all unanswered calls.
    pub(crate) fn set_leader(&mut self, leader: Option<LeaderId>) {
        if leader == self.leader {
            return;
        }
        if planted!(CompletionDropped) {
            self.done.completions.clear();
        }
        self.leader = leader;
        self.refusal = None;
        self.reads.request_again();
        if leader.is_some() {
            mark!(ResentToNewLeader if self.window.in_flight());
            self.retry.new_leader(self.now);
            self.resend_all();
        }
    }

    /// Whether this node leads and its own disk is nearly full. Then calls stay in the queue, and are not applied if that lasts.
    pub(crate) fn set_own_disk_is_full(&mut self, is_full: bool) {
        self.own_disk_is_full = is_full;
    }

    /// There is a new connection to a peer; messages on the old one may be lost.
    pub(crate) fn reconnected(&mut self, peer: NodeId) {
        if self.leader.is_some_and(|leader| leader.node == peer) {
            mark!(ResentAfterReconnect if self.window.in_flight());
            self.reads.request_again();
            self.resend_all();
        }
    }

    /// The node taken for the leader did not propose a command. This call and those after it are sent again after a
    /// pause, which grows while nothing is decided.
    pub(crate) fn refused(&mut self, by: NodeId, number: Number, why: CallsRefusal) {
        if why == CallsRefusal::Gap {
            return self.refused_as_gap(by, number);
        }
        // A call that will be sent again anyway needs nothing more.
        if self.leader.is_some_and(|leader| leader.node == by) && self.window.is_sent(number) {
            mark!(CallRefused);
            self.refusal = Some(why);
            self.window.rewind(number);
            self.retry.refused(self.now, number);
        } else {
            mark!(RefusalLate);
        }
    }

    /// The leader lacks an earlier call, which was lost. It refuses all calls behind it too. One resend repairs them all, so
    /// there is one until a call is decided.
    fn refused_as_gap(&mut self, by: NodeId, number: Number) {
        let is_leader = self.leader.is_some_and(|leader| leader.node == by);
        if is_leader && self.window.is_sent(number) && self.retry.is_new_gap(self.window.lowest()) {
            mark!(ResentAfterGap);
            self.resend_all();
        } else {
            mark!(GapKnown);
        }
    }

    /// This node has applied an entry with one of its own calls, and this is the result.
    pub(crate) fn decided(&mut self, decision: Decision) {
        let Decision { number, verdict } = decision;
        let outcome = match verdict {
            CallVerdict::Replied { entry, reply } => outcome_of(entry, reply),
            // A leader refuses a call after a gap instead of appending it. If one is in the log all the same, the call is
            // still open: it is sent again when the wait for a decision is over.
            CallVerdict::Gap => return,
            // Only calls that have ended here are below our own `lowest`. If one is open all the same, its outcome is
            // unknown.
            CallVerdict::Forgotten => Err(CallError::Unknown { reason: UnknownReason::Deadline }),
            CallVerdict::Retired => {
                let reason = "another process runs as this node, from a copy of its directory".to_owned();
                Err(CallError::Unknown { reason: UnknownReason::Stopped(reason) })
            }
        };
        if let Some(call) = self.window.remove(number) {
            self.refusal = None;
            self.retry.decided(self.now, number);
            self.complete(call, outcome);
        } else {
            mark!(DecidedLate);
        }
    }

    /// The leader's reply to a read index request: its reads are served once `index` is applied. `None`: it is replaced
    /// by a new request.
    pub(crate) fn read_index_reply(&mut self, id: ReadId, index: Option<Index>) {
        self.reads.reply(id, index, self.now);
        self.serve_reads();
    }

    /// This node has applied all entries up to this one (`lastApplied`).
    pub(crate) fn applied(&mut self, upto: Index) {
        assert!(upto >= self.applied, "applied went back from {} to {upto}", self.applied);
        self.applied = upto;
        self.serve_reads();
    }

    /// The cluster is not formed yet: the node waits for these addresses. Until it is formed, there is no leader.
    pub(crate) fn founding(&mut self, waiting_for: Vec<String>) {
        self.founding = Some(waiting_for);
    }

    /// The cluster is formed.
    pub(crate) fn formed(&mut self) {
        self.founding = None;
    }

    /// The refused handshakes that keep the node from its cluster, or `None` if none do.
    pub(crate) fn peers_refused(&mut self, refused: Option<PeersRefused>) {
        self.peers_refused = refused;
    }

    /// The node stops. All open calls and reads end, and later ones end at once.
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
                    self.window.remove(number);
                    CallError::Unknown { reason: UnknownReason::Stopped(reason.to_owned()) }
                }
            };
            self.complete(call, Err(error));
        }
        for ticket in self.reads.stop() {
            self.done.read_completions.push((ticket, Err(ReadError::Stopped(reason.to_owned()))));
        }
    }

    /// What the owner must do now. Commands and the read index request go to the leader, in order; a node that leads
    /// handles them itself.
    pub(crate) fn ready(&mut self) -> CallsReady {
        let mut ready = std::mem::take(&mut self.done);
        ready.leader = self.leader;
        if self.leader.is_some() && self.stopped.is_none() {
            if self.retry.may_send(self.now) {
                self.send(&mut ready.commands);
            }
            ready.read = self.reads.request(self.now);
        }
        ready
    }

    /// How many calls have a number and no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.window.calls()
    }

    /// How many calls are queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.calls()
    }

    /// Asserts the invariants, which hold after each method.
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

    /// Moves calls from the queue to the window while it has room, then sends all that the leader was not sent.
    fn send(&mut self, commands: &mut Vec<Command>) {
        let idle = !self.window.in_flight();
        // While the leader's disk is nearly full, one call at a time asks whether it has space again. The others stay in the
        // queue: without a number they cannot take effect, and their callers learn that.
        let is_probing = self.refusal == Some(CallsRefusal::DiskNearlyFull);
        while let Some(pending) = self.queue.pop_if(|pending| {
            self.window.has_room(pending, &self.config)
                && !self.own_disk_is_full
                && !(is_probing && self.window.calls() > 0)
        }) {
            let call = pending.call;
            let number = self.window.push(pending);
            if planted!(DeadlineForgotten) {
                self.deadlines.remove(&(self.open[&call].deadline, call));
            }
            self.open.get_mut(&call).expect("a queued call is open").state = CallState::Sent(number);
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

    /// Marks all unanswered calls to be sent again.
    fn resend_all(&mut self) {
        if planted!(NeverResent) {
            return;
        }
        if self.window.in_flight() {
            self.retry.resent(self.now, self.window.lowest());
        }
        self.window.rewind(self.window.lowest());
    }

    /// A call's deadline has passed.
    fn give_up(&mut self, call: CallId) {
        let open = *self.open.get(&call).expect("a call with a deadline is open");
        let error = match open.state {
            CallState::Queued(position) => {
                mark!(DeadlineQueued);
                let ahead = self.queue.ahead(position) + self.window.calls();
                self.queue.remove(position);
                let (reason, retry) = match (&self.peers_refused, &self.founding, self.leader) {
                    (_, _, Some(_))
                        if self.own_disk_is_full || self.refusal == Some(CallsRefusal::DiskNearlyFull) =>
                    {
                        (NotAppliedReason::DiskNearlyFull, Retry::Here)
                    }
                    (_, _, Some(_)) => (NotAppliedReason::Queued { ahead }, Retry::Here),
                    (Some(PeersRefused { peers, reason }), _, None) => {
                        mark!(RefusalReported);
                        let (peers, reason) = (peers.clone(), reason.clone());
                        (NotAppliedReason::PeersRefused { peers, reason }, Retry::Elsewhere)
                    }
                    (None, Some(waiting_for), None) => {
                        let waiting_for = waiting_for.clone();
                        (NotAppliedReason::ClusterNotFormed { waiting_for }, Retry::Here)
                    }
                    (None, None, None) => (NotAppliedReason::NoLeader, Retry::Here),
                };
                CallError::NotApplied { reason, retry }
            }
            CallState::Sent(number) => {
                mark!(DeadlineSent);
                self.window.remove(number);
                // NB: unknown in spite of the refusal: an earlier leader may have the call in its log.
                let reason = match self.refusal {
                    Some(CallsRefusal::Busy) => UnknownReason::LogFull,
                    Some(CallsRefusal::NotAdmitted) => UnknownReason::MethodUnknown,
                    Some(CallsRefusal::DiskNearlyFull) => UnknownReason::DiskNearlyFull,
                    Some(CallsRefusal::NotLeader | CallsRefusal::Gap) | None => UnknownReason::Deadline,
                };
                if planted!(SentCallDenied) {
                    CallError::NotApplied { reason: NotAppliedReason::NoLeader, retry: Retry::Here }
                } else {
                    CallError::Unknown { reason }
                }
            }
        };
        self.complete(call, Err(error));
    }

    /// Ends an open call.
    fn complete(&mut self, call: CallId, outcome: Outcome) {
        let open = self.open.remove(&call).expect("a call ends once");
        self.deadlines.remove(&(open.deadline, call));
        self.report(call, outcome);
    }

    /// Reports an outcome to the owner.
    fn report(&mut self, call: CallId, outcome: Outcome) {
        self.done.completions.push((call, outcome));
    }

    fn serve_reads(&mut self) {
        let index = self.applied;
        let served = self.reads.take_served(index).into_iter().map(|ticket| (ticket, Ok(index)));
        self.done.read_completions.extend(served);
    }

    /// Why a read was not served before its deadline.
    fn read_timeout(&self, state: ReadState) -> ReadError {
        match (state, &self.peers_refused, &self.founding, self.leader) {
            (ReadState::Confirmed(index), ..) => ReadError::Behind { index, applied: self.applied },
            (_, _, _, Some(_)) => ReadError::LeaderUnconfirmed,
            (_, Some(PeersRefused { peers, reason }), _, None) => {
                ReadError::PeersRefused { peers: peers.clone(), reason: reason.clone() }
            }
            (_, None, Some(waiting_for), None) => {
                ReadError::ClusterNotFormed { waiting_for: waiting_for.clone() }
            }
            (_, None, None, None) => ReadError::NoLeader,
        }
    }
}

/// The outcome of a call that took effect, for its caller.
fn outcome_of(entry: EntryId, reply: Reply) -> Outcome {
    let EntryId { term, index } = entry;
    let reason = match reply {
        Reply::Value(value) => return Ok(Committed { value, index, term }),
        Reply::Panicked(message) => NoReplyReason::Panicked(message.into_owned()),
        Reply::Unencodable(message) => NoReplyReason::Encode(message.into_owned()),
        Reply::TooLarge { bytes, limit } => NoReplyReason::TooLarge { bytes, limit },
        Reply::Forgotten => NoReplyReason::NotKept,
    };
    Err(CallError::Applied { index, reason })
}

#[cfg(test)]
mod tests;
