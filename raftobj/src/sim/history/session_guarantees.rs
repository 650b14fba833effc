//! What each client saw of one order: its own writes, never less than before, and the same as everybody at the same
//! place.

use super::record::ClientId;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A client learnt how far the object is: by a write that was acknowledged, or by a read.
///
/// A position is a place in the one order of all writes, such as the index of the log; a counter's value or a list's
/// length serve too. A slice of observations has each client's in the order in which it made them, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation<P> {
    /// Who learnt it.
    pub client: ClientId,
    /// By what.
    pub access: Access,
    /// Where its write stands in the order, or how much of the order its read saw.
    pub position: P,
}

/// How a client learnt a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// An acknowledged write of its own stands there.
    Write,
    /// It read a state that had this position.
    Read,
}

/// A read saw less than it had to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("observation {at}: {client} read at {saw:?}, after it {} {needed:?}", match .by {
    Access::Write => "wrote at",
    Access::Read => "read at",
})]
#[non_exhaustive]
pub struct StaleRead<P: Debug> {
    /// Who read.
    pub client: ClientId,
    /// Which of the observations, counted from 0.
    pub at: usize,
    /// What it saw.
    pub saw: P,
    /// What it had to see at least.
    pub needed: P,
    /// What it had done there before.
    pub by: Access,
}

/// Each read sees every earlier acknowledged write of its own client.
pub fn read_your_writes<P: Ord + Copy + Debug>(observations: &[Observation<P>]) -> Result<(), StaleRead<P>> {
    not_before(Access::Write, observations)
}

/// No read sees less than an earlier read of its own client.
pub fn monotonic_reads<P: Ord + Copy + Debug>(observations: &[Observation<P>]) -> Result<(), StaleRead<P>> {
    not_before(Access::Read, observations)
}

fn not_before<P: Ord + Copy + Debug>(
    by: Access,
    observations: &[Observation<P>],
) -> Result<(), StaleRead<P>> {
    let mut known: BTreeMap<ClientId, P> = BTreeMap::new();
    for (at, Observation { client, access, position }) in observations.iter().enumerate() {
        if let (Access::Read, Some(needed)) = (access, known.get(client))
            && position < needed
        {
            return Err(StaleRead { client: *client, at, saw: *position, needed: *needed, by });
        }
        if *access == by {
            let known = known.entry(*client).or_insert(*position);
            *known = (*known).max(*position);
        }
    }
    Ok(())
}

/// A local read: the position of the state that it saw, and what it saw there (a digest, or the answer itself).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalRead<P, V> {
    /// Who read, always at one and the same node.
    pub client: ClientId,
    /// How much of the order the node had applied.
    pub position: P,
    /// What the read saw.
    pub seen: V,
}

/// Local reads that no single order explains.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalReadError<P: Debug, V: Debug> {
    /// A client was taken back in time.
    #[error("read {at}: {client} saw position {saw:?} after {before:?}")]
    WentBack {
        /// Who read.
        client: ClientId,
        /// Which of the reads, counted from 0.
        at: usize,
        /// What it saw.
        saw: P,
        /// What it had seen.
        before: P,
    },
    /// Two states stand at one position: the nodes do not follow one order.
    #[error("position {position:?} is {seen:?} in read {at}, and {other:?} in read {before}")]
    Differs {
        /// The position.
        position: P,
        /// Which of the reads, counted from 0.
        at: usize,
        /// What it saw.
        seen: V,
        /// An earlier read of the same position.
        before: usize,
        /// What that one saw.
        other: V,
    },
}

/// Local reads are sequentially consistent: every client sees ever longer prefixes of one order, the same for all. A
/// read may be behind; it may not be beside.
///
/// The slice has each client's reads in the order in which it made them. What is read must be the same question
/// everywhere; of different questions, give each a slice of its own.
pub fn consistent_prefix_reads<P, V>(reads: &[LocalRead<P, V>]) -> Result<(), LocalReadError<P, V>>
where
    P: Ord + Copy + Debug,
    V: PartialEq + Clone + Debug,
{
    let mut reached: BTreeMap<ClientId, P> = BTreeMap::new();
    let mut states: BTreeMap<P, usize> = BTreeMap::new();
    for (at, LocalRead { client, position, seen }) in reads.iter().enumerate() {
        if let Some(before) = reached.insert(*client, *position)
            && *position < before
        {
            return Err(LocalReadError::WentBack { client: *client, at, saw: *position, before });
        }
        let before = *states.entry(*position).or_insert(at);
        let other = &reads[before].seen;
        if other != seen {
            let (seen, other) = (seen.clone(), other.clone());
            return Err(LocalReadError::Differs { position: *position, at, seen, before, other });
        }
    }
    Ok(())
}
