//! The running digest: how replicas notice that they have diverged.
//!
//! After each entry the digest covers all entries up to it: index, method and reply of those that took effect, the
//! index of the others. Equal logs and deterministic methods give equal digests at equal indexes. Nodes exchange
//! checkpoints; [`DigestRing`] finds the first index at which two nodes differ, and so the method that is not
//! deterministic. The text of a panic is not covered, only that there was one: texts may contain addresses.

use super::reply::Reply;
use crate::codec::method::MethodId;
use crate::hash::{hash_bytes, mix};
use crate::raft::types::Index;
use std::collections::VecDeque;

/// How many checkpoints a node keeps: a replica can be compared while it is at most this many entries behind.
pub(crate) const DIGEST_RING_MAX: usize = 4_096;

/// The digest after an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Checkpoint {
    /// The entry.
    pub(crate) index: Index,
    /// The digest, this entry included.
    pub(crate) digest: u64,
    /// The method that took effect at this entry, if one did.
    pub(crate) method: Option<MethodId>,
}

impl Checkpoint {
    /// The checkpoint after an entry without effect: a no-op, a duplicate, a gap.
    pub(crate) fn without_effect(self, index: Index) -> Checkpoint {
        Checkpoint { index, digest: mix(self.digest, index.0), method: None }
    }

    /// The checkpoint after a call that took effect. `value` is the encoded reply, even if it is too large to be kept.
    pub(crate) fn with_effect(
        self,
        index: Index,
        method: MethodId,
        reply: &Reply,
        value: &[u8],
    ) -> Checkpoint {
        let digest = mix(mix(self.digest, index.0), u64::from(method.0) << 8 | kind(reply));
        let digest = match reply {
            Reply::Panicked(_) | Reply::Unencodable(_) => digest,
            Reply::Value(_) | Reply::TooLarge { .. } | Reply::Forgotten => hash_bytes(digest, value),
        };
        Checkpoint { index, digest, method: Some(method) }
    }
}

/// NB: all replies with a value are of one kind, because the limit of their size may differ between nodes.
fn kind(reply: &Reply) -> u64 {
    match reply {
        Reply::Value(_) | Reply::TooLarge { .. } | Reply::Forgotten => 0,
        Reply::Panicked(_) => 1,
        Reply::Unencodable(_) => 2,
    }
}

/// The last checkpoints of a node, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct DigestRing {
    checkpoints: VecDeque<Checkpoint>,
}

/// The first checkpoint at which two replicas differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DigestMismatch {
    /// Our checkpoint there.
    pub(crate) ours: Checkpoint,
    /// Whether the checkpoints before it are known to be equal: then the replicas diverged at this entry.
    pub(crate) exact: bool,
}

impl DigestRing {
    /// Adds the checkpoints of the entries applied last.
    pub(crate) fn extend(&mut self, checkpoints: &[Checkpoint]) {
        for checkpoint in checkpoints {
            if let Some(last) = self.checkpoints.back() {
                assert_eq!(checkpoint.index, last.index.next(), "checkpoints without gaps");
            }
            if self.checkpoints.len() == DIGEST_RING_MAX {
                self.checkpoints.pop_front();
            }
            self.checkpoints.push_back(*checkpoint);
        }
    }

    /// The checkpoint after an entry, if it is still kept.
    pub(crate) fn at(&self, index: Index) -> Option<Checkpoint> {
        let first = self.checkpoints.front()?.index;
        let offset = usize::try_from(index.0.checked_sub(first.0)?).ok()?;
        self.checkpoints.get(offset).copied()
    }

    /// The latest checkpoint.
    pub(crate) fn last(&self) -> Option<Checkpoint> {
        self.checkpoints.back().copied()
    }

    /// At most `count` checkpoints up to `index`, oldest first, for a peer whose digest differs.
    pub(crate) fn before(&self, index: Index, count: usize) -> Vec<Checkpoint> {
        let upto = self.checkpoints.partition_point(|checkpoint| checkpoint.index <= index);
        self.checkpoints.range(upto.saturating_sub(count)..upto).copied().collect()
    }

    /// The first of another node's checkpoints (oldest first) that differs from ours. `None`: no difference among those
    /// that both nodes keep.
    pub(crate) fn first_mismatch(&self, theirs: &[Checkpoint]) -> Option<DigestMismatch> {
        let mut exact = false;
        for their in theirs {
            let Some(ours) = self.at(their.index) else { continue };
            if ours.digest != their.digest {
                return Some(DigestMismatch { ours, exact: exact || their.index == Index(1) });
            }
            exact = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn chain(length: u64, wrong_at: u64) -> Vec<Checkpoint> {
        let mut last = Checkpoint::default();
        (1..=length)
            .map(|index| {
                let value = [u8::from(index == wrong_at)];
                let reply = Reply::Value(Bytes::copy_from_slice(&value));
                last = last.with_effect(Index(index), MethodId(9), &reply, &value);
                last
            })
            .collect()
    }

    #[test]
    fn the_first_mismatch_is_found_while_it_is_kept() {
        let (ours, theirs) = (chain(6_000, 0), chain(6_000, 5_000));
        let mut ring = DigestRing::default();
        ring.extend(&ours);
        assert_eq!(ring.first_mismatch(&ours), None);
        let found = ring.first_mismatch(&theirs).unwrap();
        assert_eq!(found, DigestMismatch { ours: ours[4_999], exact: true });
        // The checkpoints begin after the divergence: the first index is only known to be earlier.
        let found = ring.first_mismatch(&theirs[5_500..]).unwrap();
        assert_eq!(found, DigestMismatch { ours: ours[5_500], exact: false });
        assert_eq!(ring.at(Index(6_000 - 4_096)), None);
        assert_eq!(ring.at(Index(6_000 - 4_095)), Some(ours[6_000 - 4_096]));
        assert_eq!(ring.at(Index(6_001)), None);
        assert_eq!(ring.before(Index(5_000), 3), ours[4_997..5_000]);
        assert_eq!(ring.last(), ours.last().copied());
    }

    #[test]
    fn limits_and_panic_texts_do_not_change_the_digest() {
        let start = Checkpoint::default();
        let value = Reply::Value(Bytes::from_static(b"reply"));
        let large = Reply::TooLarge { bytes: 5, limit: 1 };
        let with = |reply: &Reply| start.with_effect(Index(1), MethodId(1), reply, b"reply");
        assert_eq!(with(&value), with(&large));
        let panicked = Reply::Panicked("at 0x1234".into());
        assert_eq!(with(&panicked), with(&Reply::Panicked("at 0x5678".into())));
        assert_ne!(with(&panicked).digest, with(&value).digest);
        assert_ne!(with(&value).digest, start.without_effect(Index(1)).digest);
    }

    // Breaks: replicas that have diverged are taken for equal.
    #[test]
    fn the_digest_covers_the_method_and_the_kind_of_reply() {
        let with = |method, reply: &Reply| {
            Checkpoint::default().with_effect(Index(1), MethodId(method), reply, b"reply").digest
        };
        let panicked = Reply::Panicked(String::new().into());
        assert_ne!(with(1, &panicked), with(1, &Reply::Unencodable(String::new().into())));
        assert_ne!(with(1, &Reply::Forgotten), with(2, &Reply::Forgotten));
    }
}
