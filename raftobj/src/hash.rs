//! Hashes and random numbers that are part of the formats: the same on every machine and in every version.

/// FNV-1a with 32 bits: the id of a method is this hash of its name. It is `const`, so collisions are found when the
/// user's crate is compiled.
pub(crate) const fn fnv1a_32(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut hash: u32 = 0x811c_9dc5;
    let mut i = 0;
    while i < bytes.len() {
        hash ^= bytes[i] as u32;
        hash = hash.wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// One step of a running hash: `state` after `word`. It multiplies 64 by 64 bits and folds the halves, as wyhash does.
/// It does not resist an attacker.
pub(crate) const fn mix(state: u64, word: u64) -> u64 {
    let product =
        ((state ^ 0x9e37_79b9_7f4a_7c15) as u128).wrapping_mul((word ^ 0xd1b5_4a32_d192_ed03) as u128 | 1);
    (product as u64) ^ ((product >> 64) as u64) ^ word.rotate_left(32)
}

/// The next number of the generator SplitMix64 with this `state`. Any state can be the seed.
pub(crate) const fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `state` after `bytes`, eight at a time. The length is hashed too.
pub(crate) fn hash_bytes(state: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(state, bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        state = mix(state, u64::from_le_bytes(last));
    }
    state
}
