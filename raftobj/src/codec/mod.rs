//! The bytes of entries, commands, messages and hellos: one encoding for disk and wire.
//!
//! | file | format |
//! |---|---|
//! | [`entry`] | an entry of the log, and the hard state |
//! | [`command`] | a call: the payload of an entry |
//! | [`membership`] | the members of a cluster, and its id |
//! | [`hello`] | the first frame of a connection |
//! | [`message`] | all other frames: the RPCs of the paper, forwarded calls, founding, digests |
//!
//! This room does not know who sends or stores the bytes. Integers are little-endian with a fixed width, or LEB128
//! (`varint`) if most of them are small. A decoder returns a [`DecodeError`] for all bytes that the encoder does not
//! write. It allocates at most 48 bytes for each byte of its input, whatever a length field claims (`tests/fuzz/`
//! measures it).

pub(crate) mod command;
pub(crate) mod entry;
pub(crate) mod hello;
pub(crate) mod membership;
pub(crate) mod message;
pub(crate) mod method;

use bytes::{Buf, Bytes};

/// The input is not what the encoder of this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The input ends too early.
    #[error("the bytes end inside `{0}`")]
    Truncated(&'static str),
    /// A field has a value without a meaning.
    #[error("`{field}` has the invalid value {value}")]
    Invalid { field: &'static str, value: u64 },
    /// Bytes are left over.
    #[error("{0} bytes are left over")]
    Trailing(usize),
}

/// Appends encoded values to a buffer.
pub(crate) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    /// LEB128: seven bits in each byte, the lowest first.
    fn put_varint(&mut self, value: u64);
    /// The length as a varint, then the bytes.
    fn put_slice(&mut self, value: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_slice(&mut self, value: &[u8]) {
        self.put_varint(value.len() as u64);
        self.extend_from_slice(value);
    }
}

/// A target for encoded messages: a buffer, which may pass on large parts without a copy.
pub(crate) trait Sink {
    /// The buffer to append to.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// Appends bytes, without a copy if that is cheaper.
    fn share(&mut self, bytes: &Bytes);
}

impl Sink for Vec<u8> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self
    }

    fn share(&mut self, bytes: &Bytes) {
        self.extend_from_slice(bytes);
    }
}

/// Takes encoded values from the front of a buffer. `field` is the name of the value in errors.
pub(crate) trait Take {
    fn take_u8(&mut self, field: &'static str) -> Result<u8, DecodeError>;
    fn take_u32(&mut self, field: &'static str) -> Result<u32, DecodeError>;
    fn take_u64(&mut self, field: &'static str) -> Result<u64, DecodeError>;
    fn take_varint(&mut self, field: &'static str) -> Result<u64, DecodeError>;
    /// A slice of the input's buffer, without a copy.
    fn take_slice(&mut self, field: &'static str) -> Result<Bytes, DecodeError>;
    fn take_string(&mut self, field: &'static str) -> Result<String, DecodeError>;
    /// Fails if bytes are left over.
    fn finish(self) -> Result<(), DecodeError>;
}

impl Take for Bytes {
    fn take_u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.try_get_u8().map_err(|_| DecodeError::Truncated(field))
    }

    fn take_u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.try_get_u32_le().map_err(|_| DecodeError::Truncated(field))
    }

    fn take_u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.try_get_u64_le().map_err(|_| DecodeError::Truncated(field))
    }

    fn take_varint(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take_u8(field)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // Each value has one encoding: no zero byte at the end.
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(DecodeError::Invalid { field, value })
    }

    fn take_slice(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.take_varint(field)?;
        match usize::try_from(length) {
            Ok(length) if length <= self.len() => Ok(self.split_to(length)),
            _ => Err(DecodeError::Truncated(field)),
        }
    }

    fn take_string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.take_slice(field)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(DecodeError::Invalid { field, value: error.valid_up_to() as u64 }),
        }
    }

    fn finish(self) -> Result<(), DecodeError> {
        match self.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_and_have_one_encoding() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut buffer = Vec::new();
            buffer.put_varint(value);
            let mut input = Bytes::from(buffer);
            assert_eq!(input.take_varint("v"), Ok(value));
            assert_eq!(input.finish(), Ok(()));
        }
        for bad in [&[0x80, 0x00][..], &[0xff; 10][..], &[0xff; 11][..]] {
            let mut input = Bytes::copy_from_slice(bad);
            assert!(matches!(input.take_varint("v"), Err(DecodeError::Invalid { .. })));
        }
        assert_eq!(Bytes::from_static(&[0x80]).take_varint("v"), Err(DecodeError::Truncated("v")));
    }

    #[test]
    fn a_length_beyond_the_input_is_an_error_not_an_allocation() {
        let mut buffer = Vec::new();
        buffer.put_varint(u64::MAX);
        assert_eq!(Bytes::from(buffer).take_slice("s"), Err(DecodeError::Truncated("s")));
    }
}
