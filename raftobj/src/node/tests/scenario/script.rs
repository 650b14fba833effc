//! The command language: a command a line, its words separated by blanks. `n1` is a node, `n1->n2` a direction,
//! `key=value` an option; what is in brackets may be left out.

use super::cluster::Cluster;
use super::command_line::{CommandLine, host};
use super::network::{Direction, Host, Packet};
use super::print;
use super::setup;
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::fixture::arguments;
use crate::persistence::Write;
use crate::raft::Persist;
use crate::raft::types::Ticks;
use std::collections::BTreeMap;

/// A scenario that runs.
pub(super) struct Script {
    cluster: Option<Cluster>,
    /// Messages put aside, by the name that the script gives them.
    aside: BTreeMap<String, (Direction, Packet)>,
}

/// Unless a call or a read says otherwise it has so many ticks.
const DEADLINE: u64 = 500;

impl Script {
    pub(super) fn new() -> Script {
        Script { cluster: None, aside: BTreeMap::new() }
    }

    /// Runs a command; returns what it tells.
    pub(super) fn run(&mut self, line: &str) -> Vec<String> {
        let (quiet, line) = match line.strip_prefix("quiet ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        let line = CommandLine::new(line);
        if line.command == "cluster" {
            assert!(self.cluster.is_none(), "a scenario has one cluster");
            self.cluster = Some(setup::cluster(&line));
        }
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        cluster.quiet = quiet;
        match line.command {
            // Made above. With `leader=n1` that node is elected at once, and nothing is told of it.
            "cluster" => {
                if let Some(leader) = line.value("leader") {
                    cluster.quiet = true;
                    elect(cluster, host(leader));
                    cluster.take_output();
                }
            }
            // `deliver|drop|copy|take|inject`, see each.
            "deliver" | "drop" | "copy" | "take" | "inject" => self.message_command(&line),
            _ => command(cluster, &line),
        }
        let cluster = self.cluster.as_mut().expect("made above");
        cluster.check();
        cluster.take_output()
    }

    fn message_command(&mut self, line: &CommandLine) {
        let cluster = self.cluster.as_mut().expect("checked by the caller");
        match line.command {
            // deliver [n1->n2 | from=n1] [to=n2] [nth=N]: what is on its direction now, or the one message at that place.
            "deliver" => {
                let directions = line.directions(&cluster.network);
                match line.number("nth") {
                    Some(nth) => cluster.deliver(directions[0], usize::try_from(nth).expect("small") - 1),
                    None => {
                        let now: Vec<usize> = directions
                            .iter()
                            .map(|direction| cluster.network.get(*direction).queue.len())
                            .collect();
                        for (direction, count) in directions.into_iter().zip(now) {
                            (0..count).for_each(|_| cluster.deliver(direction, 0));
                        }
                    }
                }
            }
            // drop [n1->n2 | from=n1] [to=n2]: what is on its direction now is lost.
            "drop" => {
                for direction in line.directions(&cluster.network) {
                    for packet in std::mem::take(&mut cluster.network.get_mut(direction).queue) {
                        let message = print::message(&packet.message);
                        cluster.print_detail(format!("lost: {}→{} {message}", direction.0, direction.1));
                    }
                }
            }
            // copy|take n1->n2 [nth=1] as=NAME: puts a message aside, and leaves or removes it.
            "copy" | "take" => {
                let direction = line.directions(&cluster.network)[0];
                let position = usize::try_from(line.number("nth").unwrap_or(1)).expect("small") - 1;
                let queue = &mut cluster.network.get_mut(direction).queue;
                let packet = queue.get(position).expect("no message at that place").clone();
                if line.command == "take" {
                    queue.remove(position);
                }
                let message = print::message(&packet.message);
                cluster.print_detail(format!("aside: {}→{} {message}", direction.0, direction.1));
                self.aside.insert(line.value("as").expect("as=NAME").to_owned(), (direction, packet));
            }
            // inject NAME: what was put aside arrives.
            "inject" => {
                let (direction, packet) =
                    self.aside.get(line.plain[0]).expect("nothing of that name").clone();
                cluster.hand_over(direction, packet);
            }
            other => unreachable!("{other}"),
        }
    }
}

fn command(cluster: &mut Cluster, line: &CommandLine) {
    let hosts = line.hosts();
    match line.command {
        // start n1… [wiped]: starts nodes, with what their disk remembers or with another, empty one.
        "start" => {
            for host in hosts {
                if line.has("wiped") {
                    let server = cluster.server(host);
                    server.disk = setup::new_disk(&server.disk);
                    cluster.checks.disk_lost = true;
                }
                cluster.start(host);
            }
        }
        // remember n1 …: what the disk of a node that is down has; see `setup::remember`.
        "remember" => {
            let disk = &mut cluster.servers.get_mut(&hosts[0]).expect("a node").disk;
            setup::remember(disk, line);
            cluster.checks.remembered(disk);
        }
        // lose n1 N: the disk of a node that is down forgets the N newest entries, although they were durable.
        "lose" => {
            let count = usize::try_from(line.count().expect("how many entries")).expect("64 bits");
            let entries = &mut cluster.servers.get_mut(&hosts[0]).expect("a node").disk.entries;
            entries.truncate(entries.len() - count);
            cluster.checks.disk_lost = true;
        }
        // crash n1…: what was not written is lost, what was sent still arrives.
        "crash" => hosts.into_iter().for_each(|host| cluster.crash(host)),
        // tick [n1…] [N]: time passes there, or for all.
        "tick" => {
            let hosts = if hosts.is_empty() { cluster.running() } else { hosts };
            for _ in 0..line.count().unwrap_or(1) {
                hosts.iter().for_each(|host| cluster.tick(*host));
            }
        }
        // run N: N times a tick for all and the delivery of all that is on its direction and due.
        "run" => {
            for _ in 0..line.count().expect("how many ticks") {
                cluster.network.now += 1;
                cluster.running().into_iter().for_each(|host| cluster.tick(host));
                cluster.connect();
                cluster.stabilize();
            }
        }
        // election n1: time passes until no other node hears a leader, then until n1 campaigns.
        "election" => election(cluster, hosts[0]),
        // elect n1: an election, and all that follows.
        "elect" => elect(cluster, hosts[0]),
        "stabilize" => cluster.stabilize(),
        // queue [n1->n2 | from=n1] [to=n2]: what is on its direction.
        "queue" => {
            for direction in line.directions(&cluster.network) {
                let packets = cluster.network.get(direction).queue.iter();
                let packets: Vec<String> = packets.map(|packet| print::message(&packet.message)).collect();
                packets
                    .into_iter()
                    .for_each(|text| cluster.print(format!("{}→{} {text}", direction.0, direction.1)));
            }
        }
        // cut|heal|stall|flow [n1 | n1 n2 | n1->n2]: all of a node's links, a pair's two, or one direction; without
        // names all. A stalled link keeps what is sent over it, a cut one loses it; a healed one is connected anew.
        "cut" => line.links(&cluster.network).into_iter().for_each(|direction| cluster.cut(direction)),
        "heal" => {
            line.links(&cluster.network).into_iter().for_each(|direction| cluster.heal(direction));
            cluster.connect();
        }
        "stall" => line
            .links(&cluster.network)
            .into_iter()
            .for_each(|direction| cluster.network.get_mut(direction).stalled = true),
        "flow" => line
            .links(&cluster.network)
            .into_iter()
            .for_each(|direction| cluster.network.get_mut(direction).stalled = false),
        // delay [n1 | n1 n2 | n1->n2] N: what is sent from now on takes N steps of `run`.
        "delay" => {
            let ticks = line.count().expect("how many ticks");
            line.links(&cluster.network)
                .into_iter()
                .for_each(|direction| cluster.network.get_mut(direction).delay = ticks);
        }
        // split n1…: these are cut from the others.
        "split" => {
            let across = |direction: &Direction| hosts.contains(&direction.0) != hosts.contains(&direction.1);
            cluster
                .network
                .directions()
                .into_iter()
                .filter(across)
                .for_each(|direction| cluster.cut(direction));
        }
        // connect: whoever runs and is not connected tries again.
        "connect" => cluster.connect(),
        // hold|release persist|apply n1…: writes, or entries to apply, wait for a command; or they no longer do.
        "hold" | "release" => hold(cluster, line),
        // persist n1 [N]: the oldest writes that wait, or all, are done.
        "persist" => {
            for _ in 0..line.count().unwrap_or(u64::MAX) {
                if !cluster.write_one(hosts[0]) {
                    break;
                }
                cluster.settle(hosts[0]);
            }
            cluster.settle(hosts[0]);
        }
        // apply n1 [N]: the oldest committed entries that wait, or all, are applied.
        "apply" => {
            cluster.apply(hosts[0], usize::try_from(line.count().unwrap_or(u64::MAX)).expect("64 bits"));
            cluster.settle(hosts[0]);
        }
        // fail n1: from now on its disk fails.
        "fail" => cluster.server(hosts[0]).disk.failing = true,
        // call n1 METHOD KEY [times=N] [deadline=TICKS]
        "call" => call(cluster, line),
        // read n1 [times=N] [deadline=TICKS]: linearizable reads.
        "read" => {
            let deadline = Ticks(line.number("deadline").unwrap_or(DEADLINE));
            for _ in 0..line.number("times").unwrap_or(1) {
                let ticket = cluster.next_read();
                cluster.server(hosts[0]).process().node.read(ticket, deadline);
            }
            cluster.settle(hosts[0]);
        }
        _ => show(cluster, line),
    }
}

/// Commands that only look.
fn show(cluster: &mut Cluster, line: &CommandLine) {
    let hosts: Vec<Host> = match line.hosts() {
        hosts if hosts.is_empty() => cluster.servers.keys().copied().collect(),
        hosts => hosts,
    };
    for host in hosts {
        let server = cluster.server(host);
        let text = match line.command {
            "status" => print::status(server),
            // log [n1…]: with what is only in memory.
            "log" => format!("{host} {}", print::entries(&server.process().node.log(usize::MAX))),
            // disk [n1…]: what would survive a crash, and what waits to be written.
            "disk" => {
                let mut text = format!("{host} {}", print::hard_state(server.disk.hard_state));
                text += &format!(" {}", print::entries(&server.disk.entries));
                for write in server.disk.unwritten() {
                    text += &format!(" waits: {}", print::write(write));
                    if let Write::Persist(Persist { id, .. }) = write {
                        text += &format!(" (#{})", id.0);
                    }
                }
                text
            }
            // timers [n1…]: when each campaigns unless it hears something.
            "timers" => match server.process().node.raft() {
                Some(raft) if raft.is_leader() => format!("{host} leads"),
                Some(raft) => format!("{host} campaigns in {}", raft.election_in()),
                None => format!("{host} founds"),
            },
            // counts [n1…]: the object.
            "counts" => format!("{host} {}", server.process().object.counts()),
            other => panic!("there is no command {other}"),
        };
        cluster.print(text);
    }
}

fn election(cluster: &mut Cluster, candidate: Host) {
    for host in cluster.running() {
        let is_led = |cluster: &mut Cluster| {
            let raft = cluster.server(host).process().node.raft();
            raft.is_some_and(|raft| !raft.is_leader() && raft.heard_from_leader())
        };
        while host != candidate && is_led(cluster) {
            cluster.tick(host);
        }
    }
    let campaigns = |cluster: &mut Cluster| {
        let raft = cluster.server(candidate).process().node.raft();
        raft.is_some_and(|raft| raft.is_candidate() || raft.is_leader())
    };
    while !campaigns(cluster) {
        cluster.tick(candidate);
    }
}

fn elect(cluster: &mut Cluster, candidate: Host) {
    election(cluster, candidate);
    cluster.stabilize();
}

fn hold(cluster: &mut Cluster, line: &CommandLine) {
    let held = line.command == "hold";
    for host in line.hosts() {
        match line.plain[0] {
            "persist" => cluster.server(host).persist_held = held,
            "apply" => cluster.server(host).apply_held = held,
            other => panic!("{other} cannot be held"),
        }
        if !held {
            while line.plain[0] == "persist" && cluster.write_one(host) {}
            if line.plain[0] == "apply" {
                cluster.apply(host, usize::MAX);
            }
            cluster.settle(host);
        }
    }
}

fn call(cluster: &mut Cluster, line: &CommandLine) {
    let [_, method, key] = line.plain[..] else { panic!("call NODE METHOD KEY") };
    let known = crate::object::fixture::Tally::METHODS.iter().any(|known| known.name == method);
    assert!(known, "the object has no method {method}");
    let host = line.hosts()[0];
    let deadline = Ticks(line.number("deadline").unwrap_or(DEADLINE));
    for _ in 0..line.number("times").unwrap_or(1) {
        let call = cluster.next_call();
        let key = arguments(key.parse().expect("keys are numbers"));
        cluster.server(host).process().node.call(call, MethodId::of(method), key, deadline);
    }
    cluster.settle(host);
}
