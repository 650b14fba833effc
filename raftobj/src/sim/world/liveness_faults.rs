//! Trouble in the middle of peace, small enough that it must pass without a trace.
//!
//! Random schedules are full of faults, and so must forgive much: a call may end unknown, a leader may be lost. Here one
//! thing goes wrong and nothing else, and everything is promised. Each seed has one of these troubles, or none.

use super::World;
use super::server::Process;
use crate::node::status::Role;
use crate::object::Object;
use crate::raft::types::Ticks;
use crate::sim::client::OperationId;
use crate::sim::schedule::setup::Trouble;
use crate::sim::violation::{Violation, hold};

/// A node is elected, and calls are sent to it, within so many of the longest election timeouts.
const TIMEOUTS_MAX: u64 = 40;

/// So many operations are asked of a node at once: enough that reads and calls are among them.
const CALLS: usize = 12;

/// A log is nearly full when a few calls more fill it.
const NEARLY_BYTES: usize = 1_500;
const FILLING_ROUNDS_MAX: u32 = 200;

/// A leader leads again after at most so many others, or it is left at that.
const LEADERS_MAX: u32 = 8;

impl<T: Object> World<T> {
    /// Goes through the seed's trouble, where there are nodes enough that it must pass.
    pub(super) fn try_trouble(&mut self) {
        let live: Vec<usize> = self.live().map(|(number, _)| number).collect();
        let leader = self.live().find(|(_, process)| process.node.headline().0 == Role::Leader);
        let Some(leader) = leader.map(|(number, _)| number) else { return };
        let majority = self.servers.len() / 2 + 1;
        let Some(follower) = live.iter().copied().find(|at| *at != leader) else { return };
        if live.len() <= majority {
            return;
        }
        match self.setup.trouble {
            Trouble::None => {}
            Trouble::DeafFollower => self.let_follower_go_deaf(leader, follower),
            Trouble::MuteFollower => self.let_follower_go_mute(leader, follower),
            Trouble::LostLeader => self.lose_leader_under_calls(leader, &live),
            Trouble::IsolatedLeader => self.isolate_leader(leader),
            Trouble::LateCalls => self.repeat_calls_of_a_life(leader, follower),
            Trouble::LateAnswers => self.repeat_answers_to_reads(leader, follower, &live),
            Trouble::LateAcknowledgements => self.repeat_acknowledgements_of_a_term(leader, &live),
        }
    }

    /// A follower does not hear its leader for longer than an election timeout. The others do, so that nothing comes
    /// of it; and it learns later what it missed.
    fn let_follower_go_deaf(&mut self, leader: usize, follower: usize) {
        let term = self.node(leader).term();
        // The last that it hears is an entry: that it is committed it has to learn afterwards.
        self.ask(0, leader);
        self.deliver_all(leader, follower);
        self.write(follower, u8::MAX);
        self.links.at(leader, follower).cut();
        for _ in 0..self.setup.limits.election_ticks_max + 2 {
            self.round();
        }
        self.links.cut_where(|_, _| false);
        self.come_to_rest("a follower that was deaf for a while learns what it missed");
        let now = self.node(leader).term();
        hold!(
            now == term,
            "a node that does not hear its leader deposes nobody",
            "n{follower} did not hear n{leader}, and term {term} gave way to {now}"
        );
    }

    /// What a follower answers is lost, then what it is sent, too. Later it is sent again what it has, together with
    /// what it lacks, and takes it, though its log be nearly full.
    fn let_follower_go_mute(&mut self, leader: usize, follower: usize) {
        self.fill_log(leader);
        self.links.at(follower, leader).cut();
        self.ask_often(leader);
        self.round();
        self.links.at(leader, follower).cut();
        for _ in 0..self.setup.limits.election_ticks_max + 2 {
            if self.setup.limits.has_small_log() {
                self.ask_often(leader);
            }
            self.round();
            self.links.at(leader, follower).lose_all();
            self.links.at(follower, leader).lose_all();
        }
        self.links.cut_where(|_, _| false);
        self.come_to_rest("a follower whose answers were lost for a while catches up");
    }

    /// Where a log may be full at all, calls until it nearly is.
    fn fill_log(&mut self, leader: usize) {
        let log_bytes_max = self.setup.limits.log_bytes_max;
        for _ in 0..FILLING_ROUNDS_MAX {
            let bytes = self.node(leader).raft().map_or(0, |raft| raft.log().bytes());
            if !self.setup.limits.has_small_log() || bytes + NEARLY_BYTES > log_bytes_max {
                return;
            }
            (0..self.clients.len()).cycle().take(2).for_each(|client| self.ask(client, leader));
            self.round();
        }
    }

    /// A leader is cut off, and its time goes slowly, so that it takes itself for one while another is elected. It serves
    /// nobody.
    fn isolate_leader(&mut self, leader: usize) {
        self.servers[leader].percent = 20;
        let next = self.replace_leader(leader);
        self.ask_often(next);
        self.await_answers();
        self.ask_often(leader);
        self.round();
        self.servers[leader].percent = 100;
        self.links.cut_where(|_, _| false);
        self.come_to_rest("a leader that was cut off follows the next");
    }

    /// A process forwards calls, and ends. The next process of that node makes others; then the first ones arrive once
    /// more, and must have no effect.
    fn repeat_calls_of_a_life(&mut self, leader: usize, follower: usize) {
        self.ask_often(follower);
        self.links.at(follower, leader).copy_all();
        self.await_answers();
        self.crash(follower, 0, 0);
        self.start(follower, None, 0);
        self.come_to_rest("a node that was lost for a moment catches up");
        self.ask_often(follower);
        self.await_answers();
        self.hear_what_stayed_behind(follower, leader);
        self.come_to_rest("late calls leave no trace");
    }

    /// A node reads, and later reads again. Then the leader's first answers arrive once more, while the node has not yet
    /// what was written in between.
    fn repeat_answers_to_reads(&mut self, leader: usize, follower: usize, live: &[usize]) {
        self.ask_often(follower);
        for _ in 0..3 {
            live.iter().for_each(|at| self.deliver_all(*at, leader));
            self.links.at(leader, follower).copy_all();
            live.iter().for_each(|at| self.deliver_all(leader, *at));
        }
        self.await_answers();
        self.links.at(leader, follower).cut();
        self.ask_often(leader);
        // Too short for the node to doubt its leader, long enough for the others to agree.
        for _ in 1..self.setup.limits.election_ticks_min {
            self.round();
        }
        self.links.cut_where(|_, _| false);
        self.ask_often(follower);
        self.hear_what_stayed_behind(leader, follower);
        self.come_to_rest("late answers leave no trace");
    }

    /// A leader leads again after others, and is then told what it was told the first time.
    fn repeat_acknowledgements_of_a_term(&mut self, leader: usize, live: &[usize]) {
        let followers: Vec<usize> = live.iter().copied().filter(|at| *at != leader).collect();
        self.ask_often(leader);
        for follower in &followers {
            self.deliver_all(leader, *follower);
            self.write(*follower, u8::MAX);
            self.links.at(*follower, leader).copy_all();
        }
        let mut now = leader;
        for _ in 0..LEADERS_MAX {
            now = self.replace_leader(now);
            if now == leader {
                followers.iter().for_each(|from| self.hear_what_stayed_behind(*from, leader));
                break;
            }
            self.links.cut_where(|_, _| false);
            self.come_to_rest("a leader that was cut off follows the next");
        }
        self.links.cut_where(|_, _| false);
        self.come_to_rest("late acknowledgements leave no trace");
    }

    /// Cuts a leader off until another is elected, and returns that one.
    fn replace_leader(&mut self, leader: usize) -> usize {
        let term = self.node(leader).term();
        self.links.cut_where(|from, to| from == leader || to == leader);
        for _ in 0..TIMEOUTS_MAX * self.setup.limits.election_ticks_max {
            let leads = |(number, process): (usize, &Process<T>)| {
                let (role, of, _) = process.node.headline();
                (role == Role::Leader && of > term).then_some(number)
            };
            if let Some(next) = self.live().find_map(leads) {
                return next;
            }
            self.round();
        }
        Violation::raise("a leader that is cut off is replaced", self.unrest())
    }

    fn hear_what_stayed_behind(&mut self, from: usize, to: usize) {
        while let Some(message) = self.links.at(from, to).take_echo() {
            self.receive(from, to, message);
        }
        self.settle(to);
    }

    /// A leader goes away with calls on their way to it. They go to the next one.
    fn lose_leader_under_calls(&mut self, leader: usize, live: &[usize]) {
        let first = self.operations.len();
        let callers = live.iter().copied().filter(|at| *at != leader);
        for (at, client) in callers.zip((0..self.clients.len()).cycle()) {
            self.ask(client, at);
            if self.setup.seed & 64 != 0 {
                self.deliver_all(at, leader);
            }
        }
        self.crash(leader, 0, (self.setup.seed >> 7) as u8);
        let full = self.setup.limits.has_small_log();
        for _ in 0..TIMEOUTS_MAX * self.setup.limits.election_ticks_max {
            if self.operations.len() == self.ended || full {
                break;
            }
            self.round();
        }
        for id in (first..self.operations.len()).map(OperationId) {
            let operation = &self.operations[id.0];
            let ended = operation.ended.as_ref();
            let served = ended.map_or(full, |(_, end)| end.is_served(&self.setup.limits));
            hold!(
                served,
                "an operation outlives its leader",
                "client {} at n{} ended with {:?} after n{leader} went away",
                operation.client,
                operation.server,
                operation.ended
            );
        }
        self.start(leader, None, 0);
        self.come_to_rest("a leader that was lost comes back as one of many");
    }

    /// A client asks a node, and waits as long as it may take to elect another leader.
    fn ask(&mut self, client: usize, at: usize) {
        self.clients[client].home = at;
        self.clients[client].waiting = 0;
        self.operate_for(client, Some(Ticks(TIMEOUTS_MAX * self.setup.limits.election_ticks_max)));
    }

    /// Many operations, of all clients.
    fn ask_often(&mut self, at: usize) {
        (0..self.clients.len()).cycle().take(CALLS).for_each(|client| self.ask(client, at));
    }

    /// Rounds until every operation has ended, or long enough for that.
    fn await_answers(&mut self) {
        for _ in 0..2 * self.setup.limits.election_ticks_max {
            if self.operations.len() == self.ended {
                return;
            }
            self.round();
        }
    }
}
