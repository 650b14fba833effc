//! The command language: a command in each line, its arguments separated by spaces. `n1` is a server, `n1->n2` a
//! direction, `key=value` an option; arguments in brackets are optional. `quiet` before a command prints only what a
//! client or an operator would see.

use super::checks::whole_log;
use super::cluster::Cluster;
use super::command_line::{CommandLine, host};
use super::network::Host;
use super::print;
use super::setup;
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::fixture::{Tally, arguments};
use crate::persistence::Write;
use crate::raft::Persist;
use crate::raft::types::Ticks;

/// A scenario while it runs.
pub(super) struct Script {
    cluster: Option<Cluster>,
}

/// The default deadline of a call or a read.
const DEADLINE_TICKS: u64 = 500;

impl Script {
    pub(super) fn new() -> Script {
        Script { cluster: None }
    }

    /// Runs a command and returns its output.
    pub(super) fn run(&mut self, line: &str) -> Vec<String> {
        let (quiet, line) = match line.strip_prefix("quiet ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        let line = CommandLine::parse(line);
        if line.command == "cluster" {
            assert!(self.cluster.is_none(), "a scenario has one cluster");
            self.cluster = Some(setup::cluster(&line));
        }
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        cluster.quiet = quiet;
        match line.command {
            // Made above. With `leader=n1` that node is elected at once, without output.
            "cluster" => {
                if let Some(leader) = line.option("leader") {
                    cluster.quiet = true;
                    elect(cluster, host(leader));
                    cluster.take_output();
                }
            }
            _ => server_command(cluster, &line),
        }
        cluster.check();
        cluster.take_output()
    }
}

/// Commands for servers and their clients.
fn server_command(cluster: &mut Cluster, line: &CommandLine) {
    let hosts = line.hosts();
    match line.command {
        // start n1… [wiped]: starts servers, from their disk or, `wiped`, with a new, empty one.
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
        // preload n1 …: sets the state on the disk of a server that is down; see `setup::preload`.
        "preload" => {
            setup::preload(&mut cluster.server(hosts[0]).disk, line);
            cluster.checks.preloaded(&cluster.servers[&hosts[0]].disk);
        }
        // truncate n1 N: the disk of a server that is down loses the N newest entries, although they were durable.
        "truncate" => {
            let count = usize::try_from(line.count().expect("how many entries")).expect("64 bits");
            let entries = &mut cluster.server(hosts[0]).disk.entries;
            entries.truncate(entries.len() - count);
            cluster.checks.disk_lost = true;
        }
        // crash n1…: writes that wait are lost; messages in flight still arrive.
        "crash" => hosts.into_iter().for_each(|host| cluster.crash(host)),
        // tick [n1…] [N]: a tick, or N, for these servers or for all.
        "tick" => {
            let hosts = if hosts.is_empty() { cluster.hosts_up() } else { hosts };
            for _ in 0..line.count().unwrap_or(1) {
                hosts.iter().for_each(|host| cluster.tick(*host));
            }
        }
        // run N: N times a tick for all servers, and then the delivery of all messages that are due.
        "run" => {
            for _ in 0..line.count().expect("how many ticks") {
                cluster.network.now += 1;
                cluster.hosts_up().into_iter().for_each(|host| cluster.tick(host));
                cluster.connect();
                cluster.stabilize();
            }
        }
        // campaign n1: ticks for the others until none of them hears a leader, then for n1 until it campaigns.
        "campaign" => campaign(cluster, hosts[0]),
        // elect n1: `campaign n1`, then `stabilize`.
        "elect" => elect(cluster, hosts[0]),
        // hold|release persist|apply n1…: writes, or entries to apply, wait for a command; or no longer do.
        "hold" | "release" => hold(cluster, line),
        // persist n1 [N]: the N oldest writes that wait, or all, become durable.
        "persist" => {
            for _ in 0..line.count().unwrap_or(u64::MAX) {
                if !cluster.write_one(hosts[0]) {
                    break;
                }
                cluster.settle(hosts[0]);
            }
            cluster.settle(hosts[0]);
        }
        // fail persist n1: its writes fail from now on.
        "fail" => cluster.server(hosts[0]).disk.fails = true,
        // full|space n1: its disk is nearly full; or has space again.
        "full" | "space" => {
            let is_nearly_full = line.command == "full";
            cluster.server(hosts[0]).process().node.set_disk_nearly_full(is_nearly_full);
            cluster.settle(hosts[0]);
        }
        // apply n1 [N]: the N oldest committed entries that wait, or all, are applied.
        "apply" => {
            cluster.apply(hosts[0], usize::try_from(line.count().unwrap_or(u64::MAX)).expect("64 bits"));
            cluster.settle(hosts[0]);
        }
        // call n1 METHOD KEY [times=N] [deadline=TICKS]: calls a method of the tally.
        "call" => call(cluster, line),
        // read n1 [times=N] [deadline=TICKS]: linearizable reads.
        "read" => {
            let deadline = Ticks(line.number_option("deadline").unwrap_or(DEADLINE_TICKS));
            for _ in 0..line.number_option("times").unwrap_or(1) {
                let ticket = cluster.next_read();
                cluster.server(hosts[0]).process().node.read(ticket, deadline);
            }
            cluster.settle(hosts[0]);
        }
        // partition n1…: cuts the links between these servers and the others.
        "partition" => {
            for direction in cluster.network.directions() {
                if hosts.contains(&direction.from) != hosts.contains(&direction.to) {
                    cluster.cut(direction);
                }
            }
        }
        "status" | "log" | "disk" | "timers" | "counts" => show(cluster, line),
        _ => message_command(cluster, line),
    }
}

/// Commands for messages in flight. Without a direction, `from` or `to` they concern all.
fn message_command(cluster: &mut Cluster, line: &CommandLine) {
    let directions = line.directions(&cluster.network);
    let nth = line.number_option("nth").map(|nth| usize::try_from(nth).expect("64 bits") - 1);
    match line.command {
        // stabilize: delivers messages until only those of stalled and delayed links are in flight.
        "stabilize" => cluster.stabilize(),
        // deliver [n1->n2 | from=n1] [to=n2] [nth=N]: delivers the messages that are in flight now, or the Nth.
        "deliver" => {
            if let Some(position) = nth {
                return cluster.deliver(directions[0], position);
            }
            let count = |direction| cluster.network.get(direction).queue.len();
            let counts: Vec<usize> = directions.iter().copied().map(count).collect();
            for (direction, count) in directions.into_iter().zip(counts) {
                (0..count).for_each(|_| cluster.deliver(direction, 0));
            }
        }
        // drop [n1->n2 | from=n1] [to=n2]: the messages that are in flight now are lost.
        "drop" => {
            for direction in directions {
                for packet in std::mem::take(&mut cluster.network.get_mut(direction).queue) {
                    cluster.print_detail(format!("lost: {direction} {}", print::message(&packet.message)));
                }
            }
        }
        // copy|take n1->n2 [nth=1] as=NAME: sets a message aside; `copy` also leaves it in flight.
        "copy" | "take" => {
            let position = nth.unwrap_or(0);
            let queue = &mut cluster.network.get_mut(directions[0]).queue;
            let packet = queue.get(position).expect("there is a message at this position").clone();
            if line.command == "take" {
                queue.remove(position);
            }
            cluster.print_detail(format!("aside: {} {}", directions[0], print::message(&packet.message)));
            cluster.network.aside.insert(line.option("as").expect("as=NAME").to_owned(), packet);
        }
        // inject NAME: delivers a message that was set aside. It stays there.
        "inject" => {
            let packet = cluster.network.aside.get(line.arguments[0]).expect("a message with this name");
            cluster.receive(packet.clone());
        }
        // queue [n1->n2 | from=n1] [to=n2]: prints the messages in flight.
        "queue" => {
            for direction in directions {
                for packet in cluster.network.get(direction).queue.clone() {
                    cluster.print(format!("{direction} {}", print::message(&packet.message)));
                }
            }
        }
        _ => link_command(cluster, line),
    }
}

/// Commands for links: all, those of a server (`n1`), the two between two servers (`n1 n2`), or one direction (`n1->n2`).
fn link_command(cluster: &mut Cluster, line: &CommandLine) {
    // connect: servers that are up and not connected dial.
    if line.command == "connect" {
        return cluster.connect();
    }
    for direction in line.links(&cluster.network) {
        let link = cluster.network.get_mut(direction);
        match line.command {
            // cut [LINKS]: messages are lost.
            "cut" => cluster.cut(direction),
            // heal [LINKS]: the links work again, over new connections.
            "heal" => cluster.heal(direction),
            // stall|unstall [LINKS]: messages stay in flight, or no longer do.
            "stall" | "unstall" => link.stalled = line.command == "stall",
            // delay [LINKS] N: a message that is sent from now on takes N steps of `run`.
            "delay" => link.delay = line.count().expect("how many steps"),
            other => panic!("there is no command {other}"),
        }
    }
    if line.command == "heal" {
        cluster.connect();
    }
}

/// Commands that print the state of servers, `n1…` or all.
fn show(cluster: &mut Cluster, line: &CommandLine) {
    let hosts: Vec<Host> = match line.hosts() {
        hosts if hosts.is_empty() => cluster.servers.keys().copied().collect(),
        hosts => hosts,
    };
    for host in hosts {
        let server = cluster.server(host);
        let text = match line.command {
            // status [n1…]: see `print::status`.
            "status" => print::status(server),
            // log [n1…]: the log in memory, durable or not.
            "log" => format!("{host} {}", print::entries(&whole_log(&server.process().node))),
            // disk [n1…]: the durable state, and the writes that wait.
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
            // timers [n1…]: the ticks until the election timeout.
            "timers" => match server.process().node.raft() {
                Some(raft) if raft.is_leader() => format!("{host} leads"),
                Some(raft) => format!("{host} campaigns in {}", raft.election_in()),
                None => format!("{host} founds"),
            },
            // counts [n1…]: the state of the object.
            "counts" => format!("{host} {}", server.process().object.counts()),
            other => unreachable!("{other}"),
        };
        cluster.print(text);
    }
}

fn campaign(cluster: &mut Cluster, candidate: Host) {
    for host in cluster.hosts_up() {
        let hears_leader = |cluster: &mut Cluster| {
            let raft = cluster.server(host).process().node.raft();
            raft.is_some_and(|raft| !raft.is_leader() && raft.heard_from_leader())
        };
        while host != candidate && hears_leader(cluster) {
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
    campaign(cluster, candidate);
    cluster.stabilize();
}

fn hold(cluster: &mut Cluster, line: &CommandLine) {
    let held = line.command == "hold";
    for host in line.hosts() {
        match line.arguments[0] {
            "persist" => cluster.server(host).persist_held = held,
            "apply" => cluster.server(host).apply_held = held,
            other => panic!("{other} cannot be held"),
        }
        if !held {
            while line.arguments[0] == "persist" && cluster.write_one(host) {}
            if line.arguments[0] == "apply" {
                cluster.apply(host, usize::MAX);
            }
            cluster.settle(host);
        }
    }
}

fn call(cluster: &mut Cluster, line: &CommandLine) {
    let [_, method, key] = line.arguments[..] else { panic!("call SERVER METHOD KEY") };
    assert!(Tally::METHODS.iter().any(|known| known.name == method), "the object has no method {method}");
    let host = line.hosts()[0];
    let deadline = Ticks(line.number_option("deadline").unwrap_or(DEADLINE_TICKS));
    for _ in 0..line.number_option("times").unwrap_or(1) {
        let call = cluster.next_call();
        let key = arguments(key.parse().expect("a key is a number"));
        cluster.server(host).process().node.call(call, MethodId::of(method), key, deadline);
    }
    cluster.settle(host);
}
