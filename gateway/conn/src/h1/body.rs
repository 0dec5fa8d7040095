//! Bodies, collected in place (RFC 9112 sections 6 and 7).

use super::head::Framing;
use crate::limits::{CHUNK_EXTENSION_BYTES, HEAD_FIELDS_MAX};
use crate::{Limits, Refusal};

/// Decodes a body that lies in a buffer, moving chunk data down over the chunk headers. All places count from the
/// head's first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    framing: Framing,
    /// Where the body begins.
    start: usize,
    /// Where the decoded body ends.
    pub end: usize,
    /// Up to where the input is decoded.
    pub read: usize,
    step: Step,
    /// Bytes spent on extensions so far.
    extension_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// In the size: its value and digits so far.
    Size {
        value: u64,
        digits: u8,
    },
    /// After the semicolon.
    Extension {
        size: u64,
    },
    /// After the carriage return of the size line.
    SizeLineFeed {
        size: u64,
    },
    /// In the data; so much is still to come.
    Data {
        left: usize,
    },
    /// After the data: its CR, its LF.
    DataCarriageReturn,
    DataLineFeed,
    /// After the last chunk; the line in hand begins at `line`, no line end before `scanned`.
    Trailer {
        start: usize,
        line: usize,
        scanned: usize,
        lines: usize,
    },
}

const FIRST: Step = Step::Size { value: 0, digits: 0 };

impl Body {
    /// A body that begins at `start`. Refuses one that says it is too large.
    pub fn new(framing: Framing, start: usize, limits: &Limits) -> Result<Body, Refusal> {
        if matches!(framing, Framing::Length(length) if length > limits.body_bytes as u64) {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(Body {
            framing,
            start,
            end: start,
            read: start,
            step: FIRST,
            extension_bytes: 0,
        })
    }

    /// Decodes what is there. `true`: the body is whole, `start..end` holds it and `read` is where the next request
    /// begins.
    pub fn decode(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<bool, Refusal> {
        let Framing::Length(length) = self.framing else {
            return self.decode_chunks(bytes, limits);
        };
        // It was compared with `body_bytes`.
        self.end = bytes.len().min(self.start + length as usize);
        self.read = self.end;
        Ok(self.end - self.start == length as usize)
    }

    /// Where the body begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The gap between decoded and undecoded bytes was closed by the caller.
    pub fn closed_gap(&mut self) {
        let gap = self.read - self.end;
        self.read = self.end;
        if let Step::Trailer {
            start, line, scanned, ..
        } = &mut self.step
        {
            *start -= gap;
            *line -= gap;
            *scanned -= gap;
        }
    }

    /// Bytes that were decoded away and still take room.
    pub fn gap(&self) -> usize {
        self.read - self.end
    }

    fn decode_chunks(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<bool, Refusal> {
        while self.read < bytes.len() {
            self.step = match self.step {
                Step::Data { left } => {
                    let count = left.min(bytes.len() - self.read);
                    bytes.copy_within(self.read..self.read + count, self.end);
                    self.read += count;
                    self.end += count;
                    if left == count {
                        Step::DataCarriageReturn
                    } else {
                        Step::Data { left: left - count }
                    }
                }
                Step::Trailer { .. } => return self.trailer(bytes, limits),
                step => {
                    let byte = bytes[self.read];
                    self.read += 1;
                    self.one_byte(step, byte, limits)?
                }
            };
        }
        Ok(false)
    }

    fn one_byte(&mut self, step: Step, byte: u8, limits: &Limits) -> Result<Step, Refusal> {
        let bad = Err(Refusal::BadChunk);
        match (step, byte) {
            (Step::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == 16 {
                    return bad;
                }
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                Ok(Step::Size {
                    value: value << 4 | digit,
                    digits: digits + 1,
                })
            }
            (Step::Size { digits: 0, .. }, _) => bad,
            (Step::Size { value: size, .. }, b';') => Ok(Step::Extension { size }),
            (Step::Size { value: size, .. } | Step::Extension { size }, b'\r') => {
                Ok(Step::SizeLineFeed { size })
            }
            (Step::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > CHUNK_EXTENSION_BYTES {
                    bad
                } else {
                    Ok(Step::Extension { size })
                }
            }
            (Step::SizeLineFeed { size: 0 }, b'\n') => {
                let start = self.read;
                Ok(Step::Trailer {
                    start,
                    line: start,
                    scanned: start,
                    lines: 0,
                })
            }
            (Step::SizeLineFeed { size }, b'\n') => {
                let room = (limits.body_bytes - (self.end - self.start)) as u64;
                if size > room {
                    Err(Refusal::BodyTooLarge)
                } else {
                    Ok(Step::Data { left: size as usize })
                }
            }
            (Step::DataCarriageReturn, b'\r') => Ok(Step::DataLineFeed),
            (Step::DataLineFeed, b'\n') => Ok(FIRST),
            _ => bad,
        }
    }

    /// Trailer fields are checked, bounded as a head is, and dropped: nothing here reads them.
    fn trailer(&mut self, bytes: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        let Step::Trailer {
            start,
            line,
            scanned,
            lines,
        } = &mut self.step
        else {
            return Ok(false);
        };
        while let Some(at) = memchr::memchr(b'\n', &bytes[*scanned..]) {
            let end = *scanned + at;
            if end - *start >= limits.head_bytes {
                return Err(Refusal::HeadTooLarge);
            }
            let Some((b'\r', text)) = bytes[*line..end].split_last() else {
                return Err(Refusal::BadChunk);
            };
            *scanned = end + 1;
            *line = end + 1;
            *lines += 1;
            if text.is_empty() {
                self.read = end + 1;
                return check_trailer(&bytes[*start..end + 1]).map(|()| true);
            }
            if *lines > limits.head_fields.min(HEAD_FIELDS_MAX) {
                return Err(Refusal::HeadTooLarge);
            }
        }
        *scanned = bytes.len();
        if bytes.len() - *start >= limits.head_bytes {
            Err(Refusal::HeadTooLarge)
        } else {
            Ok(false)
        }
    }
}

fn check_trailer(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes == b"\r\n" {
        return Ok(());
    }
    let mut table = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
    match httparse::parse_headers(bytes, &mut table) {
        Ok(httparse::Status::Complete((length, _))) if length == bytes.len() => Ok(()),
        _ => Err(Refusal::BadChunk),
    }
}
