//! A strict HTTP/1.1 head (RFC 9112 sections 2 to 5): finding its end, and checking what it says.

use crate::head::{Head, SPAN_END_MAX, Span};
use crate::host::host_of;
use crate::limits::HEAD_FIELDS_MAX;
use crate::picks::Picks;
use crate::{Limits, Protocol, Refusal};
use std::mem::MaybeUninit;

/// Methods are words; the longest registered one has 17 letters.
const METHOD_BYTES_MAX: usize = 32;

/// Looks for the end of a head. Every check depends on leading bytes only, so that any split of the input gives the
/// same verdict, and each byte is looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Where the line in hand begins.
    line: usize,
    /// Up to where no line end was found.
    scanned: usize,
    /// Lines seen, the request line included.
    lines: usize,
}

impl Scan {
    /// The length of the head that begins `bytes`, empty line included; `None` when its end has not come.
    pub fn find_end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let head_bytes = limits.head_bytes.min(SPAN_END_MAX);
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.scanned..]) {
            let end = self.scanned + at;
            if self.lines == 0 {
                check_request_line(&bytes[..end], limits)?;
            }
            if end >= head_bytes {
                return Err(Refusal::HeadTooLarge);
            }
            let line = &bytes[self.line..end];
            // A line feed ends a line only after a carriage return: two readers must not see different lines.
            let Some((b'\r', line)) = line.split_last() else {
                return Err(Refusal::BadHead);
            };
            self.scanned = end + 1;
            self.line = end + 1;
            if line.is_empty() {
                return if self.lines == 0 {
                    Err(Refusal::BadHead)
                } else {
                    Ok(Some(end + 1))
                };
            }
            self.lines += 1;
            if self.lines > 1 + limits.head_fields.min(HEAD_FIELDS_MAX) {
                return Err(Refusal::HeadTooLarge);
            }
        }
        self.scanned = bytes.len();
        if self.lines == 0 {
            check_request_line(bytes, limits)?;
        }
        if bytes.len() >= head_bytes {
            Err(Refusal::HeadTooLarge)
        } else {
            Ok(None)
        }
    }
}

/// Checks the lengths in a request line of which perhaps only the beginning has come.
fn check_request_line(line: &[u8], limits: &Limits) -> Result<(), Refusal> {
    let method = &line[..line.len().min(METHOD_BYTES_MAX + 1)];
    let Some(space) = memchr::memchr(b' ', method) else {
        return if method.len() > METHOD_BYTES_MAX {
            Err(Refusal::BadHead)
        } else {
            Ok(())
        };
    };
    let target = &line[space + 1..];
    let target = &target[..target.len().min(limits.target_bytes + 1)];
    if target.len() > limits.target_bytes && memchr::memchr(b' ', target).is_none() {
        return Err(Refusal::TargetTooLong);
    }
    Ok(())
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes, perhaps none.
    Length(u64),
    /// Chunks until an empty one.
    Chunked,
}

/// What a head says, as places in its bytes: the bytes may move while the body arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed {
    method: [u16; 2],
    /// `None`: the absolute form had no path, which means `/`.
    path: Option<[u16; 2]>,
    authority: [u16; 2],
    picks: Picks,
    pub framing: Framing,
    /// The client wants, or its version means, that the connection ends with the answer.
    pub close: bool,
    pub http10: bool,
    pub is_head: bool,
    pub expects_continue: bool,
}

/// What one pass over the fields found besides the picks.
#[derive(Default)]
struct Seen {
    transfer_encoding: bool,
    connection_close: bool,
    connection_keep_alive: bool,
    upgrade: bool,
}

/// Parses a whole head (as [`Scan`] delimited it) and fills the table of spans.
pub(crate) fn parse(bytes: &[u8], spans: &mut Vec<Span>) -> Result<Parsed, Refusal> {
    let mut table = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut table) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Refusal::BadHead),
        Err(httparse::Error::Version) => return Err(bad_version(bytes)),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(_) => return Err(Refusal::BadHead),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Refusal::BadHead);
    };
    spans.clear();
    let mut picks = Picks::default();
    let mut seen = Seen::default();
    for (index, field) in request.headers.iter().enumerate() {
        let [name, name_end] = place(bytes, field.name.as_bytes());
        let [value, value_end] = place(bytes, field.value);
        spans.push([name, name_end, value, value_end]);
        // There are at most 100.
        note_field(field, index as u8, &mut picks, &mut seen)?;
    }
    let http10 = version == 0;
    if let Some(index) = picks.expect {
        let value = request.headers[usize::from(index)].value;
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::BadExpectation);
        }
    }
    let framing = framing(&picks, &seen, http10)?;
    let host = picks.host.map(|index| request.headers[usize::from(index)].value);
    let (path, authority) = target_and_authority(method, target, host, http10)?;
    Ok(Parsed {
        method: place(bytes, method.as_bytes()),
        path: path.map(|path| place(bytes, path.as_bytes())),
        authority: authority.map_or([0, 0], |authority| place(bytes, authority)),
        framing,
        // An upgrade is never accepted here, and what follows may be the other protocol's bytes.
        close: seen.connection_close || seen.upgrade || (http10 && !seen.connection_keep_alive),
        http10,
        is_head: method == "HEAD",
        expects_continue: picks.expect.is_some() && !http10 && framing != Framing::Length(0),
        picks,
    })
}

/// A version that is none is a malformed line; one that exists is merely not spoken here.
fn bad_version(head: &[u8]) -> Refusal {
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    let mut words = line.split(|byte| *byte == b' ');
    match (words.nth(2), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']), None) => Refusal::BadVersion,
        _ => Refusal::BadHead,
    }
}

/// Where `part`, a slice of `bytes`, lies in it. An empty part may lie anywhere.
fn place(bytes: &[u8], part: &[u8]) -> [u16; 2] {
    let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
    if part.is_empty() || start > bytes.len() {
        return [0, 0];
    }
    // A head is at most SPAN_END_MAX bytes long.
    [start as u16, (start + part.len()) as u16]
}

fn note_field(
    field: &httparse::Header<'_>,
    index: u8,
    picks: &mut Picks,
    seen: &mut Seen,
) -> Result<(), Refusal> {
    if picks.note(field.name.as_bytes(), field.value, index)? {
        return Ok(());
    }
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    match field.name.len() {
        7 if is("upgrade") => seen.upgrade = true,
        10 if is("connection") => {
            for option in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                seen.connection_close |= option.eq_ignore_ascii_case(b"close");
                seen.connection_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        17 if is("transfer-encoding") => {
            if seen.transfer_encoding || !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::BadFraming);
            }
            seen.transfer_encoding = true;
        }
        _ => {}
    }
    Ok(())
}

fn framing(picks: &Picks, seen: &Seen, http10: bool) -> Result<Framing, Refusal> {
    match (picks.content_length, seen.transfer_encoding) {
        (Some(_), true) => Err(Refusal::BadFraming),
        (None, true) if http10 => Err(Refusal::BadFraming),
        (None, true) => Ok(Framing::Chunked),
        (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

type Target<'a> = (Option<&'a str>, Option<&'a [u8]>);

/// The four forms of a target (RFC 9112 section 3.2), and who is asked.
fn target_and_authority<'a>(
    method: &str,
    target: &'a str,
    host: Option<&'a [u8]>,
    http10: bool,
) -> Result<Target<'a>, Refusal> {
    if method == "CONNECT" {
        return Err(Refusal::NotImplemented);
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Refusal::BadHead);
    }
    match host {
        Some(host) if host_of(host).is_none() => return Err(Refusal::BadHost),
        None if !http10 => return Err(Refusal::BadHost),
        _ => {}
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((Some(target), host));
    }
    let scheme_end = target.find("://").ok_or(Refusal::BadHead)?;
    if !matches!(&target[..scheme_end], "http" | "https") {
        return Err(Refusal::BadHead);
    }
    let rest = &target[scheme_end + 3..];
    let (authority, path) = match rest.find(['/', '?']) {
        None => (rest, None),
        Some(at) if rest.as_bytes()[at] == b'?' => return Err(Refusal::BadHead),
        Some(at) => (&rest[..at], Some(&rest[at..])),
    };
    // The target overrides Host (RFC 9112 section 3.2.2); a client that says two things is not believed in either.
    if host_of(authority.as_bytes()).is_none()
        || host.is_some_and(|h| !h.eq_ignore_ascii_case(authority.as_bytes()))
    {
        return Err(Refusal::BadHost);
    }
    Ok((path, Some(authority.as_bytes())))
}

impl Parsed {
    /// The head, read from the bytes it was parsed from.
    pub fn head<'a>(&self, bytes: &'a [u8], spans: &'a [Span]) -> Head<'a> {
        Head {
            protocol: Protocol::H1,
            method: text(bytes, self.method),
            path_and_query: self.path.map_or("/", |path| text(bytes, path)),
            authority: text(bytes, self.authority),
            picked: self.picks.read(bytes, spans),
            bytes,
            spans,
        }
    }

    /// The host that was asked for, without its port.
    pub fn host<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        host_of(&bytes[usize::from(self.authority[0])..usize::from(self.authority[1])])
    }
}

/// Method, target and host were checked to be ASCII.
fn text(bytes: &[u8], [start, end]: [u16; 2]) -> &str {
    std::str::from_utf8(&bytes[usize::from(start)..usize::from(end)]).unwrap_or_default()
}
