//! File descriptors: how many this process may have, and how many a node's connections may take of them.
//!
//! What a node cannot do without is reserved: its log, its identity, its peers. The rest bounds the connections that have
//! not identified themselves, so that unidentified connections, however many, take no descriptor from the log. Begin with
//! [`connection_limits`].

use std::fs;

/// Limits of accepted connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// In their handshake.
    pub(crate) handshakes_max: usize,
    /// After their handshake.
    pub(crate) accepted_max: usize,
}

/// Raises the process's limit of open files as far as it may, and shares out what is free.
///
/// # Errors
/// The limit is too low for a node with this many peers: a sentence with the limit and the remedy.
pub(crate) fn connection_limits(peers: usize) -> Result<ConnectionLimits, String> {
    // Where it cannot be raised or read, the limit is the one that most systems begin with.
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .or_else(|_| rlimit::Resource::NOFILE.get_soft())
        .unwrap_or(DESCRIPTORS_DEFAULT);
    share_out(limit, open_descriptors(), peers as u64)
}

fn share_out(limit: u64, open: u64, peers: u64) -> Result<ConnectionLimits, String> {
    let reserved = OWN + PEER * peers;
    let free = limit.saturating_sub(open).saturating_sub(reserved);
    if free < FREE_MIN {
        return Err(format!(
            "this process may open {limit} files and {open} are open, but a node with {peers} peers needs {} more: raise \
             the hard limit of open files (`ulimit -n`, `LimitNOFILE=`), then start the node",
            reserved + FREE_MIN
        ));
    }
    let part = |share: u64, max: usize| usize::try_from(share).map_or(max, |share| share.min(max));
    Ok(ConnectionLimits {
        handshakes_max: part(free / 2, HANDSHAKES_MAX),
        accepted_max: part(4 * peers + free / 4, ACCEPTED_MAX),
    })
}

/// The descriptors that this process has open. The directory that lists them takes one more, which is closed again.
fn open_descriptors() -> u64 {
    fs::read_dir("/dev/fd").map_or(OPEN_ASSUMED, |list| list.count() as u64)
}

/// The listener, three of the runtime, and the log's: lock, active segment, next segment, one that is being made,
/// directory, identity. Some more for name lookups.
const OWN: u64 = 16;
/// Two connections that we dialled, two that we accepted, and two that the peer made anew before we noticed the loss of
/// the old ones.
const PEER: u64 = 6;
/// Enough handshakes at once that peers meet.
const FREE_MIN: u64 = 8;
/// More would gain nothing.
const HANDSHAKES_MAX: usize = 256;
const ACCEPTED_MAX: usize = 512;
const DESCRIPTORS_DEFAULT: u64 = 1_024;
/// Where they cannot be listed.
const OPEN_ASSUMED: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    // Breaks: unidentified connections take the descriptors of the log or of peers; or a node starts that cannot work.
    #[test]
    fn connections_of_strangers_get_a_part_of_what_is_left() {
        for limit in 0..3_000 {
            for peers in [0, 2, 6] {
                let shared = share_out(limit, 10, peers);
                let needed = 10 + OWN + PEER * peers;
                let Ok(limits) = shared else {
                    assert!(limit < needed + FREE_MIN, "{limit} for {peers}: {shared:?}");
                    continue;
                };
                let (handshakes, accepted) = (limits.handshakes_max as u64, limits.accepted_max as u64);
                // One more socket: the one that was accepted and waits.
                assert!(
                    handshakes + 1 + accepted + 2 * peers + 10 + OWN <= limit,
                    "{limit} for {peers}: {limits:?}"
                );
                assert!(accepted >= 4 * peers && handshakes >= 4, "{limit} for {peers}: {limits:?}");
            }
        }
        let ample = ConnectionLimits { handshakes_max: HANDSHAKES_MAX, accepted_max: ACCEPTED_MAX };
        assert_eq!(share_out(u64::MAX, 10, 2), Ok(ample));
        let refusal = share_out(40, 20, 2).unwrap_err();
        assert!(refusal.contains("may open 40 files and 20 are open"), "{refusal}");
        assert!(refusal.contains("ulimit -n"), "{refusal}");
    }
}
