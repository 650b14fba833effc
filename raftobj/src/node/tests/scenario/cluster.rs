//! The nodes of a scenario and what is between them. Whatever happens is told, line by line.

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

/// All machines, all links, all that happened.
pub(super) struct Cluster {
    pub(super) servers: BTreeMap<Host, ScriptedServer>,
    pub(super) network: ScriptedNetwork,
    pub(super) checks: Checks,
    pub(super) calls: u64,
    pub(super) reads: u64,
    /// Tell only what the world outside would see.
    pub(super) quiet: bool,
    output: Vec<String>,
    /// Refusals at handshakes that were told.
    refusals: BTreeSet<String>,
}

/// More messages than this without rest are an endless conversation.
const DELIVERIES_MAX: usize = 20_000;

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

    /// What was told since the last time.
    pub(super) fn take_output(&mut self) -> Vec<String> {
        std::mem::take(&mut self.output)
    }

    /// Tells what the world outside would see.
    pub(super) fn print(&mut self, line: String) {
        println!("    {line}");
        self.output.push(line);
    }

    /// Tells what only the nodes see.
    pub(super) fn print_detail(&mut self, line: String) {
        if !self.quiet {
            self.print(line);
        }
    }

    pub(super) fn server(&mut self, host: Host) -> &mut ScriptedServer {
        self.servers.get_mut(&host).unwrap_or_else(|| panic!("there is no {host}"))
    }

    /// The machines whose nodes run.
    pub(super) fn running(&self) -> Vec<Host> {
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
        let directions = self.network.directions();
        for direction in directions.into_iter().filter(|direction| direction.0 == host || direction.1 == host)
        {
            self.disconnect(direction);
        }
    }

    /// The connections of both directions between two machines are gone, and what was on its direction to either.
    fn disconnect(&mut self, direction: Direction) {
        let running = self.servers[&direction.0].process.is_some();
        let peer = self.servers[&direction.1].disk.node;
        let link = self.network.get_mut(direction);
        // What a process has sent before its end still arrives.
        if running {
            link.queue.clear();
        }
        if std::mem::take(&mut link.connected) && running {
            self.server(direction.0).process().node.disconnected(peer);
        }
    }

    /// Connects whoever runs, is not cut off, and is accepted.
    pub(super) fn connect(&mut self) {
        let running = self.running();
        for direction in self.network.directions() {
            let (dialler, other) = direction;
            let open = !self.network.get(direction).cut && !self.network.get((other, dialler)).cut;
            if !running.contains(&dialler)
                || !running.contains(&other)
                || !open
                || self.network.get(direction).connected
            {
                continue;
            }
            let hello = |server: &mut ScriptedServer| server.process().node.hello().encode();
            let (ours, theirs) = (hello(self.server(dialler)), hello(self.server(other)));
            let accepted = self.server(other).process().node.judge(&ours, None);
            let judged = self.server(dialler).process().node.judge(&theirs, Some(&other.to_string()));
            for (refusing, refused, judged) in [(other, dialler, &accepted), (dialler, other, &judged)] {
                if let Err(reason) = judged {
                    let refusal = format!("{refusing} refuses {refused}: {reason}");
                    if self.refusals.insert(refusal.clone()) {
                        self.print(refusal);
                    }
                }
            }
            if let (Ok(_), Ok((peer, _))) = (accepted, judged) {
                self.network.get_mut(direction).connected = true;
                self.server(dialler).process().node.connected(peer);
            }
            self.settle(dialler);
            self.settle(other);
        }
    }

    /// What is on its direction is lost; later messages are too.
    pub(super) fn cut(&mut self, direction: Direction) {
        let link = self.network.get_mut(direction);
        link.cut = true;
        link.queue.clear();
    }

    /// The direction works again, over a new connection.
    pub(super) fn heal(&mut self, direction: Direction) {
        if std::mem::take(&mut self.network.get_mut(direction).cut) {
            self.disconnect(direction);
        }
        self.network.get_mut(direction).stalled = false;
    }

    /// Carries out what the node wants, until it wants nothing more.
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
        let server = self.servers.get_mut(&host).expect("its effects were taken");
        let from = server.disk.node;
        for (to, message) in messages {
            self.checks.sent(&server.disk, to, &message);
            let direction = (host, print::host(to));
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

    /// Makes a node's oldest write durable; false where none was waiting or the disk failed.
    pub(super) fn write_one(&mut self, host: Host) -> bool {
        let Some(write) = self.server(host).write_one() else { return false };
        self.print_detail(format!("{host} writes {}", print::write(&write)));
        if matches!(write, Write::Founding(_)) {
            self.print_role(host);
        }
        true
    }

    /// Applies at most so many committed entries that wait.
    pub(super) fn apply(&mut self, host: Host, count: usize) {
        let Some(process) = &mut self.server(host).process else { return };
        let (entries, checkpoints) = process.apply(count);
        if entries.is_empty() {
            return;
        }
        self.checks.applied(host, &checkpoints);
        self.print_detail(format!("{host} applies {}", print::entries(&entries)));
    }

    /// Delivers the message at this place in the queue.
    pub(super) fn deliver(&mut self, direction: Direction, position: usize) {
        let packet = self.network.get_mut(direction).queue.remove(position);
        let packet = packet
            .unwrap_or_else(|| panic!("no message {} from {} to {}", position + 1, direction.0, direction.1));
        self.hand_over(direction, packet);
    }

    /// A message arrives.
    pub(super) fn hand_over(&mut self, direction: Direction, packet: Packet) {
        let Packet { from, to, message, .. } = packet;
        let line = format!("{}→{} {}", print::name(from), print::name(to), print::message(&message));
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let decoded = Message::decode(Bytes::from(bytes)).expect("what a node sends decodes");
        assert_eq!(decoded, message, "the message after its journey");
        self.print_detail(line);
        let server = self.server(direction.1);
        if server.disk.node == to
            && let Some(process) = &mut server.process
        {
            process.node.receive(from, message);
        }
        self.settle(direction.1);
        self.check();
    }

    /// Delivers, each link in turn, until nothing is on its direction but what is stalled or delayed.
    pub(super) fn stabilize(&mut self) {
        for _ in 0..DELIVERIES_MAX {
            let directions = self.network.directions().into_iter();
            let directions: Vec<Direction> =
                directions.filter(|direction| self.network.is_deliverable(*direction)).collect();
            if directions.is_empty() {
                return;
            }
            for direction in directions {
                if self.network.is_deliverable(direction) {
                    self.deliver(direction, 0);
                }
            }
        }
        panic!("the nodes do not stop talking");
    }

    pub(super) fn tick(&mut self, host: Host) {
        self.server(host).process().tick();
        self.settle(host);
        self.check();
    }

    /// What must hold across nodes.
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

/// A reply of the tally: a count, or bytes.
fn value(value: &[u8]) -> String {
    match <[u8; 8]>::try_from(value) {
        Ok(count) => u64::from_le_bytes(count).to_string(),
        Err(_) => format!("{} bytes", value.len()),
    }
}
