//! What a seed decides before the first event: the size of the cluster, its limits, and the rates of events.
//!
//! Kinds of faults are drawn per seed (swarm testing): most seeds have two to four kinds, some none, some half of all.
//! Kinds that always occur together hide what each does alone, and prevent most progress. Faults come in waves: in the
//! calm between them the cluster makes progress, which the next wave interrupts. Limits are mostly small: a window of one
//! message or a segment of a few entries reaches branches that a large one never does.

use super::event::Kind;
use crate::calls::CallsConfig;
use crate::hash::hash_bytes;
use crate::node::NodeConfig;
use crate::raft::types::Ticks;
use crate::sim::random::Random;
use std::ops::RangeInclusive;

/// What a seed decides beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) nodes: u8,
    pub(crate) clients: u8,
    pub(crate) limits: Limits,
    pub(crate) rates: Rates,
    pub(crate) liveness_fault: LivenessFault,
}

/// A single fault in the liveness phase: see `world::liveness_faults`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LivenessFault {
    None,
    /// The link from the leader to a follower is cut for a while.
    LeaderToFollowerCut,
    /// The link from a follower to the leader is cut for a while.
    FollowerToLeaderCut,
    /// A leader crashes while calls to it are in flight.
    LeaderCrash,
    /// A leader is isolated while another one is elected.
    LeaderIsolated,
    /// The disk of a leader hangs while the others go on.
    LeaderDiskHung,
    /// A leader crashes, and every fsync takes longer than an election timeout.
    SlowDisks,
    /// Calls of a process that has ended arrive again.
    DelayedCalls,
    /// A leader's replies to reads arrive again.
    DelayedReadReplies,
    /// Acknowledgements of an earlier term arrive again at a leader that leads a later one.
    DelayedAcknowledgements,
    /// A replica diverges while another node, which has restarted, still replays its log.
    DivergenceDuringReplay,
}

/// Limits of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) heartbeat_ticks: u64,
    pub(crate) election_ticks_min: u64,
    pub(crate) election_ticks_max: u64,
    /// In the longest election timeouts.
    pub(crate) disk_stall_timeouts: u64,
    pub(crate) append_bytes_max: usize,
    pub(crate) window_messages_max: usize,
    pub(crate) window_bytes_max: usize,
    pub(crate) log_bytes_max: usize,
    pub(crate) apply_entries_max: u64,
    /// An apply thread applies this many entries per report.
    pub(crate) apply_piece_entries: usize,
    pub(crate) window_calls_max: u64,
    pub(crate) queue_calls_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) reply_bytes_max: usize,
    pub(crate) command_bytes_max: usize,
    /// How many operations of a client are pending at most.
    pub(crate) client_calls_max: u64,
    pub(crate) deadline_ticks_max: u64,
}

/// How often each kind of event is drawn, by its weight among all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    faulty: Weights,
    calm: Weights,
    /// The lengths, in events, of the two phases that alternate: in one faults begin, in the other they only end.
    faulty_steps: u64,
    calm_steps: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Weights {
    /// Each kind as many times as its weight: a draw costs one lookup.
    kinds: Vec<Kind>,
}

/// What seeds may draw.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) nodes: RangeInclusive<u8>,
    pub(crate) faults: bool,
}

/// The cluster sizes that seeds draw from, common ones more often.
const SIZES: [u8; 12] = [3, 3, 3, 3, 5, 5, 1, 2, 4, 3, 6, 7];

const LIVENESS_FAULTS: &[LivenessFault] = &[
    LivenessFault::None,
    LivenessFault::LeaderToFollowerCut,
    LivenessFault::FollowerToLeaderCut,
    LivenessFault::LeaderCrash,
    LivenessFault::LeaderIsolated,
    LivenessFault::LeaderDiskHung,
    LivenessFault::SlowDisks,
    LivenessFault::DelayedCalls,
    LivenessFault::DelayedReadReplies,
    LivenessFault::DelayedAcknowledgements,
];

/// No run fills a log of this size.
const LOG_BYTES_LARGE: usize = 1 << 30;

/// No workload makes a command of this size.
const COMMAND_BYTES_LARGE: usize = 1 << 20;

impl Setup {
    /// Draws what a seed decides.
    pub(crate) fn draw(seed: u64, bounds: &Bounds) -> Setup {
        let draw = &Draw { seed };
        let size = draw.pick("nodes", &SIZES);
        let nodes = if bounds.nodes.contains(&size) {
            size
        } else {
            draw.between("nodes in bounds", (*bounds.nodes.start()).into(), (*bounds.nodes.end()).into())
                as u8
        };
        let mut liveness_fault =
            if bounds.faults { draw.pick("trouble", LIVENESS_FAULTS) } else { LivenessFault::None };
        if bounds.faults && liveness_fault == LivenessFault::None && draw.one_in("replay in trouble", 2) {
            liveness_fault = LivenessFault::DivergenceDuringReplay;
        }
        let mut limits = Limits::draw(draw);
        if draw.one_in("small log", 8) {
            limits.log_bytes_max = draw.between("log bytes", 500, 8_000) as usize;
        } else if liveness_fault == LivenessFault::FollowerToLeaderCut
            && draw.one_in("log filled in trouble", 2)
        {
            // The leader sends many entries again that the follower has, to a log that is nearly full.
            limits.log_bytes_max = draw.between("log bytes in trouble", 4_000, 16_000) as usize;
            (limits.window_messages_max, limits.window_bytes_max) = (256, 16 << 20);
            (limits.window_calls_max, limits.queue_calls_max) = (8_192, 65_536);
            limits.append_bytes_max = 1 << 20;
        }
        Setup {
            seed,
            nodes,
            clients: draw.between("clients", 1, 8) as u8,
            limits,
            rates: Rates::draw(draw, nodes, bounds.faults),
            liveness_fault,
        }
    }
}

/// Draws each value from a generator of its own, which the seed and the value's name determine: a new value changes no
/// other. NB: the names are part of what seeds mean. Renaming one changes the runs of all seeds.
struct Draw {
    seed: u64,
}

impl Draw {
    fn generator(&self, name: &str) -> Random {
        Random::of(self.seed, hash_bytes(0, name.as_bytes()))
    }

    fn pick<V: Copy>(&self, name: &str, values: &[V]) -> V {
        *self.generator(name).pick(values)
    }

    fn between(&self, name: &str, low: u64, high: u64) -> u64 {
        self.generator(name).between(low, high)
    }

    fn one_in(&self, name: &str, n: u64) -> bool {
        self.generator(name).one_in(n)
    }
}

impl Limits {
    fn draw(draw: &Draw) -> Limits {
        let heartbeat_ticks = draw.between("heartbeat", 1, 4);
        let election_ticks_min = 3 * heartbeat_ticks + draw.between("election minimum", 0, 5);
        Limits {
            heartbeat_ticks,
            election_ticks_min,
            election_ticks_max: election_ticks_min + draw.between("election spread", 1, 12),
            disk_stall_timeouts: draw.between("disk stall", 1, 4),
            append_bytes_max: draw.pick("append bytes", &[1, 100, 300, 1_000, 1 << 20]),
            window_messages_max: draw.pick("window messages", &[1, 2, 4, 256]),
            window_bytes_max: draw.pick("window bytes", &[1, 200, 1_000, 16 << 20]),
            log_bytes_max: LOG_BYTES_LARGE,
            apply_entries_max: draw.pick("apply entries", &[1, 3, 9, 65_536]),
            apply_piece_entries: draw.pick("apply piece", &[1, 4, 4_096]),
            window_calls_max: draw.pick("window calls", &[1, 2, 4, 8, 8_192]),
            queue_calls_max: draw.pick("queue calls", &[1, 4, 65_536]),
            segment_bytes: draw.pick("segment bytes", &[0, 0, 6_000, 16_000]),
            reply_bytes_max: draw.pick("reply bytes", &[4, 1 << 20, 1 << 20]),
            command_bytes_max: draw
                .pick("command bytes", &[400, COMMAND_BYTES_LARGE, COMMAND_BYTES_LARGE, COMMAND_BYTES_LARGE]),
            client_calls_max: draw.between("client calls", 1, 6),
            deadline_ticks_max: draw.pick("deadline", &[20, 60, 150]),
        }
    }

    /// Whether a log may become full before the run ends. Nothing shortens it yet: no call succeeds from then on.
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
        raft.disk_stall_ticks_max = Ticks(self.disk_stall_timeouts * self.election_ticks_max);
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
    fn draw(draw: &Draw, nodes: u8, faults: bool) -> Rates {
        let share = if faults { draw.pick("share of faults", &FAULTS_PERCENT) } else { 0 };
        let weight = |kind: &Kind| weight(*kind, &mut draw.generator(kind.word()), nodes, share);
        let mut faulty: Vec<u32> = Kind::ALL.iter().map(weight).collect();
        add_ends(&mut faulty);
        let calm = |(kind, weight): (&Kind, &u32)| match kind {
            Kind::Heal | Kind::Resume | Kind::Unhang | Kind::Free => 4 * weight,
            kind if kind.is_fault() => 0,
            _ => *weight,
        };
        Rates {
            calm: Weights::of(Kind::ALL.iter().zip(&faulty).map(calm).collect()),
            faulty: Weights::of(faulty),
            faulty_steps: draw.between("storm", 50, 500),
            calm_steps: draw.pick("calm", &[0, 100, 300, 600]),
        }
    }

    /// Draws a kind of event for a step of a run.
    pub(crate) fn pick(&self, step: u64, random: &mut Random) -> Kind {
        // Runs begin calm: most clusters are formed before the first fault.
        let calm = step % (self.faulty_steps + self.calm_steps) < self.calm_steps;
        let weights = if calm { &self.calm } else { &self.faulty };
        weights.pick(random)
    }
}

/// How many percent of the kinds of faults a seed has.
const FAULTS_PERCENT: [u64; 10] = [0, 15, 15, 15, 15, 15, 25, 25, 50, 50];

/// The weight of a kind of event, except of those that end a fault.
fn weight(kind: Kind, random: &mut Random, nodes: u8, faults_percent: u64) -> u32 {
    // Work of every node: a larger cluster has more of it per call.
    let each = |weight: u32| weight * u32::from(nodes.max(3)) / 3;
    let share = match kind {
        // Lost, repeated and reordered messages are the most common faults, and hide the others least.
        Kind::Overtake | Kind::Drop | Kind::Repeat | Kind::Break => 2 * faults_percent,
        // Few bits of a disk matter, and only a minority of disks may be hit in a run.
        Kind::Flip => 2 * faults_percent,
        _ => faults_percent,
    };
    match kind {
        Kind::Tick => *random.pick(&[15, 30, 60]),
        Kind::Deliver => each(*random.pick(&[300, 600, 900])),
        Kind::Write => each(*random.pick(&[15, 60, 150, 300])),
        Kind::Apply => each(*random.pick(&[40, 100, 200])),
        Kind::Call => *random.pick(&[20, 60, 150]),
        Kind::Deadline => *random.pick(&[0, 2, 10]),
        Kind::Dial => each(*random.pick(&[20, 60])),
        Kind::Start => *random.pick(&[10, 40]),
        Kind::Gather => each(*random.pick(&[0, 10, 60])),
        Kind::Idle => *random.pick(&[0, 5]),
        Kind::Prepare => *random.pick(&[0, 10]),
        _ if random.below(100) >= share => 0,
        Kind::Overtake => *random.pick(&[4, 20, 80]),
        Kind::Drop | Kind::Repeat => *random.pick(&[2, 10, 40]),
        Kind::Break => *random.pick(&[1, 4]),
        Kind::Shutdown => *random.pick(&[1, 3]),
        Kind::Crash => *random.pick(&[1, 4, 10]),
        Kind::Wipe | Kind::Diverge => 1,
        Kind::Flip => *random.pick(&[1, 8]),
        _ => *random.pick(&[1, 3, 8]),
    }
}

/// The event that ends a fault is drawn as often as the fault: otherwise each machine would have it once per run.
fn add_ends(weights: &mut [u32]) {
    let weight = |kind: Kind| weights[kind as usize];
    let cuts = [Kind::CutOneWay, Kind::Isolate, Kind::Split, Kind::Bridge, Kind::Ring];
    let ends = [
        (Kind::Turn, 2 * weight(Kind::Gather)),
        (Kind::Heal, cuts.map(weight).iter().sum()),
        (Kind::Resume, 2 * weight(Kind::Pause)),
        (Kind::Unhang, 2 * weight(Kind::Hang)),
        (Kind::Free, 2 * weight(Kind::Fill)),
        (Kind::Echo, weight(Kind::Repeat) + 4 * weight(Kind::Crash)),
    ];
    for (end, weight) in ends {
        weights[end as usize] = weight;
    }
}

impl Weights {
    fn of(weights: Vec<u32>) -> Weights {
        let each = Kind::ALL.iter().zip(weights);
        Weights {
            kinds: each.flat_map(|(kind, weight)| std::iter::repeat_n(*kind, weight as usize)).collect(),
        }
    }

    /// A kind of event, by the weights.
    fn pick(&self, random: &mut Random) -> Kind {
        *random.pick(&self.kinds)
    }
}
