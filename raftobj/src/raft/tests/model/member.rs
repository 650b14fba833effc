//! One member of the model: the core, its disk, and what an event does to them.

use super::Broken;
use crate::raft::config::Config;
use crate::raft::membership::{Member as Peer, Membership};
use crate::raft::message::{Envelope, Message, ReadId};
use crate::raft::read::ReadReady;
use crate::raft::types::{Entry, HardState, Incarnation, NodeId, Ticks, Time};
use crate::raft::{Persist, Raft, Restored, ServerState};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many members there are; their ids count from 1.
pub(super) const MEMBERS: usize = 3;

/// A member that runs, and its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) raft: Raft,
    pub(super) disk: ModelDisk,
    /// Writes that were submitted and are not durable.
    pub(super) unwritten: VecDeque<Persist>,
}

/// What is left after a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ModelDisk {
    pub(super) hard_state: HardState,
    pub(super) entries: Vec<Entry>,
}

/// What can happen to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// Its election timeout elapses: it campaigns.
    Timeout,
    /// A leader's tick. A heartbeat is due at each; the second without an answer is a timeout.
    Tick,
    /// A message arrives, by its number in the tables.
    Receive(usize),
    /// The oldest write becomes durable and is reported.
    Write,
    /// The process ends and starts again. Of its writes in flight the oldest `kept` are on the disk.
    Crash { kept: usize },
    /// A command is proposed.
    Propose(u8),
    /// A linearizable read is requested.
    Read(ReadId),
}

/// What follows from an event.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) sent: Vec<Envelope>,
    pub(super) applied: Vec<Entry>,
    pub(super) reads: Vec<ReadReady>,
    pub(super) broken: Option<Broken>,
}

/// How a disk of the model writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// Each write is durable before the next event of its member.
    AtOnce,
    /// Each write is an event of its own, or is lost by a crash.
    Late,
    /// A planted bug: each write is reported at once, and reaches the disk as with `Late`.
    ReportedEarly,
}

impl Member {
    pub(super) fn new(id: NodeId, disk: ModelDisk) -> Member {
        let mut member = Member { raft: core(id, &disk), disk, unwritten: VecDeque::new() };
        member.normalise();
        member
    }

    pub(super) fn id(&self) -> NodeId {
        self.raft.config.id
    }

    /// The member after `event`, and what it sent and applied.
    pub(super) fn after(
        &self,
        event: Event,
        received: Option<&Envelope>,
        writes: Writes,
    ) -> (Member, Effects) {
        let step = || {
            let (mut member, mut effects) = (self.clone(), Effects::default());
            member.take(event, received);
            member.settle(writes, &mut effects);
            member.normalise();
            let crashed = matches!(event, Event::Crash { .. });
            effects.broken = effects.broken.or_else(|| (!crashed).then(|| self.decreased(&member)).flatten());
            effects.broken = effects.broken.or_else(|| self.durable_vote_changed(&member));
            (member, effects)
        };
        catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
            let broken = Some(Broken::Assertion);
            (self.clone(), Effects { broken, ..Effects::default() })
        })
    }

    fn take(&mut self, event: Event, received: Option<&Envelope>) {
        match event {
            Event::Timeout => {
                // The ticks before the timeout have no other effect on a follower.
                let due = self.raft.election_deadline;
                while self.raft.now < due {
                    self.raft.tick(Time(0));
                }
            }
            Event::Tick => drop(self.raft.tick(Time(0))),
            Event::Receive(_) => {
                self.raft.step(received.expect("a message that is received was sent").clone())
            }
            Event::Write => self.write_one(true),
            Event::Crash { kept } => {
                (0..kept).for_each(|_| self.write_one(false));
                *self = Member::new(self.id(), std::mem::take(&mut self.disk));
            }
            Event::Propose(command) => {
                // Two bytes, so that an append of one byte at most holds one command and nothing after it.
                let proposed = self.raft.propose(Bytes::from(vec![command; 2]));
                assert!(proposed.is_ok(), "only leaders are asked, and the log has room");
            }
            Event::Read(id) => self.raft.read_index(id),
        }
    }

    fn write_one(&mut self, report: bool) {
        let persist = self.unwritten.pop_front().expect("there is something to write");
        if let Some(hard_state) = persist.hard_state {
            self.disk.hard_state = hard_state;
        }
        for entry in persist.entries {
            self.disk.entries.truncate(entry.id.index.0 as usize - 1);
            self.disk.entries.push(entry);
        }
        if report {
            self.raft.persisted(persist.id);
        }
    }

    /// Does what the core has ready, until it has nothing more.
    fn settle(&mut self, writes: Writes, effects: &mut Effects) {
        while let Some(ready) = self.raft.ready() {
            for envelope in &ready.messages {
                effects.broken = effects.broken.or_else(|| self.is_sent_too_early(envelope));
            }
            effects.sent.extend(ready.messages);
            effects.reads.extend(ready.reads);
            if let Some(last) = ready.committed.last() {
                self.raft.applied(last.id.index);
            }
            effects.applied.extend(ready.committed);
            if let Some(persist) = ready.persist {
                let id = persist.id;
                self.unwritten.push_back(persist);
                match writes {
                    Writes::AtOnce => self.write_one(true),
                    Writes::ReportedEarly => self.raft.persisted(id),
                    Writes::Late => {}
                }
            }
        }
    }

    /// Whether `envelope` was sent before what it requires is on the disk.
    fn is_sent_too_early(&self, envelope: &Envelope) -> Option<Broken> {
        let HardState { term, voted_for } = self.disk.hard_state;
        let early = match envelope.message {
            // A pre-vote is not binding.
            Message::PreVote { .. } | Message::PreVoteReply { .. } => false,
            Message::VoteReply { granted: true } => voted_for != Some(envelope.to),
            Message::Appended { match_index } => (self.disk.entries.len() as u64) < match_index.0,
            _ => false,
        };
        (early || term < envelope.term).then_some(Broken::SentTooEarly)
    }

    /// What never decreases while a member runs.
    fn decreased(&self, next: &Member) -> Option<Broken> {
        let (old, new) = (&self.raft, &next.raft);
        let revoted = old.hard_state.term == new.hard_state.term
            && old.hard_state.voted_for.is_some()
            && old.hard_state.voted_for != new.hard_state.voted_for;
        match () {
            () if new.hard_state.term < old.hard_state.term => Some(Broken::Decreased),
            () if new.commit < old.commit || new.applying < old.applying => Some(Broken::Decreased),
            () if revoted => Some(Broken::VoteChanged),
            () => None,
        }
    }

    /// The term and vote on the disk never go back.
    fn durable_vote_changed(&self, next: &Member) -> Option<Broken> {
        let (old, new) = (self.disk.hard_state, next.disk.hard_state);
        let revoted = old.term == new.term && old.voted_for.is_some() && old.voted_for != new.voted_for;
        (new.term < old.term || revoted).then_some(Broken::VoteChanged)
    }

    /// Makes members equal that no future event can distinguish: times are relative to now and at most the longest
    /// timeout ago, writes are counted from the last durable one, and the number of campaigns is zero, because no timeout
    /// depends on it.
    fn normalise(&mut self) {
        let raft = &mut self.raft;
        let (min, max) = (raft.config.election_ticks_min, raft.config.election_ticks_max);
        assert_eq!(min, max, "the timeout would depend on the number of campaigns");
        let now = raft.now;
        let shift = |time: Ticks| Ticks((time.0 + max.0).saturating_sub(now.0));
        raft.now = max;
        raft.attempt = 0;
        (raft.disk_progress_at, raft.persist_ticks) = (max, 0);
        raft.leader_heard_at = raft.leader_heard_at.map(shift).filter(|heard| max.0 - heard.0 < min.0);
        match &mut raft.state {
            ServerState::Leader(leader) => {
                raft.election_deadline = Ticks(0);
                leader.next_heartbeat = shift(leader.next_heartbeat);
                leader.peers.values_mut().for_each(|progress| progress.shift_times(shift));
            }
            _ => raft.election_deadline = shift(raft.election_deadline),
        }
        let down = raft.durability.renumber();
        for persist in &mut self.unwritten {
            persist.id.0 -= down.min(persist.id.0);
        }
    }
}

/// The smallest timeouts with which a leader can have sent a heartbeat and have no answer yet, and a follower can miss one
/// heartbeat without campaigning.
fn core(id: NodeId, disk: &ModelDisk) -> Raft {
    let config = Config {
        id,
        seed: 0,
        heartbeat_ticks: Ticks(1),
        election_ticks_min: Ticks(2),
        election_ticks_max: Ticks(2),
        // No stalls: time does not pass by itself here.
        disk_stall_ticks_max: Ticks(u64::MAX),
        // An append ends after its first command, so that an entry can arrive without the one after it.
        append_bytes_max: 1,
        window_messages_max: 2,
        window_bytes_max: 1 << 20,
        log_bytes_max: 1 << 20,
        apply_entries_max: 1 << 20,
        tick_ms: 10,
        clock_jump_ms_max: 0,
    };
    let peer = |id| Peer { incarnation: Incarnation(id), address: String::new() };
    let members: BTreeMap<_, _> = (1..=MEMBERS as u64).map(|id| (NodeId(id), peer(id))).collect();
    let restored =
        Restored { hard_state: disk.hard_state, entries: disk.entries.clone(), ..Restored::default() };
    Raft::new(config, Membership { members }, restored)
}
