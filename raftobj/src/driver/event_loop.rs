//! The engine's thread: one node, its connections, its timers.
//!
//! A turn takes everything that has happened, tells the node, and carries out what follows. Between two turns
//! the connections' tasks run, on the same thread.

use super::gate::NodeGate;
use super::job_queue::JobQueue;
use super::mailbox::{CallRequest, Event, Mailbox, tell, wake};
use super::wal_thread::WalJob;
use super::{Network, Timing};
use crate::calls::outcome::{Outcome, ReadError};
use crate::calls::{CallId, ReadTicket};
use crate::codec::Sink;
use crate::codec::message::Message;
use crate::net::{Lane, Net, PayloadWriter, PeerKey, first_ready};
use crate::node::status::{Role, Status};
use crate::node::{Effects, Node};
use crate::persistence::Write;
use crate::raft::message::Message as RaftMessage;
use crate::raft::types::{Entry, NodeId, Term, Ticks, Time};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

struct EventLoop {
    node: Rc<RefCell<Node>>,
    gate: Rc<NodeGate>,
    net: Net,
    timing: Timing,
    handles: Handles,
    calls: HashMap<CallId, (oneshot::Sender<Outcome>, usize)>,
    reads: HashMap<ReadTicket, oneshot::Sender<Result<(), ReadError>>>,
    next_read: u64,
    next_tick: Instant,
    headline: (Role, Term, Option<NodeId>),
    /// Whether the end is the user's wish.
    told_to_end: bool,
    ending: bool,
}

/// The event loop's ends of what it shares with other threads. Dropping them ends the WAL and the apply thread.
pub(super) struct Handles {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) wal: Arc<JobQueue<WalJob>>,
    pub(super) apply: Arc<JobQueue<Vec<Entry>>>,
    pub(super) status: watch::Sender<Arc<Status>>,
}

/// Messages of peers that one turn takes at most, so that its effects are carried out soon.
const MESSAGES_A_TURN: usize = 1024;

/// After a stall, so many ticks are made up for; the node then saw less time pass than there was.
const TICKS_MADE_UP: u32 = 5;

/// Runs the node until it is told to end, or cannot go on. To be called within a `LocalSet`.
pub(super) async fn run(node: Node, network: Network, timing: Timing, handles: Handles) {
    let node = Rc::new(RefCell::new(node));
    let gate = Rc::new(NodeGate::new(Rc::clone(&node)));
    let net = match Net::start(network.listener, gate.clone(), network.options) {
        Ok(net) => net,
        Err(error) => {
            let reason = format!("cannot register the listening socket: {error}");
            node.borrow_mut().stop(&reason);
            handles.end(&node, &reason);
            return;
        }
    };
    for peer in &network.peers {
        net.dial(peer);
    }
    let mut event_loop = EventLoop {
        node,
        gate,
        net,
        timing,
        handles,
        calls: HashMap::new(),
        reads: HashMap::new(),
        next_read: 0,
        // The first tick is at once: no entry is stamped before the node was told the time.
        next_tick: Instant::now(),
        headline: (Role::Founding, Term(0), None),
        told_to_end: false,
        ending: false,
    };
    let mut events = Vec::new();
    while !event_loop.ending {
        event_loop.turn(&mut events);
        event_loop.wait().await;
    }
    event_loop.end().await;
}

impl EventLoop {
    /// Sleeps until something happens. The connections' tasks get their turn in any case: while this one sleeps, or
    /// by its yielding where there is no time to sleep.
    async fn wait(&self) {
        let EventLoop { handles, gate, net, next_tick, .. } = self;
        let messages = first_ready(net.arrived(), gate.touched());
        let sooner = first_ready(handles.mailbox.woken(), messages);
        let mut event = pin!(first_ready(sooner, tokio::time::sleep_until(*next_tick)));
        let mut slept = false;
        poll_fn(|context| {
            let poll = event.as_mut().poll(context);
            slept |= poll.is_pending();
            poll
        })
        .await;
        if !slept {
            tokio::task::yield_now().await;
        }
    }

    fn turn(&mut self, events: &mut Vec<Event>) {
        self.handles.mailbox.drain(events);
        for event in events.drain(..) {
            self.handle(event);
        }
        for address in self.gate.take_arrived() {
            self.net.redial_now(self.net.dial(&address));
        }
        for _ in 0..MESSAGES_A_TURN {
            let Some(inbound) = self.net.pop() else { break };
            let from = NodeId(inbound.from.0);
            match Message::decode(inbound.payload) {
                Ok(message) => self.node.borrow_mut().receive(from, message),
                Err(error) => {
                    let lane = inbound.lane;
                    tracing::warn!("a message of node {} ({lane:?}) was dropped: {error}", from.short());
                }
            }
        }
        self.tick();
        let effects = self.node.borrow_mut().effects();
        if let Some(effects) = effects {
            self.carry_out(effects);
        }
        self.tell_of_changes();
    }

    fn handle(&mut self, event: Event) {
        let mut node = self.node.borrow_mut();
        match event {
            Event::Call(CallRequest { id, method, arguments, made, done }) => {
                let left = self.timing.call_deadline.saturating_sub(made.elapsed());
                self.calls.insert(id, (done, arguments.len()));
                node.call(id, method, arguments, ticks(left, self.timing.tick));
            }
            Event::Deadline { call, left } => node.set_deadline(call, ticks(left, self.timing.tick)),
            Event::Read { deadline, done } => {
                self.next_read += 1;
                let ticket = ReadTicket(self.next_read);
                self.reads.insert(ticket, done);
                node.read(ticket, ticks(deadline, self.timing.tick));
            }
            // Whoever asked may have gone.
            Event::Status(done) => {
                drop(node);
                tell(done, self.status());
            }
            Event::Log { count, done } => tell(done, node.log(count)),
            Event::Persisted(id) => node.persisted(id),
            Event::FoundingWritten(write) => node.founding_written(&write),
            Event::Applied(applied) => node.applied(applied),
            Event::Failed(reason) => node.stop(&reason),
            Event::Shutdown => {
                node.stop("it was shut down");
                drop(node);
                self.told_to_end = true;
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut made_up = 0;
        while now >= self.next_tick {
            self.node.borrow_mut().tick(clock());
            self.next_tick += self.timing.tick;
            made_up += 1;
            if made_up == TICKS_MADE_UP {
                self.next_tick = now + self.timing.tick;
            }
        }
        if made_up > 0 {
            self.publish();
        }
    }

    fn carry_out(&mut self, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings } = effects;
        for (to, message) in messages {
            if let Some(link) = self.gate.link(to) {
                // What is dropped here is sent again by the protocol: when the connection is back, or when
                // its patience with the peer ends.
                let _ = self.net.send(link, lane(&message), |payload| message.encode(&mut Outgoing(payload)));
            }
        }
        persists
            .into_iter()
            .for_each(|persist| self.handles.wal.push(WalJob::Write(Write::Persist(persist))));
        founding.into_iter().for_each(|write| self.handles.wal.push(WalJob::Write(Write::Founding(write))));
        if !committed.is_empty() {
            self.handles.apply.push(committed);
        }
        for (call, outcome) in completions {
            if let Some((done, bytes)) = self.calls.remove(&call) {
                self.handles.mailbox.call_ended(bytes);
                // Fire-and-forget: nobody may be waiting.
                tell(done, outcome);
            }
        }
        for (ticket, outcome) in reads {
            if let Some(done) = self.reads.remove(&ticket) {
                tell(done, outcome.map(|_| ()));
            }
        }
        for warning in warnings {
            tracing::warn!("{}: {warning}", self.handles.status.borrow().address);
        }
    }

    /// Tells the process's log and the watchers when the role, the term or the leader has changed.
    fn tell_of_changes(&mut self) {
        let headline = self.node.borrow().headline();
        if headline == self.headline {
            return;
        }
        self.headline = headline;
        let status = self.publish();
        match &status.stopped {
            None => {
                let Status { address, term, .. } = &*status;
                match (status.role, &status.leader) {
                    (Role::Leader, _) => tracing::info!("{address} is the leader of term {term}"),
                    (Role::Candidate, _) => tracing::info!("{address} is a candidate, in term {term}"),
                    (Role::Founding, _) => tracing::info!("{address} founds its cluster"),
                    (_, Some(leader)) => {
                        tracing::info!("{address} follows {leader}, the leader of term {term}")
                    }
                    (_, None) => tracing::info!("{address} knows no leader, in term {term}"),
                }
            }
            Some(reason) => {
                match self.told_to_end {
                    true => tracing::info!("{} has ended", status.address),
                    false => tracing::error!("{} has stopped: {reason}", status.address),
                }
                self.ending = true;
            }
        }
    }

    fn publish(&self) -> Arc<Status> {
        let status = Arc::new(self.status());
        let publish = |last: &mut Arc<Status>| {
            let changed = **last != *status;
            if changed {
                *last = Arc::clone(&status);
            }
            changed
        };
        wake(|| {
            self.handles.status.send_if_modified(publish);
        });
        status
    }

    /// The node at this moment, with what went over its connections.
    fn status(&self) -> Status {
        let mut status = self.node.borrow().status();
        let net = self.net.status();
        status.inbox_bytes = net.inbox_bytes;
        status.unidentified_connections = net.handshakes;
        for peer in &mut status.peers {
            peer.refusal = self.gate.refusal(&peer.address);
            let link = peer.node.and_then(|node| self.gate.link(node));
            for lane in net.dialled.iter().filter(|lane| Some(lane.link) == link) {
                peer.connected |= lane.connected.is_some();
                peer.traffic.connections += lane.connections;
                peer.traffic.messages_sent += lane.frames;
                peer.traffic.bytes_sent += lane.bytes;
                peer.traffic.messages_dropped += lane.dropped;
                peer.traffic.bytes_waiting += lane.bytes_waiting;
            }
            let key = peer.node.map(|node| PeerKey(node.0));
            for lane in net.accepted.iter().filter(|lane| Some(lane.peer) == key) {
                peer.traffic.messages_received += lane.frames;
                peer.traffic.bytes_received += lane.bytes;
            }
        }
        status
    }

    async fn end(self) {
        let EventLoop { node, gate, net, handles, calls, .. } = self;
        net.shutdown().await;
        let reason = node.borrow().stopped().unwrap_or("it has ended").to_owned();
        handles.end(&node, &reason);
        // Every call was ended by the node; the senders that are left, if any, tell their callers by going.
        drop((gate, calls));
    }
}

impl Handles {
    /// Lets the other threads finish, and refuses whoever comes later.
    fn end(&self, node: &Rc<RefCell<Node>>, reason: &str) {
        self.wal.close();
        self.apply.close();
        wake(|| drop(self.status.send_replace(Arc::new(node.borrow().status()))));
        for event in self.mailbox.close(reason) {
            event.refuse(reason);
        }
    }
}

impl Drop for Handles {
    /// In whatever way the engine ends, the other threads do too.
    fn drop(&mut self) {
        self.wal.close();
        self.apply.close();
        if std::thread::panicking() {
            let stop = |last: &mut Arc<Status>| {
                let stopped = Some("its engine panicked".to_owned());
                let status = Status::clone(last);
                *last = Arc::new(Status { role: Role::Stopped, leader: None, stopped, ..status });
            };
            wake(|| self.status.send_modify(stop));
        }
    }
}

/// Encodes into a connection's queue.
struct Outgoing<'a, 'b>(&'a mut PayloadWriter<'b>);

impl Sink for Outgoing<'_, '_> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.0.bytes()
    }

    fn share(&mut self, bytes: &Bytes) {
        self.0.share(bytes);
    }
}

/// Which of the two connections a message takes: what may be large must not delay what keeps a leader in office.
fn lane(message: &Message) -> Lane {
    match message {
        Message::Raft(_, RaftMessage::Append { .. } | RaftMessage::Commit { .. })
        | Message::Calls(_)
        | Message::Digests { .. } => Lane::Bulk,
        _ => Lane::Control,
    }
}

/// How many ticks a span is, at least one.
fn ticks(span: Duration, tick: Duration) -> Ticks {
    let ticks = span.as_micros().div_ceil(tick.as_micros().max(1));
    Ticks(u64::try_from(ticks).unwrap_or(u64::MAX).max(1))
}

fn clock() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since_epoch.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}
