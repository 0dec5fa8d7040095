//! Reads the 9-byte headers of the frames that pass (RFC 9113 section 4.1), in both directions.
//!
//! `h2` tells neither which streams have news nor what it resets by itself, and polling every stream at each read is
//! what one-byte DATA frames on a hundred streams exploit. The tap tells.

use crate::Nanos;

/// The kinds that matter (RFC 9113 section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const HEADER_BYTES: usize = 9;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// Cuts a direction's bytes into frames, whatever pieces they come in.
#[derive(Debug)]
pub(crate) struct Cutter {
    /// Bytes before the next frame header: of the preface, or of a payload.
    skip: usize,
    header: [u8; HEADER_BYTES],
    held: usize,
    /// The frame whose payload is passing.
    passing: Option<Frame>,
}

impl Cutter {
    /// `skip`: bytes before the first frame.
    pub fn new(skip: usize) -> Cutter {
        Cutter {
            skip,
            header: [0; HEADER_BYTES],
            held: 0,
            passing: None,
        }
    }

    /// Calls `ended` for each frame whose last byte is among these: only then does h2 know of it.
    pub fn cut(&mut self, mut bytes: &[u8], mut ended: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip == 0
                && let Some(frame) = self.passing.take()
            {
                ended(frame);
            }
            if bytes.is_empty() {
                return;
            }
            let count = (HEADER_BYTES - self.held).min(bytes.len());
            self.header[self.held..self.held + count].copy_from_slice(&bytes[..count]);
            self.held += count;
            bytes = &bytes[count..];
            if self.held < HEADER_BYTES {
                return;
            }
            self.held = 0;
            let [a, b, c, kind, flags, stream @ ..] = self.header;
            let length = u32::from_be_bytes([0, a, b, c]);
            self.skip = length as usize;
            self.passing = Some(Frame {
                length,
                kind,
                flags,
                stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
            });
        }
    }

    /// Whether a frame other than DATA has begun and not ended.
    fn in_frame_but_data(&self) -> bool {
        self.held > 0 || self.passing.is_some_and(|frame| frame.kind != DATA)
    }
}

/// Frames of one kind and direction, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameCounts {
    pub resets: u32,
    pub pings: u32,
    pub settings: u32,
    pub window_updates: u32,
    pub empty_data: u32,
    pub continuations: u32,
    /// PRIORITY and whatever else asks for nothing.
    pub others: u32,
}

/// A stream has more, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub stream: u32,
    /// The request is whole.
    pub ended: bool,
}

/// What the peer sends.
#[derive(Debug)]
pub(crate) struct TapIn {
    cutter: Cutter,
    pub counts: FrameCounts,
    /// Streams with DATA or HEADERS since the last look, in the order of the wire, no two neighbours alike.
    pub news: Vec<News>,
    /// Streams reset since the last look.
    pub resets: Vec<u32>,
    /// Acknowledged PINGs: h2 sends none but the drain's.
    pub pongs: u32,
    /// A header block has begun and not ended, or a frame has begun and not ended, since then.
    pub unfinished_since: Option<Nanos>,
    in_header_block: bool,
    /// What the header block in hand says of its stream's end.
    block_ends_stream: bool,
}

impl TapIn {
    pub fn new(preface_bytes: usize) -> TapIn {
        TapIn {
            cutter: Cutter::new(preface_bytes),
            counts: FrameCounts::default(),
            news: Vec::new(),
            resets: Vec::new(),
            pongs: 0,
            unfinished_since: None,
            in_header_block: false,
            block_ends_stream: false,
        }
    }

    pub fn pass(&mut self, now: Nanos, bytes: &[u8]) {
        let TapIn {
            cutter,
            counts,
            news,
            resets,
            pongs,
            in_header_block,
            block_ends_stream,
            ..
        } = self;
        let mut tell = |stream, ended| {
            let item = News { stream, ended };
            if news.last() != Some(&item) {
                news.push(item);
            }
        };
        cutter.cut(bytes, |frame| match frame.kind {
            DATA => {
                let ended = frame.flags & END_STREAM != 0;
                tell(frame.stream, ended);
                counts.empty_data += u32::from(frame.length == 0 && !ended);
            }
            HEADERS | CONTINUATION => {
                if frame.kind == HEADERS {
                    *block_ends_stream = frame.flags & END_STREAM != 0;
                } else {
                    counts.continuations += 1;
                }
                *in_header_block = frame.flags & END_HEADERS == 0;
                if !*in_header_block {
                    tell(frame.stream, *block_ends_stream);
                }
            }
            RST_STREAM => {
                counts.resets += 1;
                resets.push(frame.stream);
            }
            SETTINGS if frame.flags & ACK == 0 => counts.settings += 1,
            SETTINGS => {}
            PING if frame.flags & ACK == 0 => counts.pings += 1,
            PING => *pongs += 1,
            WINDOW_UPDATE => counts.window_updates += 1,
            _ => counts.others += 1,
        });
        // A slow body has the request's deadline; everything else that dawdles has the head's.
        let dawdles = self.in_header_block || self.cutter.in_frame_but_data();
        if dawdles {
            self.unfinished_since.get_or_insert(now);
        } else {
            self.unfinished_since = None;
        }
    }
}

/// What we send.
#[derive(Debug)]
pub(crate) struct TapOut {
    cutter: Cutter,
    /// Streams whose last frame was written since the last look: END_STREAM or RST_STREAM.
    pub ended: Vec<u32>,
    /// Streams that we reset since the last look.
    pub resets: Vec<u32>,
}

impl TapOut {
    pub fn new() -> TapOut {
        TapOut {
            cutter: Cutter::new(0),
            ended: Vec::new(),
            resets: Vec::new(),
        }
    }

    pub fn pass(&mut self, bytes: &[u8]) {
        let TapOut {
            cutter,
            ended,
            resets,
        } = self;
        cutter.cut(bytes, |frame| match frame.kind {
            DATA | HEADERS if frame.flags & END_STREAM != 0 => ended.push(frame.stream),
            RST_STREAM => {
                ended.push(frame.stream);
                resets.push(frame.stream);
            }
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(vec![0xff; length as usize]);
        bytes
    }

    #[test]
    fn any_pieces_give_the_same_frames() {
        let mut bytes = vec![b'P'; 24];
        bytes.extend(frame(5, DATA, END_STREAM, 1));
        bytes.extend(frame(0, DATA, 0, 3));
        bytes.extend(frame(4, RST_STREAM, 0, 3));
        bytes.extend(frame(8, PING, ACK, 0));
        bytes.extend(frame(3, HEADERS, 0, 5));
        for piece in 1..bytes.len() {
            let mut tap = TapIn::new(24);
            for part in bytes.chunks(piece) {
                tap.pass(Nanos(7), part);
            }
            let news: Vec<_> = tap.news.iter().map(|news| (news.stream, news.ended)).collect();
            assert_eq!(news, [(1, true), (3, false)]);
            assert_eq!(tap.resets, [3]);
            assert_eq!(
                (
                    tap.counts.empty_data,
                    tap.counts.resets,
                    tap.counts.pings,
                    tap.pongs
                ),
                (1, 1, 0, 1)
            );
            assert_eq!(
                tap.unfinished_since,
                Some(Nanos(7)),
                "the header block has not ended"
            );
            tap.pass(Nanos(9), &frame(2, CONTINUATION, END_HEADERS, 5));
            assert_eq!(tap.unfinished_since, None);
            assert_eq!(
                tap.news.last(),
                Some(&News {
                    stream: 5,
                    ended: false
                })
            );
        }
    }
}
