//! Draws events from a seed.
//!
//! The kind of an event is drawn by the seed's rates. Its fields are drawn so that the event has an effect: messages from
//! links that carry some, writes from disks that have some waiting, faults more often at the leader than elsewhere.

use super::operation::{Operation, Request};
use super::random::Random;
use super::schedule::event::{Event, Kind};
use super::world::World;
use super::world::server::{Process, Server};
use crate::object::Object;

/// Draws the events of a run.
#[derive(Clone, Debug)]
pub(crate) struct EventGenerator {
    random: Random,
}

/// How many kinds are drawn until one can have an effect.
const DRAWS_MAX: usize = 8;

impl EventGenerator {
    pub(crate) fn new(seed: u64) -> EventGenerator {
        EventGenerator { random: Random::of(seed, 2) }
    }

    /// The next event.
    pub(crate) fn next<T: Object>(&mut self, world: &World<T>) -> Event {
        (0..DRAWS_MAX).find_map(|_| self.draw(world)).unwrap_or(Event::Tick {})
    }

    /// An event of a drawn kind, if that kind can have an effect now.
    fn draw<T: Object>(&mut self, world: &World<T>) -> Option<Event> {
        let random = &mut self.random;
        let kind = world.setup.rates.pick(world.step, random);
        let [byte, small, keep, ..] = random.next_u64().to_le_bytes();
        let mut server = random.below(world.servers.len() as u64) as u8;
        if kind.is_fault() && random.one_in(2) {
            // Faults of the leader matter most.
            server = world.leader().unwrap_or(server);
        }
        Some(match kind {
            Kind::Deliver | Kind::Overtake | Kind::Drop | Kind::Repeat => {
                let (from, to) = link(random, || world.network.busy())?;
                match kind {
                    Kind::Deliver => Event::Deliver { from, to, count: 1 + small % 4 },
                    Kind::Overtake => Event::Overtake { from, to, nth: 1 + byte % 8 },
                    Kind::Drop => Event::Drop { from, to, nth: byte % 8 },
                    _ => Event::Repeat { from, to, nth: byte % 8 },
                }
            }
            Kind::Echo => {
                // Most messages that can do harm when they are late are sent to a leader.
                let leader = world.leader().filter(|_| random.one_in(2)).map(usize::from);
                let matters = |to: usize| leader.is_none_or(|leader| leader == to);
                let (from, to) = link(random, || world.network.echoing().filter(|(_, to)| matters(*to)))?;
                Event::Echo { from, to }
            }
            Kind::Deadline => {
                let last = world.operations.iter().rev().take(usize::from(u8::MAX));
                let waits = |operation: &Operation<T>| {
                    operation.ended.is_none() && matches!(operation.request, Request::Call { .. })
                };
                let waiting = last.enumerate().filter(|(_, operation)| waits(operation));
                let back = waiting.map(|(back, _)| back as u8).nth(usize::from(small % 4))?;
                Event::Deadline { back, ticks: keep }
            }
            // Extremes matter more than the values between them.
            Kind::Rate => Event::Rate { server, percent: *random.pick(&[0, 50, 100, 100, 150, 250]) },
            Kind::Dial => match link(random, || world.network.unconnected()) {
                Some((from, to)) => Event::Dial { from, to },
                // Its owner may take a connection for alive whose other end is a process that has ended.
                None => Event::Dial { from: server, to: byte },
            },
            Kind::Write => {
                let waits = |server: &Server<T>| !server.hung && process(server, |it| !it.writes.is_empty());
                Event::Write { server: choose(random, world, waits)?, count: 1 + small % 8 }
            }
            Kind::Apply => {
                let waits = |server: &Server<T>| process(server, |it| !it.committed.is_empty());
                Event::Apply { server: choose(random, world, waits)?, count: 1 + small % 4 }
            }
            Kind::Gather => {
                Event::Gather { server: choose(random, world, |server| process(server, |it| !it.in_turn))? }
            }
            Kind::Turn => Event::Turn {
                server: choose(random, world, |server| process(server, |it| it.in_turn && !it.paused))?,
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
                let server = choose(random, world, |server| process(server, |it| it.paused))?;
                Event::Resume { server }
            }
            Kind::Heal if !world.network.any_cut() => return None,
            Kind::Unhang => Event::Unhang { server: choose(random, world, |server| server.hung)? },
            Kind::Free => Event::Free { server: choose(random, world, |server| server.full)? },
            _ => Event::from_bytes(kind, [server, byte, small, keep]),
        })
    }
}

/// Draws one of the machines for which `fits` is true.
fn choose<T: Object>(random: &mut Random, world: &World<T>, fits: impl Fn(&Server<T>) -> bool) -> Option<u8> {
    let fit = || world.servers.iter().filter(|server| fits(server));
    let count = fit().count() as u64;
    if count == 0 {
        return None;
    }
    fit().nth(random.below(count) as usize).map(|server| server.number as u8)
}

/// Whether a machine has a process for which `fits` is true.
fn process<T: Object>(server: &Server<T>, fits: impl Fn(&Process<T>) -> bool) -> bool {
    server.process.as_ref().is_some_and(fits)
}

/// Draws one of the links.
fn link<I: Iterator<Item = (usize, usize)>>(random: &mut Random, links: impl Fn() -> I) -> Option<(u8, u8)> {
    let count = links().count() as u64;
    if count == 0 {
        return None;
    }
    let (from, to) = links().nth(random.below(count) as usize)?;
    Some((from as u8, to as u8))
}
