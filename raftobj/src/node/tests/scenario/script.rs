//! The command language: a command a line, its words separated by blanks. `n1` is a node, `n1->n2` a direction,
//! `key=value` an option; what is in brackets may be left out.

use super::cluster::Cluster;
use super::disk::Write;
use super::links::{Host, Parcel, Way};
use super::print;
use super::setup;
use super::words::{Words, host};
use crate::codec::method::MethodId;
use crate::object::Object;
use crate::object::fixture::arguments;
use crate::raft::Persist;
use crate::raft::types::Ticks;
use std::collections::BTreeMap;

/// A scenario that runs.
pub(super) struct Script {
    cluster: Option<Cluster>,
    /// Messages put aside, by the name that the script gives them.
    aside: BTreeMap<String, (Way, Parcel)>,
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
        let words = Words::new(line);
        if words.command == "cluster" {
            assert!(self.cluster.is_none(), "a scenario has one cluster");
            self.cluster = Some(setup::cluster(&words));
        }
        let cluster = self.cluster.as_mut().expect("a scenario begins with `cluster`");
        cluster.quiet = quiet;
        match words.command {
            // Made above. With `leader=n1` that node is elected at once, and nothing is told of it.
            "cluster" => {
                if let Some(leader) = words.value("leader") {
                    cluster.quiet = true;
                    elect(cluster, host(leader));
                    cluster.take_told();
                }
            }
            // `deliver|drop|copy|take|inject`, see each.
            "deliver" | "drop" | "copy" | "take" | "inject" => self.message_command(&words),
            _ => command(cluster, &words),
        }
        let cluster = self.cluster.as_mut().expect("made above");
        cluster.check();
        cluster.take_told()
    }

    fn message_command(&mut self, words: &Words) {
        let cluster = self.cluster.as_mut().expect("checked by the caller");
        match words.command {
            // deliver [n1->n2 | from=n1] [to=n2] [nth=N]: what is on its way now, or the one message at that place.
            "deliver" => {
                let ways = words.ways(&cluster.links);
                match words.number("nth") {
                    Some(nth) => cluster.deliver(ways[0], usize::try_from(nth).expect("small") - 1),
                    None => {
                        let now: Vec<usize> =
                            ways.iter().map(|way| cluster.links.get(*way).queue.len()).collect();
                        for (way, count) in ways.into_iter().zip(now) {
                            (0..count).for_each(|_| cluster.deliver(way, 0));
                        }
                    }
                }
            }
            // drop [n1->n2 | from=n1] [to=n2]: what is on its way now is lost.
            "drop" => {
                for way in words.ways(&cluster.links) {
                    for parcel in std::mem::take(&mut cluster.links.get_mut(way).queue) {
                        let message = print::message(&parcel.message);
                        cluster.tell_detail(format!("lost: {}→{} {message}", way.0, way.1));
                    }
                }
            }
            // copy|take n1->n2 [nth=1] as=NAME: puts a message aside, and leaves or removes it.
            "copy" | "take" => {
                let way = words.ways(&cluster.links)[0];
                let position = usize::try_from(words.number("nth").unwrap_or(1)).expect("small") - 1;
                let queue = &mut cluster.links.get_mut(way).queue;
                let parcel = queue.get(position).expect("no message at that place").clone();
                if words.command == "take" {
                    queue.remove(position);
                }
                let message = print::message(&parcel.message);
                cluster.tell_detail(format!("aside: {}→{} {message}", way.0, way.1));
                self.aside.insert(words.value("as").expect("as=NAME").to_owned(), (way, parcel));
            }
            // inject NAME: what was put aside arrives.
            "inject" => {
                let (way, parcel) = self.aside.get(words.plain[0]).expect("nothing of that name").clone();
                cluster.hand_over(way, parcel);
            }
            other => unreachable!("{other}"),
        }
    }
}

fn command(cluster: &mut Cluster, words: &Words) {
    let hosts = words.hosts();
    match words.command {
        // start n1… [wiped]: starts nodes, with what their disk remembers or with another, empty one.
        "start" => {
            for host in hosts {
                if words.has("wiped") {
                    let member = cluster.member(host);
                    member.disk = setup::new_disk(&member.disk);
                    cluster.checks.disk_lost = true;
                }
                cluster.start(host);
            }
        }
        // remember n1 …: what the disk of a node that is down has; see `setup::remember`.
        "remember" => {
            let disk = &mut cluster.members.get_mut(&hosts[0]).expect("a node").disk;
            setup::remember(disk, words);
            cluster.checks.remembered(disk);
        }
        // lose n1 N: the disk of a node that is down forgets the N newest entries, although they were durable.
        "lose" => {
            let count = usize::try_from(words.count().expect("how many entries")).expect("64 bits");
            let entries = &mut cluster.members.get_mut(&hosts[0]).expect("a node").disk.entries;
            entries.truncate(entries.len() - count);
            cluster.checks.disk_lost = true;
        }
        // crash n1…: what was not written is lost, what was sent still arrives.
        "crash" => hosts.into_iter().for_each(|host| cluster.crash(host)),
        // tick [n1…] [N]: time passes there, or for all.
        "tick" => {
            let hosts = if hosts.is_empty() { cluster.running() } else { hosts };
            for _ in 0..words.count().unwrap_or(1) {
                hosts.iter().for_each(|host| cluster.tick(*host));
            }
        }
        // run N: N times a tick for all and the delivery of all that is on its way and due.
        "run" => {
            for _ in 0..words.count().expect("how many ticks") {
                cluster.links.now += 1;
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
        // queue [n1->n2 | from=n1] [to=n2]: what is on its way.
        "queue" => {
            for way in words.ways(&cluster.links) {
                let parcels = cluster.links.get(way).queue.iter();
                let parcels: Vec<String> = parcels.map(|parcel| print::message(&parcel.message)).collect();
                parcels.into_iter().for_each(|text| cluster.tell(format!("{}→{} {text}", way.0, way.1)));
            }
        }
        // cut|heal|stall|flow [n1 | n1 n2 | n1->n2]: all of a node's links, a pair's two, or one direction; without
        // names all. A stalled link keeps what is sent over it, a cut one loses it; a healed one is connected anew.
        "cut" => words.links(&cluster.links).into_iter().for_each(|way| cluster.cut(way)),
        "heal" => {
            words.links(&cluster.links).into_iter().for_each(|way| cluster.heal(way));
            cluster.connect();
        }
        "stall" => {
            words.links(&cluster.links).into_iter().for_each(|way| cluster.links.get_mut(way).stalled = true)
        }
        "flow" => {
            words.links(&cluster.links).into_iter().for_each(|way| cluster.links.get_mut(way).stalled = false)
        }
        // delay [n1 | n1 n2 | n1->n2] N: what is sent from now on takes N steps of `run`.
        "delay" => {
            let ticks = words.count().expect("how many ticks");
            words.links(&cluster.links).into_iter().for_each(|way| cluster.links.get_mut(way).delay = ticks);
        }
        // split n1…: these are cut from the others.
        "split" => {
            let across = |way: &Way| hosts.contains(&way.0) != hosts.contains(&way.1);
            cluster.links.ways().into_iter().filter(across).for_each(|way| cluster.cut(way));
        }
        // connect: whoever runs and is not connected tries again.
        "connect" => cluster.connect(),
        // hold|release persist|apply n1…: writes, or entries to apply, wait for a command; or they no longer do.
        "hold" | "release" => hold(cluster, words),
        // persist n1 [N]: the oldest writes that wait, or all, are done.
        "persist" => {
            for _ in 0..words.count().unwrap_or(u64::MAX) {
                if !cluster.write_one(hosts[0]) {
                    break;
                }
                cluster.settle(hosts[0]);
            }
            cluster.settle(hosts[0]);
        }
        // apply n1 [N]: the oldest committed entries that wait, or all, are applied.
        "apply" => {
            cluster.apply(hosts[0], usize::try_from(words.count().unwrap_or(u64::MAX)).expect("64 bits"));
            cluster.settle(hosts[0]);
        }
        // fail n1: from now on its disk fails.
        "fail" => cluster.member(hosts[0]).disk.failing = true,
        // call n1 METHOD KEY [times=N] [deadline=TICKS]
        "call" => call(cluster, words),
        // read n1 [times=N] [deadline=TICKS]: linearizable reads.
        "read" => {
            let deadline = Ticks(words.number("deadline").unwrap_or(DEADLINE));
            for _ in 0..words.number("times").unwrap_or(1) {
                let ticket = cluster.next_read();
                cluster.member(hosts[0]).life().node.read(ticket, deadline);
            }
            cluster.settle(hosts[0]);
        }
        _ => show(cluster, words),
    }
}

/// Commands that only look.
fn show(cluster: &mut Cluster, words: &Words) {
    let hosts: Vec<Host> = match words.hosts() {
        hosts if hosts.is_empty() => cluster.members.keys().copied().collect(),
        hosts => hosts,
    };
    for host in hosts {
        let member = cluster.member(host);
        let line = match words.command {
            "status" => print::status(member),
            // log [n1…]: with what is only in memory.
            "log" => format!("{host} {}", print::entries(&member.life().node.log(usize::MAX))),
            // disk [n1…]: what would survive a crash, and what waits to be written.
            "disk" => {
                let mut line = format!("{host} {}", print::hard_state(member.disk.hard_state));
                line += &format!(" {}", print::entries(&member.disk.entries));
                for write in member.disk.unwritten() {
                    line += &format!(" waits: {}", print::write(write));
                    if let Write::Persist(Persist { id, .. }) = write {
                        line += &format!(" (#{})", id.0);
                    }
                }
                line
            }
            // timers [n1…]: when each campaigns unless it hears something.
            "timers" => match member.life().node.raft() {
                Some(raft) if raft.is_leader() => format!("{host} leads"),
                Some(raft) => format!("{host} campaigns in {}", raft.election_in()),
                None => format!("{host} founds"),
            },
            // counts [n1…]: the object.
            "counts" => format!("{host} {}", member.life().object.counts()),
            other => panic!("there is no command {other}"),
        };
        cluster.tell(line);
    }
}

fn election(cluster: &mut Cluster, candidate: Host) {
    for host in cluster.running() {
        let is_led = |cluster: &mut Cluster| {
            let raft = cluster.member(host).life().node.raft();
            raft.is_some_and(|raft| !raft.is_leader() && raft.heard_from_leader())
        };
        while host != candidate && is_led(cluster) {
            cluster.tick(host);
        }
    }
    let campaigns = |cluster: &mut Cluster| {
        let raft = cluster.member(candidate).life().node.raft();
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

fn hold(cluster: &mut Cluster, words: &Words) {
    let held = words.command == "hold";
    for host in words.hosts() {
        match words.plain[0] {
            "persist" => cluster.member(host).persist_held = held,
            "apply" => cluster.member(host).apply_held = held,
            other => panic!("{other} cannot be held"),
        }
        if !held {
            while words.plain[0] == "persist" && cluster.write_one(host) {}
            if words.plain[0] == "apply" {
                cluster.apply(host, usize::MAX);
            }
            cluster.settle(host);
        }
    }
}

fn call(cluster: &mut Cluster, words: &Words) {
    let [_, method, key] = words.plain[..] else { panic!("call NODE METHOD KEY") };
    let known = crate::object::fixture::Tally::METHODS.iter().any(|known| known.name == method);
    assert!(known, "the object has no method {method}");
    let host = words.hosts()[0];
    let deadline = Ticks(words.number("deadline").unwrap_or(DEADLINE));
    for _ in 0..words.number("times").unwrap_or(1) {
        let call = cluster.next_call();
        let key = arguments(key.parse().expect("keys are numbers"));
        cluster.member(host).life().node.call(call, MethodId::of(method), key, deadline);
    }
    cluster.settle(host);
}
