//! A request as its header block gives it, and what it must be (RFC 9113 section 8).

use crate::context::Context;
use crate::head::{Head, SPAN_END_MAX, Span};
use crate::host::{CoveredHost, host_of};
use crate::hpack::{ENTRY_OVERHEAD, Field};
use crate::limits::HEAD_FIELDS_MAX;
use crate::picks::Picks;
use crate::{Limits, Nanos, Protocol, Refusal};

/// Head and body in one buffer, which is used again for other requests.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// Names and values, then the body.
    bytes: Vec<u8>,
    spans: Vec<Span>,
    pseudo: Pseudo,
    picks: Picks,
    /// Where the body begins.
    head_end: usize,
    /// The size of the field list as RFC 9113 section 6.5.2 counts it.
    list_bytes: usize,
    pub first_byte_at: Nanos,
    pub whole_at: Nanos,
    verdict: Verdict,
}

/// Places of the pseudo headers' values.
#[derive(Clone, Copy, Debug, Default)]
struct Pseudo {
    method: Option<[u16; 2]>,
    path: Option<[u16; 2]>,
    authority: Option<[u16; 2]>,
    scheme: bool,
}

/// What the fields so far make of the request. The rest of the block is decoded all the same, for the table's sake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    #[default]
    Fine,
    /// Not HTTP/2: the stream is reset (section 8.1.1).
    Malformed,
    /// Answered with its status.
    Refused(Refusal),
}

/// What is wrong with a whole head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Malformed,
    Refused(Refusal),
}

/// Buffers larger than this are not kept for the next request.
const KEPT_BYTES: usize = 4096;

impl Request {
    /// Makes it empty; returns whether its buffers are worth keeping.
    pub fn clear(&mut self) -> bool {
        self.bytes.clear();
        self.spans.clear();
        *self = Request {
            bytes: std::mem::take(&mut self.bytes),
            spans: std::mem::take(&mut self.spans),
            ..Request::default()
        };
        self.bytes.capacity() <= KEPT_BYTES
    }

    /// Takes one field of the head.
    pub fn take(&mut self, field: Field<'_>, limits: &Limits) {
        if self.verdict != Verdict::Fine {
            return;
        }
        if !field.is_sound {
            self.verdict = Verdict::Malformed;
            return;
        }
        self.list_bytes += field.name.len() + field.value.len() + ENTRY_OVERHEAD;
        if self.list_bytes > limits.head_bytes.min(SPAN_END_MAX) {
            self.verdict = Verdict::Refused(Refusal::HeadTooLarge);
            return;
        }
        let judged = match field.name {
            [b':', name @ ..] => self.pseudo(name, field.value),
            _ => self.field(field.name, field.value, limits),
        };
        if let Err(verdict) = judged {
            self.verdict = verdict;
        }
    }

    fn append(&mut self, bytes: &[u8]) -> [u16; 2] {
        // The list's bound keeps the places in 16 bits.
        let start = self.bytes.len() as u16;
        self.bytes.extend_from_slice(bytes);
        [start, self.bytes.len() as u16]
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Verdict> {
        // They come before all fields (section 8.3).
        if !self.spans.is_empty() {
            return Err(Verdict::Malformed);
        }
        let place = self.append(value);
        let slot = match name {
            b"method" => &mut self.pseudo.method,
            b"path" => &mut self.pseudo.path,
            b"authority" => &mut self.pseudo.authority,
            b"scheme" if !std::mem::replace(&mut self.pseudo.scheme, true) => return Ok(()),
            _ => return Err(Verdict::Malformed),
        };
        match slot.replace(place) {
            None => Ok(()),
            Some(_) => Err(Verdict::Malformed),
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Verdict> {
        if is_of_the_connection(name, value) {
            return Err(Verdict::Malformed);
        }
        if self.spans.len() >= limits.head_fields.min(HEAD_FIELDS_MAX) {
            return Err(Verdict::Refused(Refusal::HeadTooLarge));
        }
        // There are at most 100.
        let index = self.spans.len() as u8;
        let [name_start, name_end] = self.append(name);
        let [value_start, value_end] = self.append(value);
        self.spans.push([name_start, name_end, value_start, value_end]);
        match self.picks.note(name, value, index) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Verdict::Refused(refusal)),
        }
    }

    /// The head is whole: checks it by the same rules as HTTP/1.1's, as far as they apply. Returns whether the client
    /// waits for 100 Continue.
    pub fn check(&mut self, context: &Context<'_>, covered: &mut CoveredHost) -> Result<bool, Bad> {
        self.head_end = self.bytes.len();
        match self.verdict {
            Verdict::Fine => {}
            Verdict::Malformed => return Err(Bad::Malformed),
            Verdict::Refused(refusal) => return Err(Bad::Refused(refusal)),
        }
        let method = self.text(self.pseudo.method).ok_or(Bad::Malformed)?;
        if !is_token(method) {
            return Err(Bad::Malformed);
        }
        if method == "CONNECT" {
            return Err(Bad::Refused(Refusal::NotImplemented));
        }
        let target = self.text(self.pseudo.path).filter(|path| !path.is_empty());
        let (Some(target), true) = (target, self.pseudo.scheme) else {
            return Err(Bad::Malformed);
        };
        check_target(method, target, &context.config.limits).map_err(Bad::Refused)?;
        self.check_rest(context, covered).map_err(Bad::Refused)
    }

    fn check_rest(&self, context: &Context<'_>, covered: &mut CoveredHost) -> Result<bool, Refusal> {
        let picked = self.picks.read(&self.bytes, &self.spans);
        let said = self.pseudo.authority.map(|place| self.slice(place));
        if let (Some(said), Some(host)) = (said, picked.host)
            && !said.eq_ignore_ascii_case(host)
        {
            return Err(Refusal::BadHost);
        }
        let authority = said.or(picked.host).ok_or(Refusal::BadHost)?;
        let host = host_of(authority).ok_or(Refusal::BadHost)?;
        if !covered.admits(host, context) {
            return Err(Refusal::Misdirected);
        }
        let limit = context.config.limits.body_bytes as u64;
        if picked.content_length.is_some_and(|length| length > limit) {
            return Err(Refusal::BodyTooLarge);
        }
        match picked.expect {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
            Some(_) => Err(Refusal::BadExpectation),
        }
    }

    pub fn is_head(&self) -> bool {
        self.text(self.pseudo.method) == Some("HEAD")
    }

    /// Appends a piece of the body.
    pub fn append_body(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head_end..]
    }

    /// Whether the body may have this length, or, at its `end`, has the length that was declared (section 8.1.1).
    pub fn is_length(&self, length: usize, end: bool) -> bool {
        let length = length as u64;
        self.picks.content_length.is_none_or(|declared| {
            if end {
                length == declared
            } else {
                length <= declared
            }
        })
    }

    /// The head, for the gateway.
    pub fn head(&self) -> Head<'_> {
        let picked = self.picks.read(&self.bytes, &self.spans);
        // `:authority`, else Host (section 8.3.1); both were checked to be ASCII.
        let authority = match self.pseudo.authority {
            Some(place) => self.slice(place),
            None => picked.host.unwrap_or_default(),
        };
        Head {
            protocol: Protocol::H2,
            method: self.text(self.pseudo.method).unwrap_or_default(),
            path_and_query: self.text(self.pseudo.path).unwrap_or_default(),
            authority: std::str::from_utf8(authority).unwrap_or_default(),
            picked,
            bytes: &self.bytes,
            spans: &self.spans,
        }
    }

    fn slice(&self, [start, end]: [u16; 2]) -> &[u8] {
        &self.bytes[usize::from(start)..usize::from(end)]
    }

    /// `None` also where it is not UTF-8: no pseudo header of ours may be.
    fn text(&self, place: Option<[u16; 2]>) -> Option<&str> {
        place.and_then(|place| std::str::from_utf8(self.slice(place)).ok())
    }
}

/// Fields that speak of a connection have no place in HTTP/2 (section 8.2.2).
fn is_of_the_connection(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"connection" | b"upgrade" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" => true,
        b"te" => value != b"trailers",
        _ => false,
    }
}

fn is_token(method: &str) -> bool {
    !method.is_empty()
        && method
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn check_target(method: &str, target: &str, limits: &Limits) -> Result<(), Refusal> {
    if target.len() > limits.target_bytes {
        return Err(Refusal::TargetTooLong);
    }
    let well_formed = target.starts_with('/') || (target == "*" && method == "OPTIONS");
    if !well_formed || !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Refusal::BadHead);
    }
    Ok(())
}
