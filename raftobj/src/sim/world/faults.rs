//! Faults, and how they end.

use super::World;
use super::server::{Loss, Server};
use crate::object::Object;
use crate::persistence::Write;
use crate::sim::oracle::chain::Durable;
use crate::sim::oracle::replicas::Divergence;
use crate::sim::schedule::event::Event;
use crate::sim::violation::ensure;
use crate::storage::disk::sim::SimDisk;
use std::path::PathBuf;

impl<T: Object> World<T> {
    /// Injects or ends a fault. Returns whether that had an effect: a disk that hangs cannot begin to hang.
    pub(crate) fn inject_fault(&mut self, event: Event) -> bool {
        let nodes = self.servers.len();
        let server = |number: u8| usize::from(number) % nodes;
        match event {
            Event::Break { from, to, lose } => {
                let (from, to) = (server(from), server(to));
                if !self.network.at(from, to).disconnect() {
                    return false;
                }
                if lose % 2 == 1 {
                    self.network.at(from, to).lose_all();
                }
                self.report_disconnect(from, to);
                self.handle_effects(from);
                true
            }
            Event::CutOneWay { from, to } => {
                let (from, to) = (server(from), server(to));
                from != to && self.network.at(from, to).cut()
            }
            Event::Isolate { server: at, way } => {
                let (at, way) = (server(at), 1 + way % 3);
                let cut = |from, to| (way & 1 != 0 && to == at) || (way & 2 != 0 && from == at);
                self.network.cut_where(cut)
            }
            Event::Split { side } => self.network.cut_where(|from, to| (side >> from ^ side >> to) & 1 == 1),
            Event::Bridge { server: at, side } => {
                let at = server(at);
                let apart = |from: usize, to: usize| (side >> from ^ side >> to) & 1 == 1;
                self.network.cut_where(|from, to| from != at && to != at && apart(from, to))
            }
            Event::Ring { turn } => {
                // The machines form a ring; `turn` decides who is whose neighbour.
                let step = 1 + usize::from(turn) % nodes;
                let place = |at: usize| (0..nodes).find(|k| k * step % nodes == at).unwrap_or(at);
                self.network.cut_where(|from, to| {
                    let distance = place(from).abs_diff(place(to));
                    distance != 1 && distance != nodes - 1
                })
            }
            Event::Heal {} => self.network.cut_where(|_, _| false),
            Event::Crash { server: at, calls, keep } => self.crash(server(at), calls, keep),
            Event::Pause { server: at } => self.set_paused(server(at), true),
            Event::Resume { server: at } => self.set_paused(server(at), false),
            Event::Rate { server: at, percent } => {
                set(&mut self.servers[server(at)].rate_percent, u64::from(percent).clamp(20, 250))
            }
            Event::Clock { server: at, seconds } => {
                let jump = i64::from(seconds % 128) * 1_000 * i64::from(1 + seconds % 61);
                let ahead = &mut self.servers[server(at)].clock_ahead_ms;
                let now = *ahead + if seconds < 128 { jump } else { -jump };
                set(ahead, now)
            }
            Event::Hang { server: at } => set(&mut self.servers[server(at)].hung, true),
            Event::Unhang { server: at } => set(&mut self.servers[server(at)].hung, false),
            Event::FailDisk { server: at, calls, how } => {
                set(&mut self.servers[server(at)].next_fault, Some((calls, how)))
            }
            Event::Fill { server: at } => self.set_full(server(at), true),
            Event::Free { server: at } => self.set_full(server(at), false),
            Event::Wipe { server: at } => self.wipe(server(at)),
            Event::Diverge { server: at } => self.diverge(server(at)),
            Event::Flip { server: at, file, high, low } => {
                self.flip(server(at), file.into(), u64::from(high) << 8 | u64::from(low))
            }
            _ => unreachable!("{event} is not a fault"),
        }
    }

    /// A machine loses power, or its process dies: at once, or during a write.
    pub(super) fn crash(&mut self, at: usize, calls: u8, keep: u8) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        let writes: Vec<Write> = process.writes.drain(..).collect();
        let stuck = server.hung || process.paused || process.disk_failed;
        let writes_now = calls > 0 && !writes.is_empty() && !stuck;
        if writes_now {
            server.disk.power_off_at(server.disk.calls() + u64::from(calls - 1) % 12);
            // Whether it succeeded is reported to nobody.
            let _ = server.write(writes);
        }
        // A disk in the middle of a call lost power: that is not the death of a process alone.
        self.end_process(at, if writes_now { keep.max(1) } else { keep });
        true
    }

    fn set_paused(&mut self, at: usize, paused: bool) -> bool {
        match &mut self.servers[at].process {
            Some(process) => set(&mut process.paused, paused),
            None => false,
        }
    }

    pub(crate) fn set_full(&mut self, at: usize, full: bool) -> bool {
        let server = &mut self.servers[at];
        server.disk.set_full(full);
        set(&mut server.full, full)
    }

    /// A machine loses its disk, and gets an empty one. The disk is lost to the cluster, unless no node has proposed it yet.
    fn wipe(&mut self, at: usize) -> bool {
        let replaceable = !self.servers.iter().any(Server::has_proposed);
        if !replaceable && !self.fault_budget.can_lose_disk(&self.servers, at) {
            return false;
        }
        self.end_process(at, 0);
        if replaceable {
            // A peer whose connection has not ended yet would propose the lost disk, which is a limit of the founding.
            self.break_links_to(at);
        }
        let server = &mut self.servers[at];
        server.disk_number += 1;
        server.disk = SimDisk::new();
        server.lose_durable();
        if replaceable {
            server.lost_durable = None;
        } else {
            server.lost = Some(Loss::Wiped);
            self.fault_budget.record_lost_disk();
        }
        true
    }

    fn break_links_to(&mut self, at: usize) {
        for from in 0..self.servers.len() {
            if self.network.at(from, at).disconnect() {
                self.report_disconnect(from, at);
                self.handle_effects(from);
            }
        }
    }

    /// A machine's replica diverges at its next call.
    pub(super) fn diverge(&mut self, at: usize) -> bool {
        if !self.fault_budget.can_diverge(&self.servers, at) {
            return false;
        }
        self.fault_budget.record_divergence(at);
        let process = self.servers[at].process.as_mut();
        process.map(|process| process.divergence = Some(Divergence::Pending)).is_some()
    }

    /// A bit flips on the disk of a machine that is down, where the next start detects it. Damage that looks like a torn
    /// write is not injected: the README states that limit.
    fn flip(&mut self, at: usize, file: usize, offset: u64) -> bool {
        if self.servers[at].process.is_some() || !self.fault_budget.can_lose_disk(&self.servers, at) {
            return false;
        }
        let server = &mut self.servers[at];
        // What was not synced becomes durable: a later loss of power must not undo the damage.
        server.disk.cut_power(&mut |_| true);
        let files: Vec<(PathBuf, Vec<u8>)> =
            server.disk.snapshot().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
        let Some((path, bytes)) = files.get(file % files.len().max(1)) else { return false };
        // After the last byte that is not zero nothing was written.
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return false };
        let mut flipped = bytes.clone();
        let bit = offset * 7 % (8 * (last as u64 + 1));
        flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
        let recover = |change: &dyn Fn(&SimDisk)| {
            let trial = server.disk.fork();
            trial.restart();
            trial.set_full(false);
            change(&trial);
            server.open(&trial, &self.setup).map(|opened| opened.persistent_state)
        };
        if recover(&|_| {}).is_err() {
            return false;
        }
        if let Ok(found) = recover(&|trial| trial.set_bytes(path, &flipped)) {
            ensure!(
                server.could_recover(&found),
                "damage that is not a torn write is refused",
                "n{at} recovers term {} and {} entries after bit {bit} of {} was flipped; term {} and {} entries were durable",
                found.hard_state.term,
                found.entries.len(),
                path.display(),
                server.durable.hard_state.term,
                server.durable.log.len()
            );
            return false;
        }
        server.disk.set_bytes(path, &flipped);
        server.lost = Some(Loss::Damaged);
        self.fault_budget.record_lost_disk();
        true
    }

    /// Ends all faults; lost disks stay lost.
    pub(crate) fn end_faults(&mut self) {
        self.network.cut_where(|_, _| false);
        for at in 0..self.servers.len() {
            self.set_paused(at, false);
            self.end_turn(at);
            self.set_full(at, false);
            let server = &mut self.servers[at];
            server.disk.clear_fault();
            server.hung = false;
            server.next_fault = None;
            server.rate_percent = 100;
        }
        self.start_all();
    }

    /// Starts every machine that is down, unless its disk is damaged.
    pub(super) fn start_all(&mut self) {
        for at in 0..self.servers.len() {
            if self.servers[at].process.is_none() && self.servers[at].lost != Some(Loss::Damaged) {
                self.start(at, None, 0);
            }
        }
    }
}

/// Sets a value. Returns whether that changed it.
fn set<V: PartialEq>(value: &mut V, to: V) -> bool {
    let changed = *value != to;
    *value = to;
    changed
}

impl<T: Object> Server<T> {
    /// Whether its disk has a proposed membership, or may soon have one.
    fn has_proposed(&self) -> bool {
        let proposes = self.process.as_ref().is_some_and(|process| process.node.has_proposed());
        proposes || self.durable.proposed || self.unconfirmed_founding.is_some()
    }

    /// The new disk has nothing of what was written.
    fn lose_durable(&mut self) {
        self.lost_durable = Some(std::mem::take(&mut self.durable));
        self.before_last_write = (Durable::default(), Vec::new());
        self.node = None;
        self.unconfirmed.clear();
        self.unconfirmed_founding = None;
        (self.hung, self.full, self.next_fault) = (false, false, None);
    }
}
