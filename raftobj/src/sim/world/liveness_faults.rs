//! Liveness faults: a single fault in the liveness phase, after which the cluster must recover completely.
//!
//! Under many faults the checks must permit much: a call may end unknown, a leader may be replaced. Under a single fault
//! they are strict. Each seed has one of these faults, or none.

use super::World;
use crate::node::status::{Leadership, Role};
use crate::object::Object;
use crate::raft::types::{Term, Ticks};
use crate::sim::operation::OperationId;
use crate::sim::schedule::setup::LivenessFault;
use crate::sim::violation::{Violation, ensure};

/// Within this many of the longest election timeouts a node is elected, and calls are sent to it.
const TIMEOUTS_MAX: u64 = 40;

/// How many operations are made at a node at once: enough that reads and calls are among them.
const OPERATIONS: usize = 12;

/// A log with less room than this is nearly full: a few more calls fill it.
const ROOM_BYTES: usize = 1_500;

/// How many rounds of calls fill a log at most.
const FILLING_ROUNDS_MAX: u32 = 200;

/// How many terms an election with slow disks takes at most.
const TERMS_MAX: u64 = 20;

/// For so many rounds of gossip a replay takes longer than a dispute would last without it.
const DISPUTE_GOSSIPS_HELD: u64 = 9;

/// How many other leaders are elected at most until one leads again.
const LEADERS_MAX: u32 = 8;

impl<T: Object> World<T> {
    /// Injects the seed's liveness fault, if enough nodes are live to recover from it.
    pub(super) fn run_liveness_fault(&mut self) {
        let live: Vec<usize> = self.live().map(|(number, _)| number).collect();
        let leader = self.live().find(|(_, process)| process.node.leadership().role == Role::Leader);
        let Some(leader) = leader.map(|(number, _)| number) else { return };
        let majority = self.servers.len() / 2 + 1;
        let Some(follower) = live.iter().copied().find(|at| *at != leader) else { return };
        if live.len() <= majority {
            return;
        }
        match self.setup.liveness_fault {
            LivenessFault::None => {}
            LivenessFault::LeaderToFollowerCut => self.cut_leader_to_follower(leader, follower),
            LivenessFault::FollowerToLeaderCut => self.cut_follower_to_leader(leader, follower),
            LivenessFault::LeaderCrash => self.crash_leader_under_calls(leader, &live),
            LivenessFault::LeaderIsolated => self.isolate_leader(leader),
            LivenessFault::LeaderDiskHung => self.hang_leaders_disk(leader, follower),
            LivenessFault::SlowDisks => self.elect_with_slow_disks(leader),
            LivenessFault::DelayedCalls => self.repeat_calls_of_ended_process(leader, follower),
            LivenessFault::DelayedReadReplies => self.repeat_read_replies(leader, follower, &live),
            LivenessFault::DelayedAcknowledgements => self.repeat_acknowledgements_of_a_term(leader, &live),
            LivenessFault::DivergenceDuringReplay => self.diverge_during_replay(leader, follower),
        }
    }

    /// The link from the leader to a follower is cut for longer than an election timeout. The other followers still hear from
    /// the leader, so it keeps its term (thesis §4.2.3, §9.6), and the follower catches up afterwards.
    fn cut_leader_to_follower(&mut self, leader: usize, follower: usize) {
        let term = self.node(leader).term();
        // The last message that it receives is an entry. It must learn later that the entry is committed.
        self.operate_at(0, leader);
        self.deliver_all(leader, follower);
        self.write(follower, u8::MAX);
        self.network.at(leader, follower).cut();
        for _ in 0..self.setup.limits.election_ticks_max + 2 {
            self.round();
        }
        self.network.cut_where(|_, _| false);
        self.await_quiet("a follower cut off from its leader catches up");
        let now = self.node(leader).term();
        ensure!(
            now == term,
            "a follower cut off from its leader does not depose it",
            "n{follower} was cut off from n{leader}, and term {term} was followed by {now}"
        );
    }

    /// A follower's replies are lost, then also what it is sent. Later the leader sends it again what it has, together with
    /// what it lacks, and it accepts that even if its log is nearly full.
    fn cut_follower_to_leader(&mut self, leader: usize, follower: usize) {
        self.fill_log(leader);
        self.network.at(follower, leader).cut();
        self.operate_often(leader);
        self.round();
        self.network.at(leader, follower).cut();
        for _ in 0..self.setup.limits.election_ticks_max + 2 {
            if self.setup.limits.has_small_log() {
                self.operate_often(leader);
            }
            self.round();
            self.network.at(leader, follower).lose_all();
            self.network.at(follower, leader).lose_all();
        }
        self.network.cut_where(|_, _| false);
        self.await_quiet("a follower whose replies were lost catches up");
    }

    /// If the setup limits the log, makes calls until it is nearly full.
    fn fill_log(&mut self, leader: usize) {
        let log_bytes_max = self.setup.limits.log_bytes_max;
        for _ in 0..FILLING_ROUNDS_MAX {
            let bytes = self.node(leader).raft().map_or(0, |raft| raft.log().bytes());
            if !self.setup.limits.has_small_log() || bytes + ROOM_BYTES > log_bytes_max {
                return;
            }
            (0..self.clients.len()).cycle().take(2).for_each(|client| self.operate_at(client, leader));
            self.round();
        }
    }

    /// A leader is isolated and its clock is slow, so it still takes itself for the leader when another one is elected. It
    /// must serve no operation.
    fn isolate_leader(&mut self, leader: usize) {
        self.servers[leader].rate_percent = 20;
        let next = self.replace_leader(leader);
        self.operate_often(next);
        self.await_operations();
        self.operate_often(leader);
        self.round();
        self.servers[leader].rate_percent = 100;
        self.network.cut_where(|_, _| false);
        self.await_quiet("an isolated leader follows the next one");
    }

    /// The disk of a leader hangs while calls are made. The others have them on their disks, and another node leads.
    fn hang_leaders_disk(&mut self, leader: usize, follower: usize) {
        let term = self.node(leader).term();
        self.servers[leader].hung = true;
        self.operate_often(follower);
        let timeouts = self.setup.limits.disk_stall_timeouts + 2;
        for _ in 0..timeouts * self.setup.limits.election_ticks_max {
            self.round();
        }
        // Reads, and calls that a full log refuses, leave nobody ahead.
        let durable = self.node(leader).raft().map(|raft| raft.durable_index());
        if durable < Some(self.oracle.commit()) {
            let next = self.await_leader_after(term, "a leader whose disk hangs is replaced");
            self.operate_often(next);
            self.await_operations();
        }
        self.servers[leader].hung = false;
        self.await_quiet("a leader whose disk hung rejoins the cluster");
    }

    /// A leader crashes, and each fsync of the others takes longer than an election timeout.
    fn elect_with_slow_disks(&mut self, leader: usize) {
        let term = self.node(leader).term();
        self.crash(leader, 0, 0);
        let fsync_ticks = self.setup.limits.election_ticks_max * (1 + self.setup.seed % 3);
        let rounds_max = TIMEOUTS_MAX * (self.setup.limits.election_ticks_max + fsync_ticks);
        let mut elected = None;
        for round in 0..rounds_max {
            for server in &mut self.servers {
                server.hung = !(round + 5 * server.number as u64).is_multiple_of(fsync_ticks);
            }
            self.round();
            elected = self.leader_after(term);
            if elected.is_some() {
                break;
            }
        }
        let now = self.live().map(|(_, process)| process.node.term()).max().unwrap_or_default();
        ensure!(
            elected.is_some() && now.0 <= term.0 + TERMS_MAX,
            "a leader is elected however slow the disks are",
            "with fsyncs of {fsync_ticks} ticks, n{leader} led term {term}, and after {rounds_max} ticks the term is {now}"
        );
        self.servers.iter_mut().for_each(|server| server.hung = false);
        self.start(leader, None, 0);
        self.await_quiet("a cluster whose disks were slow serves");
    }

    /// A process forwards calls, and ends. The next process of that node makes other calls. Then the first ones arrive
    /// again, and must have no effect.
    fn repeat_calls_of_ended_process(&mut self, leader: usize, follower: usize) {
        self.operate_often(follower);
        self.network.at(follower, leader).copy_to_echoes();
        self.await_operations();
        self.crash(follower, 0, 0);
        self.start(follower, None, 0);
        self.await_quiet("a restarted follower catches up");
        self.operate_often(follower);
        self.await_operations();
        self.deliver_echoes(follower, leader);
        self.await_quiet("calls that arrive again late have no effect");
    }

    /// A node makes reads, and later more reads. Then the leader's first replies arrive again, while the node lacks what was
    /// written in between.
    fn repeat_read_replies(&mut self, leader: usize, follower: usize, live: &[usize]) {
        self.operate_often(follower);
        for _ in 0..3 {
            live.iter().for_each(|at| self.deliver_all(*at, leader));
            self.network.at(leader, follower).copy_to_echoes();
            live.iter().for_each(|at| self.deliver_all(leader, *at));
        }
        self.await_operations();
        self.network.at(leader, follower).cut();
        self.operate_often(leader);
        // Too short for the node to start an election, long enough for the others to commit.
        for _ in 1..self.setup.limits.election_ticks_min {
            self.round();
        }
        self.network.cut_where(|_, _| false);
        self.operate_often(follower);
        self.deliver_echoes(leader, follower);
        self.await_quiet("read replies that arrive again late have no effect");
    }

    /// A leader leads again after others. Then acknowledgements from its first term arrive again.
    fn repeat_acknowledgements_of_a_term(&mut self, leader: usize, live: &[usize]) {
        let followers: Vec<usize> = live.iter().copied().filter(|at| *at != leader).collect();
        self.operate_often(leader);
        for follower in &followers {
            self.deliver_all(leader, *follower);
            self.write(*follower, u8::MAX);
            self.network.at(*follower, leader).copy_to_echoes();
        }
        let mut now = leader;
        for _ in 0..LEADERS_MAX {
            now = self.replace_leader(now);
            if now == leader {
                followers.iter().for_each(|from| self.deliver_echoes(*from, leader));
                break;
            }
            self.network.cut_where(|_, _| false);
            self.await_quiet("an isolated leader follows the next one");
        }
        self.network.cut_where(|_, _| false);
        self.await_quiet("acknowledgements that arrive again late have no effect");
    }

    /// Isolates a leader until another one is elected, and returns that one.
    fn replace_leader(&mut self, leader: usize) -> usize {
        let term = self.node(leader).term();
        self.network.cut_where(|from, to| from == leader || to == leader);
        self.await_leader_after(term, "an isolated leader is replaced")
    }

    /// Runs rounds until a node leads a later term than `term`, and returns it.
    fn await_leader_after(&mut self, term: Term, rule: &str) -> usize {
        for _ in 0..TIMEOUTS_MAX * self.setup.limits.election_ticks_max {
            if let Some(next) = self.leader_after(term) {
                return next;
            }
            self.round();
        }
        Violation::raise(rule, self.describe_unfinished())
    }

    fn leader_after(&self, term: Term) -> Option<usize> {
        self.live().find_map(|(number, process)| {
            let Leadership { role, term: of, .. } = process.node.leadership();
            (role == Role::Leader && of > term).then_some(number)
        })
    }

    /// Delivers the late copies of messages on a link.
    fn deliver_echoes(&mut self, from: usize, to: usize) {
        while let Some(message) = self.network.at(from, to).take_echo() {
            self.receive(from, to, message);
        }
        self.handle_effects(to);
    }

    /// A leader crashes while calls to it are in flight. They are sent to the next leader.
    fn crash_leader_under_calls(&mut self, leader: usize, live: &[usize]) {
        let first = self.operations.len();
        let callers = live.iter().copied().filter(|at| *at != leader);
        for (at, client) in callers.zip((0..self.clients.len()).cycle()) {
            self.operate_at(client, at);
            if self.setup.seed & 64 != 0 {
                self.deliver_all(at, leader);
            }
        }
        self.crash(leader, 0, (self.setup.seed >> 7) as u8);
        let full = self.setup.limits.has_small_log();
        for _ in 0..TIMEOUTS_MAX * self.setup.limits.election_ticks_max {
            if self.operations.len() == self.operations_ended || full {
                break;
            }
            self.round();
        }
        for id in (first..self.operations.len()).map(OperationId) {
            let operation = &self.operations[id.0];
            let ended = operation.ended.as_ref();
            let served = ended.map_or(full, |(_, end)| end.is_served(&self.setup.limits));
            ensure!(
                served,
                "an operation survives the crash of its leader",
                "client {} at n{} ended with {:?} after n{leader} crashed",
                operation.client,
                operation.server,
                operation.ended
            );
        }
        self.start(leader, None, 0);
        self.await_quiet("a crashed leader rejoins the cluster");
    }

    /// A follower restarts, and does not apply its log yet, while the leader's replica diverges. The others wait for it, so
    /// that a majority decides, and only the wrong replica stops.
    fn diverge_during_replay(&mut self, leader: usize, follower: usize) {
        self.operate_often(leader);
        self.await_quiet("calls at a leader end");
        self.crash(follower, 0, 0);
        self.start(follower, None, 0);
        self.apply_held = Some(follower);
        if self.diverge(leader) {
            self.may_stop = Some(leader);
            self.operate_often(leader);
            for _ in 0..DISPUTE_GOSSIPS_HELD * 4 * self.setup.limits.heartbeat_ticks {
                self.round();
            }
        }
        self.apply_held = None;
        self.resolve_divergence();
        self.await_quiet("a wrong replica restarts from its log");
        self.may_stop = None;
    }

    /// A client makes an operation at a node; its deadline is long enough to elect another leader.
    fn operate_at(&mut self, client: usize, at: usize) {
        self.clients[client].home = at;
        self.clients[client].pending = 0;
        self.operate(client, Some(Ticks(TIMEOUTS_MAX * self.setup.limits.election_ticks_max)));
    }

    /// The clients make many operations at a node.
    fn operate_often(&mut self, at: usize) {
        (0..self.clients.len()).cycle().take(OPERATIONS).for_each(|client| self.operate_at(client, at));
    }

    /// Runs rounds until every operation has ended, up to a bound.
    fn await_operations(&mut self) {
        for _ in 0..2 * self.setup.limits.election_ticks_max {
            if self.operations.len() == self.operations_ended {
                return;
            }
            self.round();
        }
    }
}
