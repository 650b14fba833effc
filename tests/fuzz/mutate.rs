//! Mutates inputs into ones that are almost valid. The seed determines every mutation.

use raftobj::sim::Random;

/// A number from 1 to `2^(powers - 1)`. Small numbers are more frequent.
fn skewed(random: &mut Random, powers: usize) -> usize {
    let power = below(random, powers);
    1 + below(random, 1 << power)
}

/// A number below `bound`, which is not zero.
fn below(random: &mut Random, bound: usize) -> usize {
    random.below(bound as u64) as usize
}

/// Boundary values of counters, lengths and flags, in the encodings that are in use.
const BOUNDARY_VALUES: [&[u8]; 12] = [
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
    let mut bytes = inputs[below(random, inputs.len())].clone();
    for _ in 0..skewed(random, 4) {
        change(&mut bytes, inputs, random);
    }
    bytes
}

/// The longest input. A fault that a longer one shows is shown by one of these too.
pub const INPUT_BYTES_MAX: usize = 32 << 10;

fn change(bytes: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Random) {
    let at = below(random, bytes.len() + 1);
    let length = skewed(random, 7);
    let end = (at + length).min(bytes.len());
    match below(random, 8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << below(random, 8),
        1 if at < bytes.len() => bytes[at] = below(random, 256) as u8,
        2 if at < bytes.len() => {
            bytes[at] = bytes[at].wrapping_add(below(random, 2) as u8 * 2).wrapping_sub(1)
        }
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copied = bytes[at..end].to_vec();
            let into = below(random, bytes.len() + 1);
            bytes.splice(into..into, copied);
        }
        5 => {
            let value = BOUNDARY_VALUES[below(random, BOUNDARY_VALUES.len())];
            let replaced_to = if below(random, 2) == 0 { at } else { (at + value.len()).min(bytes.len()) };
            bytes.splice(at..replaced_to, value.iter().copied());
        }
        6 => {
            let other = &inputs[below(random, inputs.len())];
            let from = below(random, other.len() + 1);
            let until = (from + length).min(other.len());
            bytes.splice(at..end, other[from..until].iter().copied());
        }
        _ => bytes.truncate(at.max(bytes.len().saturating_sub(length))),
    }
    bytes.truncate(INPUT_BYTES_MAX);
}
