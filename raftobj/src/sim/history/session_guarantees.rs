//! Session guarantees (Terry et al. 1994): read your writes and monotonic reads; and consistent prefixes for local reads.

use super::record::ClientId;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A position in the order of all writes that a client observed, by a write that was acknowledged or by a read.
///
/// A position is, for example, a log index, a counter's value or a list's length. A slice of observations has those of
/// each client in the order in which it made them, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation<P> {
    /// The client that observed it.
    pub client: ClientId,
    /// How it observed it.
    pub access: Access,
    /// The position of its write, or of the state that it read.
    pub position: P,
}

/// How a client observed a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Its own write at this position was acknowledged.
    Write,
    /// It read the state at this position.
    Read,
}

/// A read returned a state that is too old.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("observation {observation}: {client} read at {position:?}, after it {} {position_min:?}", match .access {
    Access::Write => "wrote at",
    Access::Read => "read at",
})]
#[non_exhaustive]
pub struct StaleRead<P: Debug> {
    /// The client that read.
    pub client: ClientId,
    /// The read: its position in the slice of observations.
    pub observation: usize,
    /// The position of the state that it read.
    pub position: P,
    /// The position that it should have read, or a later one.
    pub position_min: P,
    /// How the client had observed `position_min` before.
    pub access: Access,
}

/// Each read sees every earlier acknowledged write of its own client.
pub fn read_your_writes<P: Ord + Copy + Debug>(observations: &[Observation<P>]) -> Result<(), StaleRead<P>> {
    no_stale_read(observations, Access::Write)
}

/// No read returns an older state than an earlier read of its own client.
pub fn monotonic_reads<P: Ord + Copy + Debug>(observations: &[Observation<P>]) -> Result<(), StaleRead<P>> {
    no_stale_read(observations, Access::Read)
}

fn no_stale_read<P: Ord + Copy + Debug>(
    observations: &[Observation<P>],
    after: Access,
) -> Result<(), StaleRead<P>> {
    let mut positions_min: BTreeMap<ClientId, P> = BTreeMap::new();
    for (number, Observation { client, access, position }) in observations.iter().enumerate() {
        let (client, position) = (*client, *position);
        if let (Access::Read, Some(position_min)) = (access, positions_min.get(&client).copied())
            && position < position_min
        {
            return Err(StaleRead { client, observation: number, position, position_min, access: after });
        }
        if *access == after {
            let position_min = positions_min.entry(client).or_insert(position);
            *position_min = (*position_min).max(position);
        }
    }
    Ok(())
}

/// A read that a node served from its own state, which may be behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalRead<P, V> {
    /// The client that read. All its reads are at one node.
    pub client: ClientId,
    /// The position in the order of all writes that the node had applied.
    pub position: P,
    /// The result of the read, or a digest of the state.
    pub value: V,
}

/// Local reads that no single order of writes explains.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalReadError<P: Debug, V: Debug> {
    /// A client read an older state than before.
    #[error("read {read}: {client} read at {position:?} after {position_before:?}")]
    WentBack {
        /// The client.
        client: ClientId,
        /// The read: its position in the slice of reads.
        read: usize,
        /// The position of the state that it read.
        position: P,
        /// The position that the client had read before.
        position_before: P,
    },
    /// Two reads of one position differ: the nodes did not apply the same order of writes.
    #[error(
        "position {position:?} is {value:?} in read {read}, and {earlier_value:?} in read {earlier_read}"
    )]
    Differs {
        /// The position.
        position: P,
        /// One read: its position in the slice of reads.
        read: usize,
        /// Its value.
        value: V,
        /// An earlier read of the same position.
        earlier_read: usize,
        /// Its value.
        earlier_value: V,
    },
}

/// Local reads are sequentially consistent: all clients read prefixes of one order of writes, and none reads a shorter one
/// than before. A read may be stale; it may not contradict another.
///
/// The slice has each client's reads in the order in which it made them. All reads in it must ask for the same thing; check
/// different ones separately.
pub fn consistent_prefix_reads<P, V>(reads: &[LocalRead<P, V>]) -> Result<(), LocalReadError<P, V>>
where
    P: Ord + Copy + Debug,
    V: PartialEq + Clone + Debug,
{
    let mut positions: BTreeMap<ClientId, P> = BTreeMap::new();
    let mut first_reads: BTreeMap<P, usize> = BTreeMap::new();
    for (read, LocalRead { client, position, value }) in reads.iter().enumerate() {
        let (client, position) = (*client, *position);
        if let Some(position_before) = positions.insert(client, position)
            && position < position_before
        {
            return Err(LocalReadError::WentBack { client, read, position, position_before });
        }
        let earlier_read = *first_reads.entry(position).or_insert(read);
        let earlier_value = &reads[earlier_read].value;
        if earlier_value != value {
            let (value, earlier_value) = (value.clone(), earlier_value.clone());
            return Err(LocalReadError::Differs { position, read, value, earlier_read, earlier_value });
        }
    }
    Ok(())
}
