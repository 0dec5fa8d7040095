//! What HTTP/1.1 refuses, as a table: EDGE's "strict".

mod common;

use common::{cleartext, output, requests};
use std::rc::Rc;
use tidegate_conn::{Conn, ConnConfig, ConnState, Nanos};

/// What becomes of these bytes: the status of a refusal, or 0 and how many requests were handed on.
fn verdict(bytes: &[u8]) -> (u16, usize) {
    let mut conn = cleartext();
    conn.receive(Nanos(1), bytes);
    let seen = requests(&mut conn);
    for request in &seen {
        common::ok(&mut conn, Nanos(2), request.exchange, b"");
    }
    let count = seen.len() + requests(&mut conn).len();
    let out = String::from_utf8(output(&mut conn)).unwrap();
    let statuses = out
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| out[at + 9..at + 12].parse().ok());
    let status = statuses.filter(|status: &u16| *status != 200).last().unwrap_or(0);
    if status >= 400 {
        assert!(out.contains("connection: close\r\n"), "{out}");
        assert!(out.contains("application/problem+json"), "{out}");
        assert_eq!(conn.state(), ConnState::Closing);
        assert!(conn.wants_shutdown());
    }
    (status, count)
}

#[test]
fn malformed_heads_are_refused_with_the_right_status() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8192));
    let longest_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8191));
    let long_head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(16 * 1024)
    );
    let endless_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(16 * 1024));
    let many_fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    let most_fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99));
    let endless_method = "A".repeat(40);
    let table: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("GET / HTTP/1.0\r\n\r\n", 0),
        (&longest_target, 0),
        (&most_fields, 0),
        // The request line.
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET\r\nHost: a\r\n\r\n", 400),
        (&endless_method, 400),
        (&long_target, 414),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
        // Line ends.
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        // Fields.
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tfolded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a\r\nidempotency-key: a\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417),
        (&long_head, 431),
        (&endless_head, 431),
        (&many_fields, 431),
        // Host.
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400),
    ];
    for (bytes, status) in table {
        let (got, handed_on) = verdict(bytes.as_bytes());
        assert_eq!(got, *status, "{bytes:?}");
        assert_eq!(handed_on, usize::from(*status == 0), "{bytes:?}");
    }
}

#[test]
fn a_request_cannot_be_smuggled_in_a_body() {
    let table: &[(&str, u16)] = &[
        ("Content-Length: 0\r\n", 0),
        ("Content-Length: 00\r\n", 0),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 0\r\nContent-Length: 0\r\n", 400),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 0, 0\r\n", 400),
        ("Content-Length: +0\r\n", 400),
        ("Content-Length: -0\r\n", 400),
        ("Content-Length: 0x0\r\n", 400),
        ("Content-Length: 0 0\r\n", 400),
        ("Content-Length: \r\n", 400),
        ("Content-Length: 1e1\r\n", 400),
        ("Content-Length : 0\r\n", 400),
        ("Content-Length\t: 0\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding: chunked;q=1\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            400,
        ),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding:\r\n chunked\r\n", 400),
        ("Content-Length: 65537\r\n", 413),
        ("Content-Length: 99999999999999999999999\r\n", 413),
    ];
    for (fields, status) in table {
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let (got, handed_on) = verdict(bytes.as_bytes());
        assert_eq!(got, *status, "{fields:?}");
        assert_eq!(handed_on, if *status == 0 { 2 } else { 0 }, "{fields:?}");
    }
    let (status, _) = verdict(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(status, 400, "chunks are HTTP/1.1's");
}

#[test]
fn chunks_are_read_strictly() {
    let over = format!("10000\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "a".repeat(65_536));
    let full = format!("10000\r\n{}\r\n0\r\n\r\n", "a".repeat(65_536));
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(5_000));
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(101));
    let long_trailer = format!("0\r\nX: {}\r\n\r\n", "y".repeat(16 * 1024));
    let table: &[(&str, Result<&str, u16>)] = &[
        ("5\r\nhello\r\n0\r\n\r\n", Ok("hello")),
        ("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", Ok("hello")),
        ("05\r\nhello\r\n000\r\n\r\n", Ok("hello")),
        ("A\r\n0123456789\r\n0\r\n\r\n", Ok("0123456789")),
        ("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", Ok("hello")),
        ("5\r\nhello\r\n0\r\nTrailer: x\r\nMore: y\r\n\r\n", Ok("hello")),
        ("0\r\n\r\n", Ok("")),
        ("5\nhello\r\n0\r\n\r\n", Err(400)),
        ("5\r\nhello\n0\r\n\r\n", Err(400)),
        ("5\r\nhelloX\r\n0\r\n\r\n", Err(400)),
        ("5\r\nhello0\r\n\r\n", Err(400)),
        ("5;a\nb\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("5;a\rb\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("5;\0\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("5 \r\nhello\r\n0\r\n\r\n", Err(400)),
        (" 5\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("+5\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("0x5\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("\r\nhello\r\n0\r\n\r\n", Err(400)),
        (";a\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("g\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("00000000000000005\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("10000000000000005\r\nhello\r\n0\r\n\r\n", Err(400)),
        ("ffffffffffffffff\r\nhello\r\n0\r\n\r\n", Err(413)),
        ("10001\r\nhello", Err(413)),
        (&over, Err(413)),
        (&full, Ok("65536")),
        (&extension, Err(400)),
        (&trailers, Err(431)),
        (&long_trailer, Err(431)),
        ("0\r\nTrailer : x\r\n\r\n", Err(400)),
        ("0\r\n folded\r\n\r\n", Err(400)),
        ("0\r\nTrailer: x\n\r\n", Err(400)),
        ("0\r\nnothing\r\n\r\n", Err(400)),
    ];
    for (chunks, wanted) in table {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = format!("{head}{chunks}");
        let with_next = format!("{bytes}GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        match wanted {
            Err(status) => assert_eq!(verdict(bytes.as_bytes()), (*status, 0), "{:.80}", chunks),
            Ok(body) => {
                let mut conn = cleartext();
                conn.receive(Nanos(1), with_next.as_bytes());
                let seen = requests(&mut conn);
                assert_eq!(seen.len(), 2, "{:.80}", chunks);
                if let Ok(length) = body.parse::<usize>().map_err(drop).and_then(|n| {
                    if n > 10_000 && n < 1_000_000 {
                        Ok(n)
                    } else {
                        Err(())
                    }
                }) {
                    assert_eq!(seen[0].body.len(), length);
                } else {
                    assert_eq!(seen[0].body, body.as_bytes(), "{chunks:?}");
                }
            }
        }
    }
}

#[test]
fn a_head_that_dawdles_is_408_after_5_s_and_a_body_after_10() {
    let at = Nanos::from_secs(100);
    for (bytes, seconds, code) in [
        (&b"GET / HT"[..], 5, "head_timeout"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
            10,
            "request_timeout",
        ),
    ] {
        let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), at);
        assert_eq!(conn.timeout(), Some(Nanos::from_secs(175)));
        conn.receive(at, bytes);
        assert!(requests(&mut conn).is_empty());
        assert_eq!(conn.timeout(), Some(at.after(Nanos::from_secs(seconds))));
        conn.handle_timeout(at.after(Nanos::from_secs(seconds - 1)));
        assert!(!conn.has_output());
        conn.handle_timeout(at.after(Nanos::from_secs(seconds)));
        let out = String::from_utf8(output(&mut conn)).unwrap();
        assert!(out.starts_with("HTTP/1.1 408 ") && out.contains(code), "{out}");
        assert!(conn.wants_shutdown());
        // It lingers, so that the answer is read before the reset, but not for ever.
        conn.receive(conn.timeout().unwrap(), b"still talking");
        conn.handle_timeout(conn.timeout().unwrap());
        assert!(conn.is_closed());
    }
}

#[test]
fn a_refusal_names_its_reason_and_a_request_id() {
    let mut conn = cleartext();
    conn.set_id(0xabc);
    conn.receive(Nanos(1), b"GET / HTTP/1.1\r\n\r\n");
    assert!(requests(&mut conn).is_empty());
    let out = String::from_utf8(output(&mut conn)).unwrap();
    assert!(out.contains("x-request-id: 0000000000000abc-1\r\n"), "{out}");
    assert!(out.ends_with(
        r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"Exactly one valid Host is needed.","code":"bad_host"}"#
    ));
}
