//! What goes wrong, and how it ends.

use super::World;
use super::server::{Durable, Loss, Server};
use crate::object::Object;
use crate::persistence::Write;
use crate::sim::schedule::event::Event;
use crate::sim::violation::hold;
use crate::storage::disk::sim::SimDisk;
use std::path::PathBuf;

impl<T: Object> World<T> {
    /// Lets something go wrong. Returns whether that changed anything: a disk that hangs cannot begin to hang.
    pub(crate) fn go_wrong(&mut self, event: Event) -> bool {
        let nodes = self.servers.len();
        let server = |number: u8| usize::from(number) % nodes;
        match event {
            Event::Break { from, to, lose } => {
                let (from, to) = (server(from), server(to));
                if !self.links.at(from, to).disconnect() {
                    return false;
                }
                if lose % 2 == 1 {
                    self.links.at(from, to).lose_all();
                }
                self.lose_connection(from, to);
                self.settle(from);
                true
            }
            Event::CutOneWay { from, to } => {
                let (from, to) = (server(from), server(to));
                from != to && self.links.at(from, to).cut()
            }
            Event::Isolate { server: at, way } => {
                let (at, way) = (server(at), 1 + way % 3);
                let cut = |from, to| (way & 1 != 0 && to == at) || (way & 2 != 0 && from == at);
                self.links.cut_where(cut)
            }
            Event::Split { side } => self.links.cut_where(|from, to| (side >> from ^ side >> to) & 1 == 1),
            Event::Bridge { server: at, side } => {
                let at = server(at);
                let apart = |from: usize, to: usize| (side >> from ^ side >> to) & 1 == 1;
                self.links.cut_where(|from, to| from != at && to != at && apart(from, to))
            }
            Event::Ring { turn } => {
                // The machines in a circle that begins elsewhere each time: who is whose neighbour differs.
                let step = 1 + usize::from(turn) % nodes;
                let place = |at: usize| (0..nodes).find(|k| k * step % nodes == at).unwrap_or(at);
                self.links.cut_where(|from, to| {
                    let distance = place(from).abs_diff(place(to));
                    distance != 1 && distance != nodes - 1
                })
            }
            Event::Heal {} => self.links.cut_where(|_, _| false),
            Event::Crash { server: at, calls, keep } => self.crash(server(at), calls, keep),
            Event::Pause { server: at } => self.set_paused(server(at), true),
            Event::Resume { server: at } => self.set_paused(server(at), false),
            Event::Rate { server: at, percent } => {
                changes(&mut self.servers[server(at)].percent, u64::from(percent).clamp(20, 250))
            }
            Event::Clock { server: at, seconds } => {
                let jump = i64::from(seconds % 128) * 1_000 * i64::from(1 + seconds % 61);
                let ahead = &mut self.servers[server(at)].clock_ahead_ms;
                let now = *ahead + if seconds < 128 { jump } else { -jump };
                changes(ahead, now)
            }
            Event::Hang { server: at } => changes(&mut self.servers[server(at)].hung, true),
            Event::Unhang { server: at } => changes(&mut self.servers[server(at)].hung, false),
            Event::FailDisk { server: at, calls, how } => {
                changes(&mut self.servers[server(at)].fails_next, Some((calls, how)))
            }
            Event::Fill { server: at } => self.set_full(server(at), true),
            Event::Free { server: at } => self.set_full(server(at), false),
            Event::Wipe { server: at } => self.wipe(server(at)),
            Event::Diverge { server: at } => self.let_diverge(server(at)),
            Event::Flip { server: at, file, high, low } => {
                self.flip(server(at), file.into(), u64::from(high) << 8 | u64::from(low))
            }
            _ => unreachable!("{event} is the ordinary course"),
        }
    }

    /// The power goes, or the process dies: at once, or while it writes.
    pub(super) fn crash(&mut self, at: usize, calls: u8, keep: u8) -> bool {
        let server = &mut self.servers[at];
        let Some(process) = &mut server.process else { return false };
        let writes: Vec<Write> = process.writes.drain(..).collect();
        let idle = server.hung || process.paused || process.disk_failed;
        let writes_now = calls > 0 && !writes.is_empty() && !idle;
        if writes_now {
            server.disk.power_off_at(server.disk.calls() + u64::from(calls - 1) % 12);
            // Done or not, nobody is told.
            let _ = server.write(writes);
        }
        // A disk in the middle of a call lost its power; it did not merely see its process die.
        self.process_ends(at, if writes_now { keep.max(1) } else { keep });
        true
    }

    fn set_paused(&mut self, at: usize, paused: bool) -> bool {
        match &mut self.servers[at].process {
            Some(process) => changes(&mut process.paused, paused),
            None => false,
        }
    }

    pub(crate) fn set_full(&mut self, at: usize, full: bool) -> bool {
        let server = &mut self.servers[at];
        server.disk.set_full(full);
        changes(&mut server.full, full)
    }

    /// The machine loses its disk, and gets an empty one.
    fn wipe(&mut self, at: usize) -> bool {
        if !self.atlas.may_lose(&self.servers, at) {
            return false;
        }
        self.process_ends(at, 0);
        let server = &mut self.servers[at];
        self.atlas.lose();
        server.lost = Some(Loss::Wiped);
        server.disks += 1;
        server.disk = SimDisk::new();
        server.forget();
        true
    }

    /// A bit flips on a disk whose machine is down, where the next start can tell it: damage to what nothing vouches for
    /// looks like a torn write, which is a limit that the README states.
    fn flip(&mut self, at: usize, file: usize, offset: u64) -> bool {
        if self.servers[at].process.is_some() || !self.atlas.may_lose(&self.servers, at) {
            return false;
        }
        let server = &mut self.servers[at];
        // What was not synced is on the disk from now on: a later loss of power must not take the damage away again.
        server.disk.cut_power(&mut |_| true);
        let files: Vec<(PathBuf, Vec<u8>)> =
            server.disk.snapshot().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
        let Some((path, bytes)) = files.get(file % files.len().max(1)) else { return false };
        // Behind the last byte that is not zero nothing was written.
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return false };
        let mut flipped = bytes.clone();
        let bit = offset * 7 % (8 * (last as u64 + 1));
        flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
        let read = |change: &dyn Fn(&SimDisk)| {
            let trial = server.disk.fork();
            trial.restart();
            trial.set_full(false);
            change(&trial);
            server.open(&trial, &self.setup).map(|opened| opened.persistent_state)
        };
        if read(&|_| {}).is_err() {
            return false;
        }
        if let Ok(found) = read(&|trial| trial.set_bytes(path, &flipped)) {
            hold!(
                server.may_be_cut_to(&found),
                "damage to what was vouched for is refused",
                "n{at} finds term {} and {} entries after bit {bit} of {} was flipped, written were term {} and {}",
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
        self.atlas.lose();
        true
    }

    /// Everything that can end ends; what is lost stays so.
    pub(crate) fn end_faults(&mut self) {
        self.links.cut_where(|_, _| false);
        for at in 0..self.servers.len() {
            self.set_paused(at, false);
            self.end_turn(at);
            self.set_full(at, false);
            let server = &mut self.servers[at];
            server.disk.clear_fault();
            server.hung = false;
            server.fails_next = None;
            server.percent = 100;
        }
        self.start_all();
    }

    /// Whoever is down and can starts.
    pub(super) fn start_all(&mut self) {
        for at in 0..self.servers.len() {
            if self.servers[at].process.is_none() && self.servers[at].lost != Some(Loss::Damaged) {
                self.start(at, None, 0);
            }
        }
    }
}

/// Sets a value. Returns whether it was another one.
fn changes<V: PartialEq>(value: &mut V, to: V) -> bool {
    let changed = *value != to;
    *value = to;
    changed
}

impl<T: Object> Server<T> {
    /// Nothing of what was written is there any more.
    fn forget(&mut self) {
        self.forgotten = Some(std::mem::take(&mut self.durable));
        self.before = (Durable::default(), Vec::new());
        self.node = None;
        self.undecided.clear();
        self.undecided_founding = None;
        (self.hung, self.full, self.fails_next) = (false, false, None);
    }
}
