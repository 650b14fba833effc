//! Fuzz targets: every decoder of bytes from outside. Only under `--cfg raftobj_fuzz`, which `tests/fuzz/library`
//! sets; no part of the public interface.
//!
//! A [`Target`] decodes arbitrary bytes and checks: no panic; bytes are refused with an error; an accepted value is
//! encoded again to the same bytes, or to bytes of an equal value. Its runner measures that decoding took no more
//! memory than [`MemoryBound`] allows. A target may not know where the bytes come from: see `tests/fuzz/`.
//!
//! Arbitrary bytes fail at the first checksum. Targets with names in `_sealed` therefore read their input as parts of
//! a message (`Input`) and compute the checksums themselves, which reaches the code behind them.
//!
//! Begin with [`targets`].

pub(crate) mod codec;
mod object;

pub use object::{machine, machine_seed, reply};

/// One decoder, or several in a row.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "functions have nothing to show")]
pub struct Target {
    /// Also the name of its folders of inputs.
    pub name: &'static str,
    /// Decodes. `None` if the bytes are refused; otherwise the check of the decoded value, which runs later so that
    /// its memory is not counted.
    pub decode: fn(&[u8]) -> Option<Check>,
    /// Inputs from the real encoders, each with a name: fuzzing begins with them. All of them are accepted.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
    /// The memory that decoding may take.
    pub memory: MemoryBound,
}

/// The check of a decoded value. Panics if it fails.
pub type Check = Box<dyn FnOnce()>;

/// The most memory that a decoder may hold at once.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBound {
    /// For any input.
    pub bytes_fixed: usize,
    /// In addition, for each byte of the input.
    pub bytes_per_byte: usize,
}

impl MemoryBound {
    /// For an input of this length.
    pub fn bytes_max(self, input_bytes: usize) -> usize {
        self.bytes_fixed + self.bytes_per_byte * input_bytes
    }
}

/// The targets of the library. Those of a user's object are made with [`machine`] and [`reply`].
pub fn targets() -> Vec<Target> {
    [codec::targets(), crate::net::fuzz::targets(), crate::storage::fuzz::targets()].concat()
}

/// Reads an input as a sequence of small decisions. Never fails: after its end it continues with zeroes.
#[derive(Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let byte = self.0.first().copied().unwrap_or(0);
        self.0 = self.0.get(1..).unwrap_or_default();
        byte
    }

    pub(crate) fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// A length of two bytes, then that many bytes, or as many as are left.
    pub(crate) fn slice(&mut self) -> &'a [u8] {
        let length = self.short().min(self.0.len());
        let (slice, rest) = self.0.split_at(length);
        self.0 = rest;
        slice
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Appends what [`Input::slice`] reads.
pub(crate) fn put_slice(input: &mut Vec<u8>, slice: &[u8]) {
    let length = u16::try_from(slice.len()).expect("seeds are small");
    input.extend_from_slice(&length.to_le_bytes());
    input.extend_from_slice(slice);
}
