//! The servers of a scenario and the network between them. Everything that happens is printed, a line for each.

use super::checks::Checks;
use super::network::{Direction, Host, Packet, ScriptedNetwork};
use super::print;
use super::server::ScriptedServer;
use crate::calls::{CallId, ReadTicket};
use crate::codec::message::Message;
use crate::node::Effects;
use crate::persistence::Write;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// All servers, the network, and the output.
pub(super) struct Cluster {
    pub(super) servers: BTreeMap<Host, ScriptedServer>,
    pub(super) network: ScriptedNetwork,
    pub(super) checks: Checks,
    pub(super) calls: u64,
    pub(super) reads: u64,
    /// Print only what a client or an operator would see.
    pub(super) quiet: bool,
    output: Vec<String>,
    /// Failed handshakes, each printed once.
    refusals: BTreeSet<String>,
}

/// After so many rounds of deliveries the nodes send each other messages for ever.
const DELIVERY_ROUNDS_MAX: usize = 20_000;

impl Cluster {
    pub(super) fn new(servers: BTreeMap<Host, ScriptedServer>) -> Cluster {
        let hosts: Vec<Host> = servers.keys().copied().collect();
        Cluster {
            network: ScriptedNetwork::new(&hosts),
            checks: Checks::default(),
            servers,
            calls: 0,
            reads: 0,
            quiet: false,
            output: Vec::new(),
            refusals: BTreeSet::new(),
        }
    }

    /// The lines printed since the last call.
    pub(super) fn take_output(&mut self) -> Vec<String> {
        std::mem::take(&mut self.output)
    }

    /// Prints what a client or an operator would see.
    pub(super) fn print(&mut self, line: String) {
        println!("    {line}");
        self.output.push(line);
    }

    /// Prints what only the nodes see, unless the command is quiet.
    pub(super) fn print_detail(&mut self, line: String) {
        if !self.quiet {
            self.print(line);
        }
    }

    pub(super) fn server(&mut self, host: Host) -> &mut ScriptedServer {
        self.servers.get_mut(&host).unwrap_or_else(|| panic!("there is no server {host}"))
    }

    /// The servers that are up.
    pub(super) fn hosts_up(&self) -> Vec<Host> {
        self.servers.values().filter(|server| server.process.is_some()).map(|server| server.host).collect()
    }

    pub(super) fn start(&mut self, host: Host) {
        self.server(host).start();
        self.refusals.retain(|refusal| !refusal.contains(&host.to_string()));
        self.checks.started(host);
        self.settle(host);
        self.connect();
    }

    pub(super) fn crash(&mut self, host: Host) {
        self.server(host).crash();
        for direction in self.network.directions() {
            if direction.touches(host) {
                self.disconnect(direction);
            }
        }
    }

    /// Closes the connection of this direction. The messages in flight are lost, except those of a process that is gone:
    /// they still arrive.
    fn disconnect(&mut self, direction: Direction) {
        let sender_is_up = self.servers[&direction.from].process.is_some();
        let peer = self.servers[&direction.to].disk.node;
        let link = self.network.get_mut(direction);
        if sender_is_up {
            link.queue.clear();
        }
        if std::mem::take(&mut link.connected) && sender_is_up {
            self.server(direction.from).process().node.disconnected(peer);
        }
    }

    /// Dials wherever both servers are up, the link works in both directions, and there is no connection.
    pub(super) fn connect(&mut self) {
        let hosts_up = self.hosts_up();
        for direction in self.network.directions() {
            let (dialler, acceptor) = (direction.from, direction.to);
            let both_up = hosts_up.contains(&dialler) && hosts_up.contains(&acceptor);
            let link = self.network.get(direction);
            if !both_up || link.connected || link.cut || self.network.get(direction.reverse()).cut {
                continue;
            }
            let hello = |server: &mut ScriptedServer| server.process().node.hello().encode();
            let dialler_hello = hello(self.server(dialler));
            let acceptor_hello = hello(self.server(acceptor));
            let by_acceptor = self.server(acceptor).process().node.check_hello(&dialler_hello, None);
            let address = acceptor.to_string();
            let by_dialler = self.server(dialler).process().node.check_hello(&acceptor_hello, Some(&address));
            for (refusing, refused, verdict) in
                [(acceptor, dialler, &by_acceptor), (dialler, acceptor, &by_dialler)]
            {
                if let Err(reason) = verdict {
                    let refusal = format!("{refusing} refuses {refused}: {reason}");
                    if self.refusals.insert(refusal.clone()) {
                        self.print(refusal);
                    }
                }
            }
            if let Err(reason) = &by_acceptor {
                self.server(dialler).process().node.refused(&address, reason);
            }
            if let (Ok(_), Ok((peer, _))) = (by_acceptor, by_dialler) {
                self.network.get_mut(direction).connected = true;
                self.server(dialler).process().node.connected(peer);
            }
            self.settle(dialler);
            self.settle(acceptor);
        }
    }

    /// Messages in flight and later ones are lost.
    pub(super) fn cut(&mut self, direction: Direction) {
        let link = self.network.get_mut(direction);
        link.cut = true;
        link.queue.clear();
    }

    /// The direction works again, once [`Cluster::connect`] has made a new connection.
    pub(super) fn heal(&mut self, direction: Direction) {
        if std::mem::take(&mut self.network.get_mut(direction).cut) {
            self.disconnect(direction);
        }
        self.network.get_mut(direction).stalled = false;
    }

    /// Carries out the node's effects until it has none.
    pub(super) fn settle(&mut self, host: Host) {
        loop {
            self.print_role(host);
            let Some(process) = &mut self.server(host).process else { return };
            match process.node.effects() {
                Some(effects) => self.carry_out(host, effects),
                None => break,
            }
        }
        self.print_role(host);
    }

    fn print_role(&mut self, host: Host) {
        let server = self.server(host);
        let Some(process) = &mut server.process else { return };
        let role = print::role(process);
        if process.printed_role != role {
            process.printed_role.clone_from(&role);
            let line = format!("{} {role}", print::name(server.disk.node));
            self.print(line);
        }
    }

    fn carry_out(&mut self, host: Host, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings } = effects;
        let server = self.servers.get_mut(&host).expect("it has returned effects");
        let from = server.disk.node;
        for (to, message) in messages {
            self.checks.sent(&server.disk, to, &message);
            let direction = Direction { from: host, to: print::host(to) };
            self.network.send(direction, from, to, message);
        }
        persists.into_iter().for_each(|persist| server.disk.push(Write::Persist(persist)));
        founding.into_iter().for_each(|write| server.disk.push(Write::Founding(write)));
        server.process().unapplied.extend(committed);
        for (call, outcome) in completions {
            if let Ok(committed) = &outcome {
                self.checks.check(&self.servers);
                self.checks.acknowledged(&self.servers, committed);
            }
            let line = match outcome {
                Ok(committed) => format!(
                    "ok index={} term={} value={}",
                    committed.index,
                    committed.term,
                    value(&committed.value)
                ),
                Err(error) => error.to_string(),
            };
            self.print(format!("{host} call {}: {line}", call.0));
        }
        for (ticket, outcome) in reads {
            let counts = self.server(host).process().object.counts();
            let line = match outcome {
                Ok(index) => format!("ok at {index}: {counts}"),
                Err(error) => error.to_string(),
            };
            self.print(format!("{host} read {}: {line}", ticket.0));
        }
        for warning in warnings {
            self.print(format!("{host} warns: {warning}"));
        }
        let server = self.server(host);
        if !server.persist_held {
            while self.write_one(host) {}
        }
        if !self.server(host).apply_held {
            self.apply(host, usize::MAX);
        }
    }

    /// Makes a node's oldest write durable. False if there was none, or the disk failed.
    pub(super) fn write_one(&mut self, host: Host) -> bool {
        let Some(write) = self.server(host).write_one() else { return false };
        self.print_detail(format!("{host} writes {}", print::write(&write)));
        if matches!(write, Write::Founding(_)) {
            self.print_role(host);
        }
        true
    }

    /// Applies at most `count` of the committed entries that wait.
    pub(super) fn apply(&mut self, host: Host, count: usize) {
        let Some(process) = &mut self.server(host).process else { return };
        let (entries, checkpoints) = process.apply(count);
        if entries.is_empty() {
            return;
        }
        self.checks.applied(host, &checkpoints);
        self.print_detail(format!("{host} applies {}", print::entries(&entries)));
    }

    /// Delivers the message at this position in the queue.
    pub(super) fn deliver(&mut self, direction: Direction, position: usize) {
        let packet = self.network.get_mut(direction).queue.remove(position);
        let packet = packet.unwrap_or_else(|| panic!("{direction} has no message {}", position + 1));
        self.receive(packet);
    }

    /// Delivers a message. It is lost if the server is down, or now has another node.
    pub(super) fn receive(&mut self, packet: Packet) {
        let Packet { from, to, message, .. } = packet;
        let host = print::host(to);
        let line = format!("{}→{} {}", print::name(from), print::name(to), print::message(&message));
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let decoded =
            Message::decode(Bytes::from(bytes)).expect("a message that a node sends can be decoded");
        assert_eq!(decoded, message, "encoded and decoded, a message is the same");
        self.print_detail(line);
        let server = self.server(host);
        if server.disk.node == to
            && let Some(process) = &mut server.process
        {
            process.node.receive(from, message);
        }
        self.settle(host);
        self.check();
    }

    /// Delivers a message of each link in turn, until only stalled and delayed ones are in flight.
    pub(super) fn stabilize(&mut self) {
        for _ in 0..DELIVERY_ROUNDS_MAX {
            let mut directions = self.network.directions();
            directions.retain(|direction| self.network.is_deliverable(*direction));
            if directions.is_empty() {
                return;
            }
            for direction in directions {
                if self.network.is_deliverable(direction) {
                    self.deliver(direction, 0);
                }
            }
        }
        panic!("the nodes send each other messages for ever");
    }

    pub(super) fn tick(&mut self, host: Host) {
        self.server(host).process().tick();
        self.settle(host);
        self.check();
    }

    /// Checks the properties that hold across nodes.
    pub(super) fn check(&mut self) {
        self.checks.check(&self.servers);
    }

    pub(super) fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }

    pub(super) fn next_read(&mut self) -> ReadTicket {
        self.reads += 1;
        ReadTicket(self.reads)
    }
}

/// A reply of the tally: a count, or other bytes.
fn value(value: &[u8]) -> String {
    match <[u8; 8]>::try_from(value) {
        Ok(count) => u64::from_le_bytes(count).to_string(),
        Err(_) => format!("{} bytes", value.len()),
    }
}
