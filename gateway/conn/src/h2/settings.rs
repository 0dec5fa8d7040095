//! What each side tells the other at the beginning (RFC 9113 section 6.5).

use super::frame::{Fault, PAYLOAD_BYTES_MAX, Reason, WINDOW_DEFAULT, WINDOW_MAX, put_settings};
use crate::Limits;
use crate::hpack::Encoder;

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// Bytes of one setting.
const SETTING_BYTES: usize = 6;

/// Appends ours.
pub(super) fn put_ours(out: &mut Vec<u8>, limits: &Limits) {
    put_settings(
        out,
        &[
            (MAX_CONCURRENT_STREAMS, limits.h2_streams),
            (INITIAL_WINDOW_SIZE, limits.h2_stream_window),
            (
                MAX_HEADER_LIST_SIZE,
                u32::try_from(limits.head_bytes).unwrap_or(u32::MAX),
            ),
        ],
    );
}

/// The peer's, as far as they concern what we send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// What a new stream of ours may send.
    pub window: i64,
    /// Bytes of one frame's payload.
    pub frame_bytes: usize,
}

impl Peer {
    pub fn new() -> Peer {
        Peer {
            window: WINDOW_DEFAULT,
            frame_bytes: PAYLOAD_BYTES_MAX,
        }
    }

    /// Takes a SETTINGS frame's payload. The encoder is told of every table size in it, for the smallest must be acknowledged
    /// (RFC 7541 section 4.2).
    pub fn take(&mut self, payload: &[u8], encoder: &mut Encoder) -> Result<(), Fault> {
        let (settings, []) = payload.as_chunks::<SETTING_BYTES>() else {
            return Err(Fault::Connection(Reason::FrameSize));
        };
        for [a, b, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            match u16::from_be_bytes([*a, *b]) {
                HEADER_TABLE_SIZE => encoder.resize(value as usize),
                ENABLE_PUSH if value > 1 => return Err(Fault::Connection(Reason::Protocol)),
                INITIAL_WINDOW_SIZE if i64::from(value) > WINDOW_MAX => {
                    return Err(Fault::Connection(Reason::FlowControl));
                }
                INITIAL_WINDOW_SIZE => self.window = i64::from(value),
                MAX_FRAME_SIZE if !(16_384..=0xff_ffff).contains(&value) => {
                    return Err(Fault::Connection(Reason::Protocol));
                }
                // Larger frames than the default would gain nothing, and go past the output's cap.
                MAX_FRAME_SIZE => self.frame_bytes = PAYLOAD_BYTES_MAX.min(value as usize),
                // We push nothing, our answers are far below any bound of a list, and unknown ones are ignored.
                _ => {}
            }
        }
        Ok(())
    }
}
