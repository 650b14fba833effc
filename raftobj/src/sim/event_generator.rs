//! Draws events from a seed.
//!
//! The kind is drawn by the seed's rates; where and how is drawn so that it matters: messages from links that carry
//! some, writes from disks that have some, faults around the leader more often than around others.

use super::client::{Operation, What};
use super::random::Random;
use super::schedule::event::{Event, Kind};
use super::world::World;
use super::world::server::{Process, Server};
use crate::object::Object;

/// A source of events.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    random: Random,
}

/// So often another kind is drawn where nothing of one would do anything.
const TRIES_MAX: usize = 8;

impl Schedule {
    pub(crate) fn of(seed: u64) -> Schedule {
        Schedule { random: Random::of(seed, 2) }
    }

    /// The next event.
    pub(crate) fn next<T: Object>(&mut self, world: &World<T>) -> Event {
        (0..TRIES_MAX).find_map(|_| self.draw(world)).unwrap_or(Event::Tick {})
    }

    /// An event of a drawn kind, if one of it would do anything now.
    fn draw<T: Object>(&mut self, world: &World<T>) -> Option<Event> {
        let random = &mut self.random;
        let kind = world.setup.rates.pick(world.step, random);
        let [byte, small, keep, ..] = random.next_u64().to_le_bytes();
        let mut server = random.below(world.servers.len() as u64) as u8;
        if kind.is_fault() && random.one_in(2) {
            // What happens to a leader matters most.
            server = world.leader().unwrap_or(server);
        }
        Some(match kind {
            Kind::Deliver | Kind::Overtake | Kind::Drop | Kind::Repeat => {
                let (from, to) = link(random, || world.links.busy())?;
                match kind {
                    Kind::Deliver => Event::Deliver { from, to, count: 1 + small % 4 },
                    Kind::Overtake => Event::Overtake { from, to, nth: 1 + byte % 8 },
                    Kind::Drop => Event::Drop { from, to, nth: byte % 8 },
                    _ => Event::Repeat { from, to, nth: byte % 8 },
                }
            }
            Kind::Echo => {
                // Most that can be told too late is told to a leader.
                let leader = world.leader().filter(|_| random.one_in(2)).map(usize::from);
                let matters = |to: usize| leader.is_none_or(|leader| leader == to);
                let (from, to) = link(random, || world.links.echoing().filter(|(_, to)| matters(*to)))?;
                Event::Echo { from, to }
            }
            Kind::Deadline => {
                let last = world.operations.iter().rev().take(usize::from(u8::MAX));
                let waits = |operation: &Operation<T>| {
                    operation.ended.is_none() && matches!(operation.what, What::Call { .. })
                };
                let waiting = last.enumerate().filter(|(_, operation)| waits(operation));
                let back = waiting.map(|(back, _)| back as u8).nth(usize::from(small % 4))?;
                Event::Deadline { back, ticks: keep }
            }
            // Extremes matter more than what is between them.
            Kind::Rate => Event::Rate { server, percent: *random.pick(&[0, 50, 100, 100, 150, 250]) },
            Kind::Dial => match link(random, || world.links.unconnected()) {
                Some((from, to)) => Event::Dial { from, to },
                // A connection that its owner takes for alive may lead to a process that is gone.
                None => Event::Dial { from: server, to: byte },
            },
            Kind::Write => {
                let waits = |server: &Server<T>| !server.hung && has(server, |it| !it.writes.is_empty());
                Event::Write { server: choose(random, world, waits)?, count: 1 + small % 8 }
            }
            Kind::Apply => {
                let waits = |server: &Server<T>| has(server, |it| !it.committed.is_empty());
                Event::Apply { server: choose(random, world, waits)?, count: 1 + small % 4 }
            }
            Kind::Gather => {
                Event::Gather { server: choose(random, world, |server| has(server, |it| !it.gathers))? }
            }
            Kind::Turn => Event::Turn {
                server: choose(random, world, |server| has(server, |it| it.gathers && !it.paused))?,
            },
            Kind::Start => {
                let server = choose(random, world, |server| server.process.is_none())?;
                Event::Start { server, calls: if small % 4 == 0 { byte % 40 } else { 0 }, keep }
            }
            Kind::Shutdown => Event::Shutdown { server, keep },
            Kind::Crash => Event::Crash { server, calls: byte % 14, keep },
            Kind::Flip => {
                let server = choose(random, world, |server| server.process.is_none())?;
                Event::Flip { server, file: byte, high: small, low: keep }
            }
            Kind::Clock if small % 4 > 0 => Event::Clock { server, seconds: byte % 2 },
            Kind::Resume => {
                let server = choose(random, world, |server| has(server, |it| it.paused))?;
                Event::Resume { server }
            }
            Kind::Heal if !world.links.any_cut() => return None,
            Kind::Unhang => Event::Unhang { server: choose(random, world, |server| server.hung)? },
            Kind::Free => Event::Free { server: choose(random, world, |server| server.full)? },
            _ => Event::from_bytes(kind, [server, byte, small, keep]),
        })
    }
}

/// One of the machines that are fit.
fn choose<T: Object>(random: &mut Random, world: &World<T>, fits: impl Fn(&Server<T>) -> bool) -> Option<u8> {
    let fit = || world.servers.iter().filter(|server| fits(server));
    let count = fit().count() as u64;
    if count == 0 {
        return None;
    }
    fit().nth(random.below(count) as usize).map(|server| server.number as u8)
}

fn has<T: Object>(server: &Server<T>, fits: impl Fn(&Process<T>) -> bool) -> bool {
    server.process.as_ref().is_some_and(fits)
}

/// One of the links.
fn link<I: Iterator<Item = (usize, usize)>>(random: &mut Random, links: impl Fn() -> I) -> Option<(u8, u8)> {
    let count = links().count() as u64;
    if count == 0 {
        return None;
    }
    let (from, to) = links().nth(random.below(count) as usize)?;
    Some((from as u8, to as u8))
}
