//! The door through which fuzzers reach the decoders of bytes from outside: not for people, and without a promise.
//!
//! A [`Target`] takes bytes that may be anything and says what must hold of them: no panic; what is refused is
//! refused with an error; what is accepted is encoded again to the same bytes, or to bytes that mean the same;
//! and whoever runs it measures that decoding took no more memory than [`MemoryBound`] allows. It may not know who
//! makes the bytes: see `tests/fuzz/`.
//!
//! Plain bytes die at the first checksum. Targets whose names end in `_sealed` therefore read their input as
//! parts of what a correct sender would seal (`Input`), and seal it, so that what is behind the checksum is
//! reached as well.
//!
//! Begin with [`targets`].

pub(crate) mod codec;
mod object;

pub use object::{machine, machine_seed, reply};

/// One decoder, or one composition of them.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "functions have nothing to show")]
pub struct Target {
    /// Names its folders of inputs.
    pub name: &'static str,
    /// Decodes. `None` where the bytes are refused; otherwise what remains to be checked of the decoded value.
    /// Checks come later so that their memory is not counted.
    pub decode: fn(&[u8]) -> Option<Check>,
    /// Inputs made by the real encoders, each with a name: where fuzzing begins. All of them are accepted.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
    /// What decoding may take.
    pub memory: MemoryBound,
}

/// What must hold of a decoded value. Panics where it does not.
pub type Check = Box<dyn FnOnce()>;

/// The most memory that a decoder may hold at once.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBound {
    /// Whatever the input.
    pub bytes_fixed: usize,
    /// More for each byte of the input.
    pub bytes_per_byte: usize,
}

impl MemoryBound {
    /// For an input of this length.
    pub fn bytes_max(self, input_bytes: usize) -> usize {
        self.bytes_fixed + self.bytes_per_byte * input_bytes
    }
}

/// All targets of the library; those about a user's object are [`machine`] and [`reply`].
pub fn targets() -> Vec<Target> {
    [codec::targets(), crate::net::fuzz::targets(), crate::storage::fuzz::targets()].concat()
}

/// Reads an input as a row of small decisions. It never fails: an input that ends goes on as zeroes.
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

    /// A length of two bytes, and so many bytes, or as many as there are.
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

/// Appends what [`Input::slice`] takes.
pub(crate) fn put_slice(input: &mut Vec<u8>, slice: &[u8]) {
    let length = u16::try_from(slice.len()).expect("seeds are small");
    input.extend_from_slice(&length.to_le_bytes());
    input.extend_from_slice(slice);
}
