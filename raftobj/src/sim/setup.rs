//! What a seed decides before the first event: how large the cluster is, how tight its limits are, and what goes
//! wrong how often.
//!
//! Faults are drawn as a swarm: each seed leaves about half of the kinds out altogether, because kinds that always
//! come together hide what each of them does alone. Limits are drawn small more often than not: a window of one
//! message or a file of a few entries reaches branches that a large one never does.

use super::event::Kind;
use super::random::Random;
use crate::calls::CallsConfig;
use crate::node::NodeConfig;
use crate::raft::types::Ticks;
use std::ops::RangeInclusive;

/// How a run is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) nodes: u8,
    pub(crate) clients: u8,
    pub(crate) limits: Limits,
    pub(crate) rates: Rates,
    /// What happens in the middle of its peace.
    pub(crate) trouble: Trouble,
}

/// See `trouble`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// A follower does not hear its leader for a while.
    DeafFollower,
    /// What a follower answers is lost for a while.
    MuteFollower,
    /// A leader goes away with calls on their way to it.
    LostLeader,
    /// A leader is cut off while another is elected.
    IsolatedLeader,
    /// Calls of a process that is gone arrive once more.
    LateCalls,
    /// A leader's answers to reads arrive once more.
    LateAnswers,
    /// Acknowledgements of a term that is over arrive at a leader that leads again.
    LateAcknowledgements,
}

/// Limits of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) heartbeat_ticks: u64,
    pub(crate) election_ticks_min: u64,
    pub(crate) election_ticks_max: u64,
    pub(crate) append_bytes_max: usize,
    pub(crate) window_messages_max: usize,
    pub(crate) window_bytes_max: usize,
    pub(crate) log_bytes_max: usize,
    pub(crate) apply_entries_max: u64,
    pub(crate) window_calls_max: u64,
    pub(crate) queue_calls_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) reply_bytes_max: usize,
    pub(crate) command_bytes_max: usize,
    /// How many calls a client has under way.
    pub(crate) client_calls_max: u64,
    pub(crate) deadline_ticks_max: u64,
}

/// How often each kind of event is drawn, by its weight among all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    weights: Vec<u32>,
    sum: u32,
}

/// What the seeds may draw.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) nodes: RangeInclusive<u8>,
    pub(crate) faults: bool,
}

/// The cluster sizes that seeds draw from: the usual ones more often.
const SIZES: [u8; 12] = [3, 3, 3, 3, 5, 5, 1, 2, 4, 3, 6, 7];

const TROUBLES: &[Trouble] = &[
    Trouble::None,
    Trouble::DeafFollower,
    Trouble::MuteFollower,
    Trouble::LostLeader,
    Trouble::IsolatedLeader,
    Trouble::LateCalls,
    Trouble::LateAnswers,
    Trouble::LateAcknowledgements,
];

/// No run fills a log of this size, nor makes a command of that.
const LOG_BYTES_LARGE: usize = 1 << 30;
const COMMAND_BYTES_LARGE: usize = 1 << 20;

impl Setup {
    /// What this seed decides.
    pub(crate) fn draw(seed: u64, bounds: &Bounds) -> Setup {
        let random = &mut Random::of(seed, 1);
        let size = *random.pick(&SIZES);
        let nodes = if bounds.nodes.contains(&size) {
            size
        } else {
            random.between((*bounds.nodes.start()).into(), (*bounds.nodes.end()).into()) as u8
        };
        let trouble = if bounds.faults { *random.pick(TROUBLES) } else { Trouble::None };
        let mut limits = Limits::draw(random);
        if random.one_in(8) {
            limits.log_bytes_max = random.between(500, 8_000) as usize;
        } else if trouble == Trouble::MuteFollower && random.one_in(2) {
            // Much that is here already comes again, to a log that is full.
            limits.log_bytes_max = random.between(4_000, 16_000) as usize;
            (limits.window_messages_max, limits.window_bytes_max) = (256, 16 << 20);
            (limits.window_calls_max, limits.queue_calls_max) = (8_192, 65_536);
            limits.append_bytes_max = 1 << 20;
        }
        Setup {
            seed,
            nodes,
            clients: random.between(1, 8) as u8,
            limits,
            rates: Rates::draw(random, bounds.faults),
            trouble,
        }
    }
}

impl Limits {
    fn draw(random: &mut Random) -> Limits {
        let heartbeat_ticks = random.between(1, 4);
        let election_ticks_min = 3 * heartbeat_ticks + random.below(6);
        Limits {
            heartbeat_ticks,
            election_ticks_min,
            election_ticks_max: election_ticks_min + random.between(1, 12),
            append_bytes_max: *random.pick(&[1, 100, 300, 1_000, 1 << 20]),
            window_messages_max: *random.pick(&[1, 2, 4, 256]),
            window_bytes_max: *random.pick(&[1, 200, 1_000, 16 << 20]),
            log_bytes_max: LOG_BYTES_LARGE,
            apply_entries_max: *random.pick(&[1, 3, 9, 65_536]),
            window_calls_max: *random.pick(&[1, 2, 4, 8, 8_192]),
            queue_calls_max: *random.pick(&[1, 4, 65_536]),
            segment_bytes: *random.pick(&[0, 0, 6_000, 16_000]),
            reply_bytes_max: *random.pick(&[4, 1 << 20, 1 << 20]),
            command_bytes_max: *random.pick(&[
                400,
                COMMAND_BYTES_LARGE,
                COMMAND_BYTES_LARGE,
                COMMAND_BYTES_LARGE,
            ]),
            client_calls_max: random.between(1, 6),
            deadline_ticks_max: *random.pick(&[20, 60, 150]),
        }
    }

    /// Whether a log may be full before the run ends. Nothing shortens it yet: from then on no call succeeds.
    pub(crate) fn has_small_log(&self) -> bool {
        self.log_bytes_max < LOG_BYTES_LARGE
    }

    /// Whether a call may be too large.
    pub(crate) fn has_small_commands(&self) -> bool {
        self.command_bytes_max < COMMAND_BYTES_LARGE
    }

    /// Sets them in a node's configuration.
    pub(crate) fn apply(&self, config: &mut NodeConfig) {
        let raft = &mut config.raft;
        raft.heartbeat_ticks = Ticks(self.heartbeat_ticks);
        raft.election_ticks_min = Ticks(self.election_ticks_min);
        raft.election_ticks_max = Ticks(self.election_ticks_max);
        raft.append_bytes_max = self.append_bytes_max;
        raft.window_messages_max = self.window_messages_max;
        raft.window_bytes_max = self.window_bytes_max;
        raft.log_bytes_max = self.log_bytes_max;
        raft.apply_entries_max = self.apply_entries_max;
        config.calls = CallsConfig {
            command_bytes_max: self.command_bytes_max,
            window_calls_max: self.window_calls_max,
            queue_calls_max: self.queue_calls_max,
            resend_ticks: self.election_ticks_max,
            ..CallsConfig::default()
        };
        config.gossip_ticks = Ticks(4 * self.heartbeat_ticks);
    }
}

impl Rates {
    fn draw(random: &mut Random, faults: bool) -> Rates {
        // A seed may be calm altogether, so that long logs and deep pipelines are seen too.
        let faults = faults && !random.one_in(10);
        let weights = Kind::ALL.iter().map(|kind| match kind {
            Kind::Tick => *random.pick(&[15, 30, 60]),
            Kind::Deliver => *random.pick(&[300, 600, 900]),
            Kind::Write => *random.pick(&[15, 60, 150, 300]),
            Kind::Apply => *random.pick(&[40, 100, 200]),
            Kind::Call => *random.pick(&[20, 60, 150]),
            Kind::Deadline => *random.pick(&[0, 2, 10]),
            Kind::Dial => *random.pick(&[20, 60]),
            Kind::Start => *random.pick(&[10, 40]),
            Kind::Idle => *random.pick(&[0, 5]),
            Kind::Prepare => *random.pick(&[0, 10]),
            _ if !faults || random.one_in(2) => 0,
            Kind::Overtake => *random.pick(&[4, 20, 80]),
            Kind::Drop | Kind::Repeat => *random.pick(&[2, 10, 40]),
            Kind::Break => *random.pick(&[1, 4]),
            // What ends a fault is drawn with it: see `Schedule`.
            Kind::Heal | Kind::Resume | Kind::Unhang | Kind::Free | Kind::Echo => 0,
            Kind::Shutdown => *random.pick(&[1, 3]),
            Kind::Crash => *random.pick(&[1, 4, 10]),
            Kind::Wipe | Kind::Diverge => 1,
            Kind::Flip => *random.pick(&[1, 8]),
            _ => *random.pick(&[1, 3, 8]),
        });
        Rates::of(weights.collect())
    }

    fn of(mut weights: Vec<u32>) -> Rates {
        let weight = |weights: &[u32], kind: Kind| weights[kind as usize];
        let cuts = [Kind::CutOneWay, Kind::Isolate, Kind::Split, Kind::Bridge, Kind::Ring];
        let cut: u32 = cuts.iter().map(|kind| weight(&weights, *kind)).sum();
        // A fault that nothing ended would be the last one of its kind in a run.
        for (end, begin) in [
            (Kind::Heal, cut),
            (Kind::Resume, 2 * weight(&weights, Kind::Pause)),
            (Kind::Unhang, 2 * weight(&weights, Kind::Hang)),
            (Kind::Free, 2 * weight(&weights, Kind::Fill)),
            (Kind::Echo, weight(&weights, Kind::Repeat) + 4 * weight(&weights, Kind::Crash)),
        ] {
            weights[end as usize] = begin;
        }
        let sum = weights.iter().sum();
        Rates { weights, sum }
    }

    /// A kind of event, by the weights.
    pub(crate) fn pick(&self, random: &mut Random) -> Kind {
        let mut left = random.below(self.sum.into()) as u32;
        for (kind, weight) in Kind::ALL.iter().zip(&self.weights) {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *kind,
            }
        }
        unreachable!("the weights sum up to {}", self.sum)
    }
}
