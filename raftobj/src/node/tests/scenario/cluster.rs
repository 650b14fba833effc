//! The nodes of a scenario and what is between them. Whatever happens is told, line by line.

use super::checks::Checks;
use super::disk::{Write, Written};
use super::links::{Host, Links, Parcel, Way};
use super::member::Member;
use super::print;
use crate::calls::{CallId, ReadTicket};
use crate::codec::message::Message;
use crate::node::Effects;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// All machines, all links, all that happened.
pub(super) struct Cluster {
    pub(super) members: BTreeMap<Host, Member>,
    pub(super) links: Links,
    pub(super) checks: Checks,
    pub(super) calls: u64,
    pub(super) reads: u64,
    /// Tell only what the world outside would see.
    pub(super) quiet: bool,
    told: Vec<String>,
    /// Refusals at handshakes that were told.
    refusals: BTreeSet<String>,
}

/// More messages than this without rest are an endless conversation.
const DELIVERIES_MAX: usize = 20_000;

impl Cluster {
    pub(super) fn new(members: BTreeMap<Host, Member>) -> Cluster {
        let hosts: Vec<Host> = members.keys().copied().collect();
        Cluster {
            links: Links::new(&hosts),
            checks: Checks::default(),
            members,
            calls: 0,
            reads: 0,
            quiet: false,
            told: Vec::new(),
            refusals: BTreeSet::new(),
        }
    }

    /// What was told since the last time.
    pub(super) fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// Tells what the world outside would see.
    pub(super) fn tell(&mut self, line: String) {
        println!("    {line}");
        self.told.push(line);
    }

    /// Tells what only the nodes see.
    pub(super) fn tell_detail(&mut self, line: String) {
        if !self.quiet {
            self.tell(line);
        }
    }

    pub(super) fn member(&mut self, host: Host) -> &mut Member {
        self.members.get_mut(&host).unwrap_or_else(|| panic!("there is no {host}"))
    }

    /// The machines whose nodes run.
    pub(super) fn running(&self) -> Vec<Host> {
        self.members.values().filter(|member| member.life.is_some()).map(|member| member.host).collect()
    }

    pub(super) fn start(&mut self, host: Host) {
        self.member(host).start();
        self.refusals.retain(|refusal| !refusal.contains(&host.to_string()));
        self.checks.started(host);
        self.settle(host);
        self.connect();
    }

    pub(super) fn crash(&mut self, host: Host) {
        self.member(host).crash();
        let ways = self.links.ways();
        for way in ways.into_iter().filter(|way| way.0 == host || way.1 == host) {
            self.disconnect(way);
        }
    }

    /// The connections of both directions between two machines are gone, and what was on its way to either.
    fn disconnect(&mut self, way: Way) {
        let running = self.members[&way.0].life.is_some();
        let peer = self.members[&way.1].disk.node;
        let link = self.links.get_mut(way);
        // What a process has sent before its end still arrives.
        if running {
            link.queue.clear();
        }
        if std::mem::take(&mut link.connected) && running {
            self.member(way.0).life().node.disconnected(peer);
        }
    }

    /// Connects whoever runs, is not cut off, and is accepted.
    pub(super) fn connect(&mut self) {
        let running = self.running();
        for way in self.links.ways() {
            let (dialler, other) = way;
            let open = !self.links.get(way).cut && !self.links.get((other, dialler)).cut;
            if !running.contains(&dialler)
                || !running.contains(&other)
                || !open
                || self.links.get(way).connected
            {
                continue;
            }
            let hello = |member: &mut Member| member.life().node.hello().encode();
            let (ours, theirs) = (hello(self.member(dialler)), hello(self.member(other)));
            let accepted = self.member(other).life().node.judge(&ours, None);
            let judged = self.member(dialler).life().node.judge(&theirs, Some(&other.to_string()));
            for (refusing, refused, judged) in [(other, dialler, &accepted), (dialler, other, &judged)] {
                if let Err(reason) = judged {
                    let refusal = format!("{refusing} refuses {refused}: {reason}");
                    if self.refusals.insert(refusal.clone()) {
                        self.tell(refusal);
                    }
                }
            }
            if let (Ok(_), Ok((peer, _))) = (accepted, judged) {
                self.links.get_mut(way).connected = true;
                self.member(dialler).life().node.connected(peer);
            }
            self.settle(dialler);
            self.settle(other);
        }
    }

    /// What is on its way is lost; later messages are too.
    pub(super) fn cut(&mut self, way: Way) {
        let link = self.links.get_mut(way);
        link.cut = true;
        link.queue.clear();
    }

    /// The direction works again, over a new connection.
    pub(super) fn heal(&mut self, way: Way) {
        if std::mem::take(&mut self.links.get_mut(way).cut) {
            self.disconnect(way);
        }
        self.links.get_mut(way).stalled = false;
    }

    /// Carries out what the node wants, until it wants nothing more.
    pub(super) fn settle(&mut self, host: Host) {
        loop {
            self.tell_role(host);
            let Some(life) = &mut self.member(host).life else { return };
            match life.node.effects() {
                Some(effects) => self.carry_out(host, effects),
                None => break,
            }
        }
        self.tell_role(host);
    }

    fn tell_role(&mut self, host: Host) {
        let member = self.member(host);
        let Some(life) = &mut member.life else { return };
        let role = print::role(life);
        if life.told != role {
            life.told.clone_from(&role);
            let line = format!("{} {role}", print::name(member.disk.node));
            self.tell(line);
        }
    }

    fn carry_out(&mut self, host: Host, effects: Effects) {
        let Effects { messages, persists, founding, committed, completions, reads, warnings } = effects;
        let member = self.members.get_mut(&host).expect("its effects were taken");
        let from = member.disk.node;
        for (to, message) in messages {
            self.checks.sent(&member.disk, to, &message);
            let way = (host, print::host(to));
            self.links.send(way, from, to, message);
        }
        persists.into_iter().for_each(|persist| member.disk.push(Write::Persist(persist)));
        founding.into_iter().for_each(|write| member.disk.push(Write::Founding(write)));
        member.life().unapplied.extend(committed);
        for (call, outcome) in completions {
            if let Ok(committed) = &outcome {
                self.checks.check(&self.members);
                self.checks.acknowledged(&self.members, committed);
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
            self.tell(format!("{host} call {}: {line}", call.0));
        }
        for (ticket, outcome) in reads {
            let counts = self.member(host).life().object.counts();
            let line = match outcome {
                Ok(index) => format!("ok at {index}: {counts}"),
                Err(error) => error.to_string(),
            };
            self.tell(format!("{host} read {}: {line}", ticket.0));
        }
        for warning in warnings {
            self.tell(format!("{host} warns: {warning}"));
        }
        let member = self.member(host);
        if !member.persist_held {
            while self.write_one(host) {}
        }
        if !self.member(host).apply_held {
            self.apply(host, usize::MAX);
        }
    }

    /// Makes a node's oldest write durable; false where none was waiting or the disk failed.
    pub(super) fn write_one(&mut self, host: Host) -> bool {
        let member = self.member(host);
        let text = member.disk.unwritten().next().map(print::write);
        let written = member.write_one();
        if let (Some(text), Some(_)) = (text, &written) {
            self.tell_detail(format!("{host} writes {text}"));
        }
        if let Some(Written::Founding(_)) = written {
            self.tell_role(host);
        }
        written.is_some()
    }

    /// Applies at most so many committed entries that wait.
    pub(super) fn apply(&mut self, host: Host, count: usize) {
        let Some(life) = &mut self.member(host).life else { return };
        let (entries, checkpoints) = life.apply(count);
        if entries.is_empty() {
            return;
        }
        self.checks.applied(host, &checkpoints);
        self.tell_detail(format!("{host} applies {}", print::entries(&entries)));
    }

    /// Delivers the message at this place in the queue.
    pub(super) fn deliver(&mut self, way: Way, position: usize) {
        let parcel = self.links.get_mut(way).queue.remove(position);
        let parcel =
            parcel.unwrap_or_else(|| panic!("no message {} from {} to {}", position + 1, way.0, way.1));
        self.hand_over(way, parcel);
    }

    /// A message arrives.
    pub(super) fn hand_over(&mut self, way: Way, parcel: Parcel) {
        let Parcel { from, to, message, .. } = parcel;
        let line = format!("{}→{} {}", print::name(from), print::name(to), print::message(&message));
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let decoded = Message::decode(Bytes::from(bytes)).expect("what a node sends decodes");
        assert_eq!(decoded, message, "the message after its journey");
        self.tell_detail(line);
        let member = self.member(way.1);
        if member.disk.node == to
            && let Some(life) = &mut member.life
        {
            life.node.receive(from, message);
        }
        self.settle(way.1);
        self.check();
    }

    /// Delivers, each link in turn, until nothing is on its way but what is stalled or delayed.
    pub(super) fn stabilize(&mut self) {
        for _ in 0..DELIVERIES_MAX {
            let ways = self.links.ways().into_iter();
            let ways: Vec<Way> = ways.filter(|way| self.links.is_deliverable(*way)).collect();
            if ways.is_empty() {
                return;
            }
            for way in ways {
                if self.links.is_deliverable(way) {
                    self.deliver(way, 0);
                }
            }
        }
        panic!("the nodes do not stop talking");
    }

    pub(super) fn tick(&mut self, host: Host) {
        self.member(host).life().tick();
        self.settle(host);
        self.check();
    }

    /// What must hold across nodes.
    pub(super) fn check(&mut self) {
        self.checks.check(&self.members);
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
