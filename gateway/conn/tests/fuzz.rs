//! Fuzz targets. As `cargo test` each runs for a bounded number of inputs; `cargo bolero test NAME` runs them for long.

mod common;

use common::client::{GET, POST, block, frame, hello};
use common::{ok, output};
use std::rc::Rc;
use tidegate_conn::{
    Conn, ConnConfig, Event, ExchangeId, Limits, Nanos, ProxyReader, V2_BYTES_MAX, parse_proxy_header,
};

const ITERATIONS: usize = 3_000;

/// What a program of bytes does to a connection: each byte says how much of the rest comes next and what else
/// happens. No input may panic, loop for ever, or push the output over its cap.
fn drive(prefix: &[u8], bytes: &[u8]) {
    let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
    let mut now = Nanos(1);
    conn.receive(now, prefix);
    let mut waiting: Vec<ExchangeId> = Vec::new();
    let mut rest = bytes;
    while let Some((op, tail)) = rest.split_first() {
        let count = usize::from(op & 0x1f).min(tail.len());
        if conn.wants_read() {
            conn.receive(now, &tail[..count]);
        }
        rest = &tail[count..];
        while let Some(event) = conn.next_event() {
            match event {
                Event::Request(request) => {
                    assert!(request.body.len() <= Limits::default().body_bytes);
                    assert!(request.head.fields().count() <= Limits::default().head_fields);
                    assert!(request.head.path_and_query.is_ascii());
                    waiting.push(request.exchange);
                }
                Event::Cancelled(exchange) => waiting.retain(|waits| *waits != exchange),
            }
        }
        match op >> 5 {
            0 | 1 => {
                if let Some(exchange) = waiting.pop() {
                    ok(&mut conn, now, exchange, b"answer");
                }
            }
            2 | 3 => {
                let mut out = Vec::new();
                conn.transmit(&mut out, count);
                assert!(out.len() <= count);
            }
            4 => {
                if let Some(at) = conn.timeout() {
                    now = now.max(at);
                    conn.handle_timeout(now);
                }
            }
            5 if *op == 0xa0 => conn.drain(now),
            6 if *op == 0xc0 => conn.receive_eof(now),
            _ => {}
        }
    }
    for exchange in waiting {
        ok(&mut conn, now, exchange, b"late");
    }
    settle(&mut conn, now);
    // Every connection ends by its deadlines alone.
    for _ in 0..20 {
        let Some(at) = conn.timeout() else { break };
        now = now.max(at);
        conn.handle_timeout(now);
        settle(&mut conn, now);
    }
    assert!(conn.is_closed());
}

/// What a shell does until nothing moves: output leaves, which may let input go on, and requests are answered.
fn settle(conn: &mut Conn, now: Nanos) {
    loop {
        let out = output(conn);
        let mut some = !out.is_empty();
        while let Some(event) = conn.next_event() {
            some = true;
            if let Event::Request(request) = event {
                let exchange = request.exchange;
                ok(conn, now, exchange, b"late");
            }
        }
        if !some {
            return;
        }
    }
}

#[test]
fn h1_head() {
    bolero::check!()
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            drive(b"GET / HTTP/1.1\r\nHost: a\r\n", bytes);
            let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
            conn.receive(Nanos(1), bytes);
            conn.receive(Nanos(1), b"\r\n\r\n");
            while conn.next_event().is_some() {}
        });
}

#[test]
fn h1_body() {
    bolero::check!()
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            drive(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                bytes,
            );
        });
}

/// Bytes chosen from the words of HTTP/1.1, so that more than noise gets through.
#[test]
fn h1_connection() {
    const WORDS: [&[u8]; 16] = [
        b"GET / HTTP/1.1\r\n",
        b"POST /v1/orders HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: x\r\n",
        b"\r\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"\n",
        b" ",
        b"X: y\r\n",
        b"PRI * HTTP/2.0\r\n",
    ];
    bolero::check!()
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            drive(b"", bytes);
            let mut program = Vec::new();
            for byte in bytes {
                // An op that takes the whole word, then what the high bits say.
                let word = WORDS[usize::from(byte & 0xf)];
                for piece in word.chunks(31) {
                    program.push((byte & 0xe0) | piece.len() as u8);
                    program.extend_from_slice(piece);
                }
            }
            drive(b"", &program);
        });
}

/// Any bytes in any pieces: no panic, one verdict, and a header is never longer than its bound.
#[test]
fn proxy_header() {
    const BEGINNINGS: [&[u8]; 4] = [b"", b"PROXY TCP4 ", b"PROXY UNKNOWN", b"\r\n\r\n\0\r\nQUIT\n\x21"];
    bolero::check!()
        .with_iterations(ITERATIONS)
        .for_each(|input: &[u8]| {
            let Some((how, tail)) = input.split_first() else {
                return;
            };
            let bytes = [BEGINNINGS[usize::from(how & 3)], tail].concat();
            let whole = parse_proxy_header(&bytes);
            if let Ok(Some(header)) = whole {
                assert!(header.length <= V2_BYTES_MAX.min(bytes.len()));
            }
            let mut reader = ProxyReader::default();
            let size = usize::from(how >> 2) + 1;
            let mut pieces = bytes.chunks(size).map(|piece| reader.receive(piece));
            let decided = pieces.find_map(|read| read.transpose());
            let decided = decided.map(|read| read.map(|(header, _)| header));
            assert_eq!(decided, whole.transpose());
        });
}

#[test]
fn h2_connection() {
    bolero::check!()
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            drive(&hello(), bytes);
            let mut program = Vec::new();
            for (n, byte) in bytes.iter().enumerate() {
                let stream = if byte & 8 == 0 { 2 * n as u32 + 1 } else { 1 };
                let frame = match byte & 7 {
                    0 => frame(1, 5, stream, &block(&GET)),
                    1 => frame(1, 4, stream, &block(&POST)),
                    2 => frame(0, byte >> 4 & 1, stream, &bytes[..n.min(20)]),
                    3 => frame(3, 0, stream, &[0, 0, 0, 8]),
                    4 => frame(4, byte >> 4 & 1, 0, &[0, 4, 0, 0, *byte, 0]),
                    5 => frame(6, byte >> 4 & 1, 0, &[0; 8]),
                    6 => frame(8, 0, stream * u32::from(byte >> 4 & 1), &[0, 0, *byte, 1]),
                    _ => frame(*byte >> 4, *byte, stream, &bytes[..n.min(20)]),
                };
                for piece in frame.chunks(31) {
                    program.push((byte & 0xe0) | piece.len() as u8);
                    program.extend_from_slice(piece);
                }
            }
            drive(&hello(), &program);
        });
}
