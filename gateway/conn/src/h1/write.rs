//! Answers as HTTP/1.1 bytes.

use crate::{Answer, AnswerHead, ExchangeId, Refusal};
use std::io::Write as _;

/// What the connection knows about the request when it formats the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The connection ends with this answer.
    pub close: bool,
    /// The request was HEAD: the length is told, the body is not sent.
    pub is_head: bool,
    /// The client speaks HTTP/1.0: it knows no chunks, and asked for the connection if it is to be kept.
    pub http10: bool,
}

/// Appends a whole answer.
pub(crate) fn answer(out: &mut Vec<u8>, answer: &Answer<'_>, shape: Shape) {
    status_and_fields(out, answer.status, answer.headers, answer.body.len());
    let bodyless = matches!(answer.status, 204 | 304);
    debug_assert!(!bodyless || answer.body.is_empty(), "204 and 304 have no body");
    connection(out, shape.close, shape.http10);
    if bodyless {
        out.extend_from_slice(b"\r\n");
        return;
    }
    content_length(out, answer.body.len() as u64);
    out.extend_from_slice(b"\r\n");
    if !shape.is_head {
        out.extend_from_slice(answer.body);
    }
}

/// How the end of a body is told (RFC 9112 section 6.3), and what is still to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// HEAD, 204 and 304: what is given of a body is thrown away.
    Bodyless,
    /// So many bytes are missing of the length that was told.
    Length(u64),
    Chunked,
    /// The connection's end is the body's.
    UntilClose,
}

/// Appends the head of an answer whose body is given in pieces.
pub(crate) fn head(out: &mut Vec<u8>, head: &AnswerHead<'_>, shape: Shape) -> Coding {
    let bodyless = matches!(head.status, 204 | 304);
    let coding = match head.length {
        _ if bodyless || shape.is_head => Coding::Bodyless,
        Some(length) => Coding::Length(length),
        None if shape.http10 => Coding::UntilClose,
        None => Coding::Chunked,
    };
    status_and_fields(out, head.status, head.headers, 0);
    connection(out, shape.close || coding == Coding::UntilClose, shape.http10);
    match head.length {
        Some(length) if !bodyless => content_length(out, length),
        _ if coding == Coding::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
    coding
}

/// Appends some of a body: not empty, and no more than is missing of its length.
pub(crate) fn piece(out: &mut Vec<u8>, data: &[u8], coding: &mut Coding) {
    match coding {
        Coding::Bodyless => {}
        Coding::UntilClose => out.extend_from_slice(data),
        Coding::Length(missing) => {
            *missing -= data.len() as u64;
            out.extend_from_slice(data);
        }
        Coding::Chunked => {
            // Writing to a vector does not fail.
            let _ = write!(out, "{:x}\r\n", data.len());
            out.extend_from_slice(data);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends what ends a body.
pub(crate) fn end(out: &mut Vec<u8>, coding: Coding) {
    if coding == Coding::Chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

fn status_and_fields(out: &mut Vec<u8>, status: u16, fields: &[(&str, &[u8])], body: usize) {
    assert!((200..=599).contains(&status), "an answer's status is final");
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    out.reserve(bytes + body + FIXED_BYTES);
    status_line(out, status);
    for (name, value) in fields {
        debug_assert!(
            is_clean(name.as_bytes()) && is_clean(value),
            "our own fields hold no control bytes"
        );
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

fn connection(out: &mut Vec<u8>, close: bool, http10: bool) {
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
}

fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Status line, `connection`, `content-length` and the empty line take less than this.
const FIXED_BYTES: usize = 128;

fn is_clean(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

fn status_line(out: &mut Vec<u8>, status: u16) {
    let line: &[u8] = match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        201 => b"HTTP/1.1 201 Created\r\n",
        409 => b"HTTP/1.1 409 Conflict\r\n",
        429 => b"HTTP/1.1 429 Too Many Requests\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        _ => {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
            out.push(b' ');
            let reason = http::StatusCode::from_u16(status)
                .ok()
                .and_then(|status| status.canonical_reason());
            out.extend_from_slice(reason.unwrap_or("").as_bytes());
            b"\r\n"
        }
    };
    out.extend_from_slice(line);
}

/// The interim answer to `Expect: 100-continue`.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Calls `write` with the problem document (RFC 9457) of a refusal that the connection makes by itself.
pub(crate) fn with_refusal(
    refusal: Refusal,
    conn: u64,
    exchange: ExchangeId,
    write: impl FnOnce(&Answer<'_>),
) {
    let status = refusal.status().unwrap_or(400);
    let title = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    // A refusal ends the connection: its allocations are not on the hot path.
    let body = format!(
        r#"{{"type":"about:blank","title":"{}","status":{status},"detail":"{}","code":"{}"}}"#,
        title.unwrap_or("Refused"),
        refusal.detail(),
        refusal.code(),
    );
    let request_id = format!("{conn:016x}-{}", exchange.0);
    write(&Answer {
        status,
        headers: &[
            ("content-type", b"application/problem+json"),
            ("cache-control", b"no-store"),
            ("x-request-id", request_id.as_bytes()),
        ],
        body: body.as_bytes(),
    });
}
