//! Entries to bytes and back.

use crate::entry::Entry;

/// The bytes are not an entry of a version this program knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError(pub &'static str);

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "cannot decode: {}", self.0)
    }
}

impl core::error::Error for DecodeError {}

impl Entry {
    /// Appends the entry's bytes: a version byte, a kind byte, then varints.
    pub fn encode(&self, _out: &mut Vec<u8>) {
        panic!("being written")
    }

    /// Reads what [`Entry::encode`] wrote. Never panics, and allocates no more than a small multiple of the input.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn decode(_bytes: &[u8]) -> Result<Entry, DecodeError> {
        panic!("being written")
    }
}
