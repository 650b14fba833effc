//! The configurations that a search has visited, with the sets of operations that they consist of.

use crate::hash::{hash_bytes, mix};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// A set of small numbers.
#[derive(Clone, Default)]
pub(super) struct BitSet(Vec<u64>);

impl BitSet {
    pub(super) fn with_capacity(bits: usize) -> Self {
        Self(vec![0; bits.div_ceil(64)])
    }

    pub(super) fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    pub(super) fn clear(&mut self, bit: usize) {
        self.0[bit / 64] &= !(1 << (bit % 64));
    }

    /// The canonical form: without the full words at the beginning, which are counted, and the empty ones at the end.
    /// Operations are placed nearly in the order of their invocation, so that this is one word or two, however long the
    /// history is.
    fn trimmed(&self) -> Trimmed {
        let skipped = self.0.iter().take_while(|word| **word == u64::MAX).count();
        let end = self.0.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        Trimmed { skipped, words: self.0.get(skipped..end).unwrap_or_default().into() }
    }
}

#[derive(PartialEq, Eq)]
struct Trimmed {
    skipped: usize,
    words: Box<[u64]>,
}

impl Trimmed {
    fn word(&self, at: usize) -> u64 {
        if at < self.skipped {
            return u64::MAX;
        }
        self.words.get(at - self.skipped).copied().unwrap_or(0)
    }

    fn is_subset(&self, other: &Self) -> bool {
        let end = self.skipped + self.words.len();
        (0..end).all(|at| self.word(at) & !other.word(at) == 0)
    }
}

/// The configurations that a search has visited: the required operations placed, the optional ones placed, and the state.
///
/// A `BTreeMap` with a fixed hash, not a `HashMap`: the same search takes the same steps on every machine. The result
/// never depends on the hash, because configurations are compared in full.
pub(super) struct Visited<S> {
    by_hash: BTreeMap<u64, Vec<Configuration<S>>>,
}

struct Configuration<S> {
    required: Trimmed,
    optional: Trimmed,
    state: S,
}

impl<S: Clone + Eq + Hash> Visited<S> {
    pub(super) fn new() -> Self {
        Self { by_hash: BTreeMap::new() }
    }

    /// Whether the configuration must be entered; if so, it is recorded. It need not be if an earlier one covers it: with
    /// the same required operations and state, and a subset of the optional operations. Every order that is possible from
    /// this configuration is then possible from that one.
    pub(super) fn is_new(&mut self, required: &BitSet, optional: &BitSet, state: &S) -> bool {
        let (required, optional) = (required.trimmed(), optional.trimmed());
        let mut hasher = FixedHasher(required.skipped as u64);
        required.words.hash(&mut hasher);
        state.hash(&mut hasher);
        let visited = self.by_hash.entry(hasher.finish()).or_default();
        let is_covered = visited.iter().any(|earlier| {
            earlier.optional.is_subset(&optional) && earlier.required == required && earlier.state == *state
        });
        if !is_covered {
            visited.push(Configuration { required, optional, state: state.clone() });
        }
        !is_covered
    }
}

struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(self.0, bytes);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(of: &[usize]) -> BitSet {
        let mut bits = BitSet::with_capacity(200);
        of.iter().for_each(|bit| bits.set(*bit));
        bits
    }

    /// If a configuration with more optional operations placed were new, a search would be exponential in them; if one with
    /// fewer or other ones were covered, an order would be missed.
    #[test]
    fn only_configurations_that_an_earlier_one_covers_are_skipped() {
        let mut visited = Visited::new();
        assert!(visited.is_new(&bits(&[1]), &bits(&[3, 150]), &"a"));
        assert!(!visited.is_new(&bits(&[1]), &bits(&[3, 150]), &"a"));
        assert!(!visited.is_new(&bits(&[1]), &bits(&[3, 4, 150]), &"a"));
        assert!(visited.is_new(&bits(&[1]), &bits(&[3, 4]), &"a"));
        assert!(visited.is_new(&bits(&[1]), &bits(&[3]), &"a"));
        assert!(visited.is_new(&bits(&[1]), &bits(&[3]), &"b"));
        assert!(visited.is_new(&bits(&[2]), &bits(&[3]), &"a"));
        let full: Vec<usize> = (0..128).collect();
        assert!(visited.is_new(&bits(&full), &bits(&[]), &"a"));
        assert!(visited.is_new(&bits(&full[..64]), &bits(&[]), &"a"));
        assert!(visited.is_new(&bits(&[]), &bits(&full), &"c"));
        assert!(visited.is_new(&bits(&[]), &bits(&full[1..]), &"c"), "a full word is not a skipped one");
        let mut cleared = bits(&[7]);
        cleared.clear(7);
        assert!(!visited.is_new(&cleared, &bits(&full[1..]), &"c"));
    }
}
