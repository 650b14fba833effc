//! Elections where every fsync is slower than the election timeout.

use super::one_server::three_members;
use crate::planted::{Bug, with};
use crate::raft::message::{Envelope, Message};
use crate::raft::types::{NodeId, Time};
use crate::raft::{PersistId, Raft};
use bytes::Bytes;
use std::collections::VecDeque;

/// One server, and its writes with the ticks that each still takes, one after the other.
struct Server {
    raft: Raft,
    writes: VecDeque<(PersistId, u64)>,
    fsync_ticks: u64,
}

/// Three servers whose messages take one tick.
struct Cluster {
    servers: Vec<Server>,
    network: Vec<Envelope>,
}

impl Cluster {
    fn new(seed: u64, fsync_ticks: [u64; 3]) -> Cluster {
        let server = |(id, fsync_ticks)| {
            let raft = three_members(NodeId(id), seed);
            Server { raft, writes: VecDeque::new(), fsync_ticks }
        };
        Cluster { servers: (1..).zip(fsync_ticks).map(server).collect(), network: Vec::new() }
    }

    fn tick(&mut self) {
        let arriving = std::mem::take(&mut self.network);
        for envelope in arriving {
            self.servers[envelope.to.0 as usize - 1].raft.step(envelope);
        }
        for server in &mut self.servers {
            server.raft.tick(Time(1));
            if let Some((id, left)) = server.writes.front_mut() {
                *left -= 1;
                if *left == 0 {
                    server.raft.persisted(*id);
                    server.writes.pop_front();
                }
            }
            while let Some(ready) = server.raft.ready() {
                self.network.extend(ready.messages);
                if let Some(entry) = ready.committed.last() {
                    server.raft.applied(entry.id.index);
                }
                match ready.persist {
                    Some(persist) if server.fsync_ticks == 0 => server.raft.persisted(persist.id),
                    Some(persist) => server.writes.push_back((persist.id, server.fsync_ticks)),
                    None => {}
                }
            }
        }
    }

    /// The ticks until a leader's no-op is committed everywhere, and the highest term then.
    fn elect(&mut self) -> Option<(u64, u64)> {
        let slowest = self.servers.iter().map(|server| server.fsync_ticks).max()?;
        for ticks in 1..=40 * (16 + slowest) {
            self.tick();
            if self.servers.iter().all(|server| server.raft.commit().0 > 0) {
                return Some((ticks, self.servers.iter().map(|server| server.raft.term().0).max()?));
            }
        }
        None
    }
}

/// Whether a leader is elected within few terms, for many seeds.
fn is_elected(fsync_ticks: [u64; 3]) -> bool {
    let elections: Vec<_> = (0..50).map(|seed| Cluster::new(seed, fsync_ticks).elect()).collect();
    let slowest = elections.iter().flatten().max();
    println!("fsyncs of {fsync_ticks:?} ticks: at most {slowest:?} ticks and terms");
    elections.iter().all(|election| election.is_some_and(|(_, term)| term <= TERMS_MAX))
}

/// Elections in sequence, more than which are no accident.
const TERMS_MAX: u64 = 8;

// Breaks: no leader is ever elected where an fsync takes as long as an election timeout, and terms grow without end. The
// election timeout is 8 to 16 ticks; an election takes two fsyncs in sequence, and the no-op one more.
#[test]
fn a_leader_is_elected_however_long_an_fsync_takes() {
    for ticks in [0, 1, 4, 8, 12, 16, 24, 32, 64, 100] {
        for fsync_ticks in [[ticks; 3], [0, ticks, ticks], [ticks, 0, 0], [1, ticks / 2, ticks]] {
            assert!(is_elected(fsync_ticks), "{fsync_ticks:?}");
        }
    }
}

// Breaks: after a disk has hung for a minute, its node waits for minutes before it campaigns, although its disk is fast.
#[test]
fn a_disk_that_hung_once_does_not_delay_elections() {
    let mut cluster = Cluster::new(1, [1, 1, 1]);
    cluster.elect().unwrap();
    let leader = cluster.servers.iter().position(|server| server.raft.is_leader()).unwrap();
    cluster.servers.iter_mut().for_each(|server| server.fsync_ticks = 6_000);
    cluster.servers[leader].raft.propose(Bytes::new()).unwrap();
    (0..7_000).for_each(|_| cluster.tick());
    cluster.servers.iter_mut().for_each(|server| server.fsync_ticks = 1);
    (0..20_000).for_each(|_| cluster.tick());
    let leader = cluster.servers.iter().position(|server| server.raft.is_leader()).unwrap();
    let term = cluster.servers[leader].raft.term();
    cluster.servers[leader].fsync_ticks = u64::MAX;
    cluster.servers[leader].raft.step(Envelope {
        from: NodeId((leader as u64 + 1) % 3 + 1),
        to: NodeId(leader as u64 + 1),
        term: term.next(),
        message: Message::HeartbeatReply { round: 0 },
    });
    // Longer than the longest timeout after a write of four timeouts, far shorter than after one of 6,000 ticks.
    (0..10 * 16 + 2 * 4 * 4 * 16).for_each(|_| cluster.tick());
    assert!(cluster.servers.iter().any(|server| server.raft.is_leader()), "no leader");
}

// Proves that the test above would find these bugs.
#[test]
fn planted_bugs_of_slow_disks_are_found() {
    assert!(!with(Bug::ElectionTimerBeforeFsync, || is_elected([100; 3])));
    assert!(!with(Bug::LateVotesIgnored, || is_elected([0, 64, 64])));
}

// Breaks: a leader whose disk hangs leads for ever by its heartbeats, and no call at its node ever ends.
#[test]
fn a_leader_whose_disk_hangs_is_replaced() {
    assert!(is_replaced());
    assert!(!with(Bug::DiskStallIgnored, is_replaced));
}

/// Whether another server leads some time after a leader's disk has begun to hang, while its entries are committed by the
/// others; and whether the first one has everything when its disk works again.
fn is_replaced() -> bool {
    let mut cluster = Cluster::new(1, [1, 1, 1]);
    cluster.elect().unwrap();
    let leader = cluster.servers.iter().position(|server| server.raft.is_leader()).unwrap();
    let term = cluster.servers[leader].raft.term();
    cluster.servers[leader].fsync_ticks = u64::MAX;
    cluster.servers[leader].raft.propose(Bytes::from_static(b"call")).unwrap();
    for _ in 0..60 + 10 * 16 {
        cluster.tick();
    }
    let another =
        |(id, server): (usize, &Server)| id != leader && server.raft.is_leader() && server.raft.term() > term;
    if !cluster.servers.iter().enumerate().any(another) {
        return false;
    }
    assert_eq!(cluster.servers[leader].raft.disk_stalls(), 1);
    let server = &mut cluster.servers[leader];
    server.fsync_ticks = 1;
    server.writes.iter_mut().for_each(|(_, left)| *left = 1);
    for _ in 0..200 {
        cluster.tick();
    }
    let commits: Vec<_> = cluster.servers.iter().map(|server| server.raft.commit()).collect();
    assert!(commits.iter().all(|commit| *commit == commits[0] && commit.0 >= 3), "{commits:?}");
    true
}

// Breaks: where all disks are slow alike, each leader steps down in turn.
#[test]
fn a_slow_disk_is_not_a_stalled_one() {
    let mut cluster = Cluster::new(1, [200, 200, 200]);
    cluster.elect().unwrap();
    for _ in 0..20_000 {
        if let Some(server) = cluster.servers.iter_mut().find(|server| server.raft.is_leader()) {
            let _ = server.raft.propose(Bytes::new());
        }
        cluster.tick();
    }
    let stalls: u64 = cluster.servers.iter().map(|server| server.raft.disk_stalls()).sum();
    assert!(stalls <= 1, "{stalls} leaders stepped down");
}
