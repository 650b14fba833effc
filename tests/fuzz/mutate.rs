//! Inputs that are almost right: what a seed, and only a seed, makes of others.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 1 up to a power of two of this size, small numbers more often.
    fn some(&mut self, powers: usize) -> usize {
        let power = self.below(powers);
        1 + self.below(1 << power)
    }

    /// Below this bound, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Values at which counters, lengths and flags change their meaning, in the encodings that are in use.
const MEANINGFUL: [&[u8]; 12] = [
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

/// One of the inputs, changed in one to eight places.
pub fn mutate(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].clone();
    for _ in 0..random.some(4) {
        change(&mut bytes, inputs, random);
    }
    bytes
}

/// The longest input: what is wrong with a longer one is wrong with one of these.
pub const INPUT_BYTES_MAX: usize = 32 << 10;

fn change(bytes: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = random.some(7);
    let end = (at + length).min(bytes.len());
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 if at < bytes.len() => {
            bytes[at] = bytes[at].wrapping_add(random.below(2) as u8 * 2).wrapping_sub(1)
        }
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copied = bytes[at..end].to_vec();
            let into = random.below(bytes.len() + 1);
            bytes.splice(into..into, copied);
        }
        5 => {
            let meaningful = MEANINGFUL[random.below(MEANINGFUL.len())];
            let replaced = if random.below(2) == 0 { at } else { (at + meaningful.len()).min(bytes.len()) };
            bytes.splice(at..replaced, meaningful.iter().copied());
        }
        6 => {
            let other = &inputs[random.below(inputs.len())];
            let from = random.below(other.len() + 1);
            let until = (from + length).min(other.len());
            bytes.splice(at..end, other[from..until].iter().copied());
        }
        _ => bytes.truncate(at.max(bytes.len().saturating_sub(length))),
    }
    bytes.truncate(INPUT_BYTES_MAX);
}
