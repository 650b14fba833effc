//! The engine's thread: one node, its connections, its timers.
//!
//! A turn passes all events, messages and ticks to the node, then carries out the node's effects. Between two turns the
//! connections' tasks run on the same thread. Begin with [`EventLoop::turn`].

use super::connections::NodeConnections;
use super::job_queue::JobQueue;
use super::mailbox::{CallRequest, Event, Mailbox, catch_waker_panic, send_reply};
use super::wal_thread::WalJob;
use super::{Network, Timing};
use crate::calls::outcome::{Outcome, ReadError};
use crate::calls::{CallId, ReadTicket};
use crate::codec::Sink;
use crate::codec::message::Message;
use crate::net::{Lane, Net, PayloadWriter, PeerKey, first_ready};
use crate::node::status::{Leadership, Role, Status};
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
    connections: Rc<NodeConnections>,
    net: Net,
    timing: Timing,
    handles: Handles,
    /// Calls that have not ended: where the outcome goes, and the bytes of the arguments.
    calls: HashMap<CallId, (oneshot::Sender<Outcome>, usize)>,
    /// Reads that have not ended.
    reads: HashMap<ReadTicket, oneshot::Sender<Result<(), ReadError>>>,
    next_read: u64,
    next_tick: Instant,
    /// As last published.
    leadership: Leadership,
    /// Whether the user has shut the node down; else an end is a fault.
    shutdown_requested: bool,
    node_stopped: bool,
}

/// The event loop's ends of what it shares with other threads. Dropping them ends the WAL and the apply thread.
pub(super) struct Handles {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) wal: Arc<JobQueue<WalJob>>,
    pub(super) apply: Arc<JobQueue<Vec<Entry>>>,
    pub(super) status: watch::Sender<Arc<Status>>,
}

/// Messages of peers in one turn, at most: the effects of a turn must not wait long.
const TURN_MESSAGES_MAX: usize = 1024;

/// After a stall, at most this many missed ticks are delivered. The node then counts less time than has passed.
const CATCH_UP_TICKS_MAX: u32 = 5;

/// Runs the node until it is shut down, or cannot go on. Must be called within a `LocalSet`.
pub(super) async fn run(node: Node, network: Network, timing: Timing, handles: Handles) {
    let node = Rc::new(RefCell::new(node));
    let connections = Rc::new(NodeConnections::new(Rc::clone(&node)));
    let net = match Net::start(network.listener, connections.clone(), network.options) {
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
        connections,
        net,
        timing,
        handles,
        calls: HashMap::new(),
        reads: HashMap::new(),
        next_read: 0,
        // The first tick is due at once: the node must know the time before it stamps an entry.
        next_tick: Instant::now(),
        leadership: Leadership { role: Role::Founding, term: Term(0), leader: None },
        shutdown_requested: false,
        node_stopped: false,
    };
    let mut events = Vec::new();
    while !event_loop.node_stopped {
        event_loop.turn(&mut events);
        event_loop.wait().await;
    }
    event_loop.end().await;
}

impl EventLoop {
    /// Sleeps until something happens. It always yields at least once, so that the connections' tasks can run.
    async fn wait(&self) {
        let EventLoop { handles, connections, net, next_tick, .. } = self;
        let messages = first_ready(net.arrived(), connections.node_called());
        let sooner = first_ready(handles.mailbox.wait_filled(), messages);
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
        for address in self.connections.take_reachable() {
            self.net.redial_now(self.net.dial(&address));
        }
        for _ in 0..TURN_MESSAGES_MAX {
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
        self.publish_changes();
    }

    fn handle(&mut self, event: Event) {
        let mut node = self.node.borrow_mut();
        match event {
            Event::Call(CallRequest { id, method, arguments, submitted_at, reply }) => {
                let time_left = self.timing.call_deadline.saturating_sub(submitted_at.elapsed());
                self.calls.insert(id, (reply, arguments.len()));
                node.call(id, method, arguments, ticks(time_left, self.timing.tick));
            }
            Event::Deadline { call, time_left } => {
                node.set_deadline(call, ticks(time_left, self.timing.tick))
            }
            Event::Read { deadline, reply } => {
                self.next_read += 1;
                let ticket = ReadTicket(self.next_read);
                self.reads.insert(ticket, reply);
                node.read(ticket, ticks(deadline, self.timing.tick));
            }
            Event::Status(reply) => {
                drop(node);
                send_reply(reply, self.status());
            }
            Event::Log { page, reply } => send_reply(reply, node.log_page(page)),
            Event::Persisted(id) => node.persisted(id),
            Event::FoundingWritten(write) => node.founding_written(&write),
            Event::Applied(applied) => node.applied(applied),
            Event::DiskSpace { is_short } => node.set_disk_nearly_full(is_short),
            Event::Failed(reason) => node.stop(&reason),
            Event::Shutdown => {
                node.stop("it was shut down");
                drop(node);
                self.shutdown_requested = true;
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut ticks = 0;
        while now >= self.next_tick {
            self.node.borrow_mut().tick(wall_clock());
            self.next_tick += self.timing.tick;
            ticks += 1;
            if ticks == CATCH_UP_TICKS_MAX {
                self.next_tick = now + self.timing.tick;
            }
        }
        if ticks > 0 {
            self.publish();
        }
    }

    fn carry_out(&mut self, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings } = effects;
        for (to, message) in messages {
            if let Some(link) = self.connections.link(to) {
                // A message may be dropped here. The protocol sends it again, when the connection is back or when the
                // peer has not replied in time.
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
            if let Some((reply, bytes)) = self.calls.remove(&call) {
                self.handles.mailbox.call_ended(bytes);
                // A caller that dropped its call does not wait.
                send_reply(reply, outcome);
            }
        }
        for (ticket, outcome) in reads {
            if let Some(reply) = self.reads.remove(&ticket) {
                send_reply(reply, outcome.map(|_| ()));
            }
        }
        for warning in warnings {
            tracing::warn!("{}: {warning}", self.handles.status.borrow().address);
        }
    }

    /// Logs and publishes a change of role, term or leader.
    fn publish_changes(&mut self) {
        let leadership = self.node.borrow().leadership();
        if leadership == self.leadership {
            return;
        }
        self.leadership = leadership;
        let status = self.publish();
        match &status.stop_reason {
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
                match self.shutdown_requested {
                    true => tracing::info!("{} has ended", status.address),
                    false => tracing::error!("{} has stopped: {reason}", status.address),
                }
                self.node_stopped = true;
            }
        }
    }

    /// Publishes the status to those who watch it, where it has changed.
    fn publish(&self) -> Arc<Status> {
        let status = Arc::new(self.status());
        let publish = |last: &mut Arc<Status>| {
            let changed = **last != *status;
            if changed {
                *last = Arc::clone(&status);
            }
            changed
        };
        catch_waker_panic(|| {
            self.handles.status.send_if_modified(publish);
        });
        status
    }

    /// The status of the node, with the traffic of its connections.
    fn status(&self) -> Status {
        let mut status = self.node.borrow().status();
        let net = self.net.status();
        status.inbox_bytes = net.inbox_bytes;
        status.unidentified_connections = net.handshakes;
        for peer in &mut status.peers {
            let link = peer.node.and_then(|node| self.connections.link(node));
            for lane in net.dialled.iter().filter(|lane| Some(lane.link) == link) {
                peer.connected |= lane.connected.is_some();
                peer.traffic.connections_made += lane.connections;
                peer.traffic.messages_sent += lane.frames;
                peer.traffic.bytes_sent += lane.bytes;
                peer.traffic.messages_dropped += lane.dropped;
                peer.traffic.bytes_queued += lane.bytes_waiting;
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
        let EventLoop { node, connections, net, handles, calls, .. } = self;
        net.shutdown().await;
        let reason = node.borrow().stopped().unwrap_or("it has ended").to_owned();
        handles.end(&node, &reason);
        // The node has ended every call. If a sender is left all the same, its caller sees it dropped.
        drop((connections, calls));
    }
}

impl Handles {
    /// Lets the other threads finish their jobs, and rejects events from now on.
    fn end(&self, node: &Rc<RefCell<Node>>, reason: &str) {
        self.wal.close();
        self.apply.close();
        catch_waker_panic(|| drop(self.status.send_replace(Arc::new(node.borrow().status()))));
        for event in self.mailbox.close(reason) {
            event.reject(reason);
        }
    }
}

impl Drop for Handles {
    /// However the event loop ends, the other threads end, too.
    fn drop(&mut self) {
        self.wal.close();
        self.apply.close();
        if std::thread::panicking() {
            let stop = |last: &mut Arc<Status>| {
                let stop_reason = Some("its engine panicked".to_owned());
                let status = Status::clone(last);
                *last = Arc::new(Status { role: Role::Stopped, leader: None, stop_reason, ..status });
            };
            catch_waker_panic(|| self.status.send_modify(stop));
        }
    }
}

/// Encodes a message into the queue of a connection.
struct Outgoing<'a, 'b>(&'a mut PayloadWriter<'b>);

impl Sink for Outgoing<'_, '_> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.0.bytes()
    }

    fn share(&mut self, bytes: &Bytes) {
        self.0.share(bytes);
    }
}

/// Which of the two connections a message takes: large messages must not delay heartbeats and votes.
fn lane(message: &Message) -> Lane {
    match message {
        Message::Raft(_, RaftMessage::AppendEntries { .. } | RaftMessage::Commit { .. })
        | Message::Calls(_)
        | Message::Digests { .. } => Lane::Bulk,
        _ => Lane::Control,
    }
}

/// A duration in ticks, rounded up, at least one.
fn ticks(span: Duration, tick: Duration) -> Ticks {
    let ticks = span.as_micros().div_ceil(tick.as_micros().max(1));
    Ticks(u64::try_from(ticks).unwrap_or(u64::MAX).max(1))
}

fn wall_clock() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since_epoch.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}
