//! A small strict HTTP/1.1 client (RFC 9112): requests in order, answers in the same order.

use std::collections::VecDeque;
use std::io::Write as _;

use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::request::{Flight, Method, Request};
use crate::users::Identity;

/// What is outstanding on one connection, and what came and was not read yet.
#[derive(Default)]
pub struct H1 {
    in_flight: VecDeque<Flight>,
    plain: Vec<u8>,
    read: usize,
    body: Vec<u8>,
    closing: bool,
}

/// Whose answer, its status and its body.
pub type Received<'a> = (Flight, u16, &'a [u8]);

/// A head that was read.
struct Head {
    status: u16,
    bytes: usize,
    framing: Framing,
    close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

impl H1 {
    /// Requests without an answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The server said it closes after the last answer: no more requests here.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Everything outstanding, oldest first; none is left.
    pub fn take_in_flight(&mut self) -> impl Iterator<Item = Flight> + use<> {
        std::mem::take(&mut self.in_flight).into_iter()
    }

    /// Appends the request's bytes to `out`.
    pub fn send(&mut self, request: &Request, identity: &Identity, authority: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(request.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(&request.path);
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(authority.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&identity.h1);
        if !request.key.is_empty() {
            out.extend_from_slice(b"idempotency-key: ");
            out.extend_from_slice(&request.key);
            out.extend_from_slice(b"\r\n");
        }
        if request.method != Method::Get {
            if !request.body.is_empty() {
                out.extend_from_slice(b"content-type: application/json\r\n");
            }
            // Writing to a Vec cannot fail.
            let _ = write!(out, "content-length: {}\r\n", request.body.len());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&request.body);
        self.in_flight.push_back(request.flight);
    }

    /// Where new plaintext belongs.
    pub fn plain(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// The next complete answer, or nothing yet.
    pub fn next_answer(&mut self) -> Result<Option<Received<'_>>, String> {
        loop {
            if self.read == self.plain.len() {
                self.plain.clear();
                self.read = 0;
                return Ok(None);
            }
            let Some(head) = parse_head(&self.plain[self.read..])? else {
                return Ok(self.wait());
            };
            let start = self.read + head.bytes;
            // Interim answers (RFC 9110 15.2) have no body and are not the answer.
            if head.status < 200 {
                self.read = start;
                continue;
            }
            let end = match head.framing {
                Framing::Length(n) => {
                    if self.plain.len() - start < n {
                        return Ok(self.wait());
                    }
                    start + n
                }
                Framing::Chunked => match dechunk(&self.plain[start..], &mut self.body)? {
                    None => return Ok(self.wait()),
                    Some(n) => start + n,
                },
            };
            let flight = self
                .in_flight
                .pop_front()
                .ok_or("an answer that nobody asked for")?;
            self.closing |= head.close;
            self.read = end;
            let body = if head.framing == Framing::Chunked {
                &self.body[..]
            } else {
                &self.plain[start..end]
            };
            return Ok(Some((flight, head.status, body)));
        }
    }

    fn wait<T>(&mut self) -> Option<T> {
        if self.read > 0 {
            self.plain.drain(..self.read);
            self.read = 0;
        }
        None
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let size = match response.parse(bytes).map_err(|e| format!("answer's head: {e}"))? {
        httparse::Status::Complete(n) => n,
        httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => {
            return Err("answer's head: too large".into());
        }
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let (mut length, mut chunked, mut close) = (None, false, response.version == Some(0));
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            if length.replace(parse_length(field.value)?).is_some() {
                return Err("answer's head: two Content-Length".into());
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err("answer's head: a Transfer-Encoding that is not chunked".into());
            }
            chunked = true;
        } else if field.name.eq_ignore_ascii_case("connection") {
            close |= field.value.eq_ignore_ascii_case(b"close");
        }
    }
    let bodiless = status < 200 || status == 204 || status == 304;
    let framing = match (length, chunked) {
        (Some(_), true) => return Err("answer's head: Content-Length and Transfer-Encoding".into()),
        (None, true) => Framing::Chunked,
        (Some(n), false) if !bodiless => Framing::Length(n),
        (_, false) if bodiless => Framing::Length(0),
        _ => return Err("answer's head: no length; keep-alive needs one".into()),
    };
    Ok(Some(Head {
        status,
        bytes: size,
        framing,
        close,
    }))
}

fn parse_length(value: &[u8]) -> Result<usize, String> {
    let text = std::str::from_utf8(value).map_err(|_| "answer's head: bad Content-Length")?;
    match text.parse::<usize>() {
        Ok(n) if n <= BODY_BYTES_MAX && text.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
        _ => Err(format!("answer's head: bad Content-Length {text}")),
    }
}

/// Joins the chunks of a whole body into `body`; the bytes it took, or `None` when more must come.
fn dechunk(bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, String> {
    body.clear();
    let mut at = 0;
    loop {
        let (line, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("answer's body: bad chunk size".into()),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > BODY_BYTES_MAX || body.len() + size > BODY_BYTES_MAX {
            return Err("answer's body: too large".into());
        }
        at += line;
        if bytes.len() < at + size + 2 {
            return Ok(None);
        }
        if &bytes[at + size..at + size + 2] != b"\r\n" {
            // Trailer fields are not expected from anything this client talks to.
            return Err("answer's body: chunk without its CRLF".into());
        }
        body.extend_from_slice(&bytes[at..at + size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests;
