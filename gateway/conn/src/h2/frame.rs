//! Frames (RFC 9113 sections 4 and 6): their headers, and the small ones that we send.

/// A frame's header.
pub(super) const HEADER_BYTES: usize = 9;

/// SETTINGS_MAX_FRAME_SIZE is left at its default: a larger frame is an error of the connection.
pub(super) const PAYLOAD_BYTES_MAX: usize = 16_384;

/// Windows are at most this (section 6.9.1).
pub(super) const WINDOW_MAX: i64 = 0x7fff_ffff;

/// Windows of streams and connections before anything else is said (section 6.9.2).
pub(super) const WINDOW_DEFAULT: i64 = 65_535;

/// Kinds of frames.
pub(super) mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
}

/// Flags; which apply depends on the kind.
pub(super) mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Why a stream or the connection ends (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Reason {
    NoError = 0x0,
    Protocol = 0x1,
    FlowControl = 0x3,
    StreamClosed = 0x5,
    FrameSize = 0x6,
    RefusedStream = 0x7,
    Compression = 0x9,
    EnhanceYourCalm = 0xb,
}

/// What is wrong with a frame, and what ends because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The stream, by RST_STREAM.
    Stream(u32, Reason),
    /// The connection, by GOAWAY.
    Connection(Reason),
}

/// A frame's header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Frame {
    pub fn parse(header: &[u8; HEADER_BYTES]) -> Frame {
        let [a, b, c, kind, flags, stream @ ..] = *header;
        Frame {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            // The top bit is reserved, and ignored.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without its padding (section 6.1).
    pub fn unpadded(self, payload: &[u8]) -> Result<&[u8], Fault> {
        if !self.has(flag::PADDED) {
            return Ok(payload);
        }
        let (padding, rest) = payload
            .split_first()
            .ok_or(Fault::Connection(Reason::FrameSize))?;
        let length = rest.len().checked_sub(usize::from(*padding));
        length
            .and_then(|length| rest.get(..length))
            .ok_or(Fault::Connection(Reason::Protocol))
    }
}

/// A payload that holds one number.
pub(super) fn number(payload: &[u8]) -> Result<u32, Fault> {
    let bytes = payload
        .try_into()
        .map_err(|_| Fault::Connection(Reason::FrameSize))?;
    Ok(u32::from_be_bytes(bytes))
}

/// A frame's header, as [`Frame::parse`] reads it.
pub(super) fn header(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEADER_BYTES] {
    debug_assert!(length < 1 << 24);
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

pub(super) fn put_header(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    out.extend_from_slice(&header(length, kind, flags, stream));
}

fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    put_header(out, payload.len(), kind, flags, stream);
    out.extend_from_slice(payload);
}

pub(super) fn put_reset(out: &mut Vec<u8>, stream: u32, reason: Reason) {
    put(out, kind::RST_STREAM, 0, stream, &(reason as u32).to_be_bytes());
}

pub(super) fn put_window_update(out: &mut Vec<u8>, stream: u32, count: u32) {
    put(out, kind::WINDOW_UPDATE, 0, stream, &count.to_be_bytes());
}

pub(super) fn put_ping(out: &mut Vec<u8>, flags: u8, opaque: &[u8]) {
    put(out, kind::PING, flags, 0, opaque);
}

pub(super) fn put_settings_ack(out: &mut Vec<u8>) {
    put(out, kind::SETTINGS, flag::ACK, 0, &[]);
}

pub(super) fn put_goaway(out: &mut Vec<u8>, last: u32, reason: Reason) {
    put_header(out, 8, kind::GOAWAY, 0, 0);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(reason as u32).to_be_bytes());
}

/// Appends SETTINGS with these numbers and values.
pub(super) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    put_header(out, settings.len() * 6, kind::SETTINGS, 0, 0);
    for (number, value) in settings {
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}
