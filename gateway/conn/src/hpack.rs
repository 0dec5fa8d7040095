//! Header compression for HTTP/2 (RFC 7541): the decoder of requests, the encoder of answers.
//!
//! Written by hand because it is on the path of every order: the decoder hands out fields that lie in the block or in its
//! table, so that a request costs no allocation for its names and values.

mod decode;
mod encode;
mod huffman;
mod integer;
mod table;

pub(crate) use decode::{Decoder, Field};
pub(crate) use encode::Encoder;

/// Bytes of a dynamic table, counted as RFC 7541 section 4.1 does: SETTINGS_HEADER_TABLE_SIZE's default, which neither
/// side needs to raise.
pub(crate) const TABLE_BYTES: usize = 4096;

/// What an entry counts besides its name and value (RFC 7541 section 4.1).
pub(crate) const ENTRY_OVERHEAD: usize = 32;

/// Why a block is not decoded to its end. The peer's table and ours differ from here on, so the connection ends
/// (RFC 9113 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// It breaks RFC 7541.
    Malformed,
    /// Its fields come to more bytes than anybody wants.
    TooMuch,
}
