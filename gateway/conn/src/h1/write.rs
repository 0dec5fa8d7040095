//! Answers as HTTP/1.1 bytes.

use crate::{Answer, ExchangeId, Refusal};

/// What the connection knows about the request when it formats the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The connection ends with this answer.
    pub close: bool,
    /// The request was HEAD: the length is told, the body is not sent.
    pub is_head: bool,
    /// The client speaks HTTP/1.0 and asked to keep the connection.
    pub http10: bool,
}

/// Appends a whole answer.
pub(crate) fn answer(out: &mut Vec<u8>, answer: &Answer<'_>, shape: Shape) {
    assert!(
        (200..=599).contains(&answer.status),
        "an answer's status is final"
    );
    let fields: usize = answer
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    out.reserve(fields + answer.body.len() + FIXED_BYTES);
    status_line(out, answer.status);
    for (name, value) in answer.headers {
        debug_assert!(
            is_clean(name.as_bytes()) && is_clean(value),
            "our own fields hold no control bytes"
        );
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    let bodyless = matches!(answer.status, 204 | 304);
    debug_assert!(!bodyless || answer.body.is_empty(), "204 and 304 have no body");
    if shape.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if shape.http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if bodyless {
        out.extend_from_slice(b"\r\n");
        return;
    }
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(answer.body.len()).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    if !shape.is_head {
        out.extend_from_slice(answer.body);
    }
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
