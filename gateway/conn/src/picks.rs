//! Which fields of a head the order path needs, by their place in the table of spans: one pass finds them, whatever the
//! protocol.

use crate::Refusal;
use crate::head::{Picked, Span};

/// Indexes into the table of spans.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Picks {
    authorization: Option<u8>,
    idempotency_key: Option<u8>,
    content_type: Option<u8>,
    x_forwarded_for: Option<u8>,
    x_forwarded_for_lines: u16,
    x_request_id: Option<u8>,
    traceparent: Option<u8>,
    pub host: Option<u8>,
    pub expect: Option<u8>,
    pub content_length: Option<u64>,
}

impl Picks {
    /// Notes a field if it is one of these; its name is in any case. Returns whether it is.
    pub fn note(&mut self, name: &[u8], value: &[u8], index: u8) -> Result<bool, Refusal> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let (slot, refusal) = match name.len() {
            4 if is(b"host") => (&mut self.host, Refusal::BadHost),
            6 if is(b"expect") => (&mut self.expect, Refusal::BadExpectation),
            11 if is(b"traceparent") => (&mut self.traceparent, Refusal::RepeatedField),
            12 if is(b"content-type") => (&mut self.content_type, Refusal::RepeatedField),
            12 if is(b"x-request-id") => (&mut self.x_request_id, Refusal::RepeatedField),
            13 if is(b"authorization") => (&mut self.authorization, Refusal::RepeatedField),
            14 if is(b"content-length") => {
                return match self.content_length.replace(length(value)?) {
                    None => Ok(true),
                    Some(_) => Err(Refusal::BadFraming),
                };
            }
            15 if is(b"idempotency-key") => (&mut self.idempotency_key, Refusal::RepeatedField),
            15 if is(b"x-forwarded-for") => {
                self.x_forwarded_for = Some(index);
                self.x_forwarded_for_lines += 1;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        match slot.replace(index) {
            None => Ok(true),
            Some(_) => Err(refusal),
        }
    }

    /// The fields, read from the bytes that the spans are places in.
    pub fn read<'a>(&self, bytes: &'a [u8], spans: &[Span]) -> Picked<'a> {
        let value = |index: Option<u8>| {
            index.map(|index| {
                let [_, _, start, end] = spans[usize::from(index)].map(usize::from);
                &bytes[start..end]
            })
        };
        Picked {
            authorization: value(self.authorization),
            idempotency_key: value(self.idempotency_key),
            content_type: value(self.content_type),
            x_forwarded_for: value(self.x_forwarded_for),
            x_forwarded_for_lines: self.x_forwarded_for_lines,
            x_request_id: value(self.x_request_id),
            traceparent: value(self.traceparent),
            host: value(self.host),
            expect: value(self.expect),
            content_length: self.content_length,
        }
    }
}

/// A Content-Length: digits and nothing else. One that overflows is larger than any bound.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() {
        return Err(Refusal::BadFraming);
    }
    value.iter().try_fold(0_u64, |length, byte| match byte {
        b'0'..=b'9' => Ok(length.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
        _ => Err(Refusal::BadFraming),
    })
}
