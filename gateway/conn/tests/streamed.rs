//! Answers that are given in pieces.

mod common;

use common::client::{GET, PREFACE, block, frame, frames, hello};
use common::{cleartext, ok, output, request};
use std::rc::Rc;
use tidegate_conn::{AnswerHead, Conn, ConnConfig, ConnState, Event, ExchangeId, Limits, Nanos};

const NOW: Nanos = Nanos(1);

fn head(status: u16, length: Option<u64>) -> AnswerHead<'static> {
    AnswerHead {
        status,
        headers: &[("content-type", b"text/csv")],
        length,
    }
}

/// A connection that was asked this, and the first exchange.
fn asked(bytes: &[u8]) -> (Conn, ExchangeId) {
    let mut conn = cleartext();
    conn.receive(NOW, bytes);
    let exchange = request(&mut conn).expect("a request").exchange;
    (conn, exchange)
}

fn text(conn: &mut Conn) -> String {
    String::from_utf8(output(conn)).expect("text")
}

const H1_GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

fn h2_get() -> Vec<u8> {
    [hello(), frame(1, 5, 1, &block(&GET))].concat()
}

/// Gives all of a body to a peer that reads `cap` bytes at a time; returns what it read.
fn give(conn: &mut Conn, exchange: ExchangeId, mut body: &[u8], cap: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let room = conn.room(exchange);
        let taken = conn.respond_chunk(NOW, exchange, body);
        assert_eq!(taken, room.min(body.len()));
        body = &body[taken..];
        let mut read = Vec::new();
        let moved = conn.transmit(&mut read, cap);
        assert!(read.len() <= cap && (moved || taken > 0));
        out.extend(read);
    }
    conn.respond_end(NOW, exchange);
    out.extend(output(conn));
    out
}

#[test]
fn http_1_1_sends_chunks_when_the_length_is_not_known_and_goes_on() {
    let (mut conn, exchange) = asked(H1_GET);
    assert_eq!(conn.room(exchange), 0);
    assert!(conn.respond_head(NOW, exchange, &head(200, None)));
    assert_eq!(conn.respond_chunk(NOW, exchange, b""), 0);
    assert_eq!(conn.respond_chunk(NOW, exchange, b"a,b\n"), 4);
    assert_eq!(conn.respond_chunk(NOW, exchange, &[b'x'; 17]), 17);
    assert_eq!(conn.in_flight(), 1);
    conn.respond_end(NOW, exchange);
    assert_eq!(conn.in_flight(), 0);
    assert_eq!(
        text(&mut conn),
        "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n\
         4\r\na,b\n\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
    );
    conn.receive(NOW, H1_GET);
    let next = request(&mut conn).expect("the connection goes on").exchange;
    assert!(ok(&mut conn, NOW, next, b""));
}

#[test]
fn an_answer_takes_nothing_beyond_the_length_that_was_told() {
    for asked_by in [H1_GET.to_vec(), h2_get()] {
        let (mut conn, exchange) = asked(&asked_by);
        assert!(conn.respond_head(NOW, exchange, &head(200, Some(5))));
        assert!(!conn.respond_head(NOW, exchange, &head(200, Some(5))));
        assert!(!ok(&mut conn, NOW, exchange, b"twice"));
        assert_eq!(conn.room(exchange), 5);
        assert_eq!(conn.respond_chunk(NOW, exchange, b"123456"), 5);
        assert_eq!(conn.room(exchange), 0);
        conn.respond_end(NOW, exchange);
        let out = output(&mut conn);
        if asked_by == H1_GET {
            let expected =
                "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 5\r\n\r\n12345".as_bytes();
            assert_eq!(out, expected);
        } else {
            let of_it: Vec<_> = frames(&out).into_iter().filter(|frame| frame.2 == 1).collect();
            assert_eq!((of_it[0].0, of_it[0].1), (1, 4));
            assert_eq!(of_it[1], (0, 0, 1, b"12345".to_vec()));
            assert_eq!(of_it[2], (0, 1, 1, Vec::new()));
            assert_eq!(of_it.len(), 3);
        }
        assert_eq!(conn.state(), ConnState::Open);
        assert_eq!(conn.in_flight(), 0);
    }
}

#[test]
fn http_1_0_reads_until_the_connection_closes() {
    for fields in ["", "Connection: keep-alive\r\n"] {
        let (mut conn, exchange) = asked(format!("GET /a HTTP/1.0\r\n{fields}\r\n").as_bytes());
        assert!(conn.respond_head(NOW, exchange, &head(200, None)));
        assert_eq!(conn.respond_chunk(NOW, exchange, b"body"), 4);
        assert_eq!(
            text(&mut conn),
            "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\nconnection: close\r\n\r\nbody"
        );
        assert!(!conn.wants_shutdown());
        conn.respond_end(NOW, exchange);
        assert!(conn.wants_shutdown());
    }
}

#[test]
fn what_is_asked_behind_a_body_that_the_connections_end_ends_is_not_answered() {
    let get = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (mut conn, first) = asked(&[&get[..], get].concat());
    let second = request(&mut conn).expect("pipelined").exchange;
    assert!(conn.respond_head(NOW, first, &head(200, None)));
    assert!(!ok(&mut conn, NOW, second, b"behind"));
    conn.respond_end(NOW, first);
    assert!(!text(&mut conn).contains("behind"));
    assert!(conn.wants_shutdown());
}

#[test]
fn a_cut_answer_that_only_the_connections_end_would_end_gets_no_orderly_end() {
    let (mut conn, exchange) = asked(b"GET /a HTTP/1.0\r\n\r\n");
    assert!(conn.respond_head(NOW, exchange, &head(200, None)));
    conn.respond_chunk(NOW, exchange, b"half");
    conn.abort(NOW, exchange);
    assert!(conn.is_closed() && !conn.wants_shutdown() && !conn.has_output());
}

#[test]
fn what_has_no_body_sends_none_of_what_is_given() {
    let h1_head = b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let mut fields = GET;
    fields[0].1 = "HEAD";
    let h2_head = [hello(), frame(1, 5, 1, &block(&fields))].concat();
    let asks = [
        (h1_head.clone(), 200, Some(7)),
        (h1_head, 200, None),
        (h2_head.clone(), 200, Some(7)),
        (h2_head, 200, None),
        (H1_GET.to_vec(), 304, Some(7)),
        (h2_get(), 204, None),
    ];
    for (bytes, status, length) in asks {
        let (mut conn, exchange) = asked(&bytes);
        assert!(conn.respond_head(NOW, exchange, &head(status, length)));
        assert_eq!(conn.respond_chunk(NOW, exchange, b"BODYBOD"), 7);
        conn.respond_end(NOW, exchange);
        let out = output(&mut conn);
        assert!(
            !out.windows(4).any(|bytes| bytes == b"BODY"),
            "{status} {length:?}"
        );
        let told = out.windows(17).any(|bytes| bytes == b"content-length: 7");
        assert!(bytes.starts_with(PREFACE) || told == (status == 200 && length.is_some()));
        assert_eq!((conn.state(), conn.in_flight()), (ConnState::Open, 0));
    }
}

#[test]
fn an_answer_waits_for_the_older_ones_and_younger_ones_for_it() {
    let (mut conn, first) = asked(&[H1_GET, H1_GET, H1_GET].concat());
    let second = request(&mut conn).expect("pipelined").exchange;
    let third = request(&mut conn).expect("pipelined").exchange;
    assert!(ok(&mut conn, NOW, third, b"3"));
    assert!(conn.respond_head(NOW, second, &head(200, Some(1))));
    assert_eq!((conn.room(second), conn.has_output()), (0, false));
    assert_eq!(conn.respond_chunk(NOW, second, b"2"), 0);
    assert!(ok(&mut conn, NOW, first, b"1"));
    assert_eq!(conn.respond_chunk(NOW, second, b"2"), 1);
    conn.respond_end(NOW, second);
    let bodies: Vec<char> = text(&mut conn)
        .split("\r\n\r\n")
        .skip(1)
        .filter_map(|body| body.chars().next())
        .collect();
    assert_eq!(bodies, ['1', '2', '3']);
    assert_eq!(conn.in_flight(), 0);
}

#[test]
fn http_1_1_closes_behind_an_answer_that_is_broken_off_or_too_short() {
    for is_aborted in [true, false] {
        let (mut conn, first) = asked(&[H1_GET, H1_GET, H1_GET].concat());
        let second = request(&mut conn).expect("pipelined").exchange;
        let third = request(&mut conn).expect("pipelined").exchange;
        assert!(conn.respond_head(NOW, second, &head(200, Some(9))));
        match is_aborted {
            true => conn.abort(NOW, second),
            false => conn.respond_end(NOW, second),
        }
        assert!(!ok(&mut conn, NOW, third, b"behind"));
        assert_eq!(conn.in_flight(), 1);
        // What was asked before is answered.
        assert!(ok(&mut conn, NOW, first, b"before"));
        assert!(text(&mut conn).ends_with("before"));
        assert!(conn.wants_shutdown());
    }
}

#[test]
fn http_2_resets_the_stream_of_an_answer_that_is_broken_off_or_too_short() {
    for how in 0..3 {
        let (mut conn, exchange) = asked(&h2_get());
        conn.receive(NOW, &frame(1, 5, 3, &block(&GET)));
        let other = request(&mut conn).expect("another stream").exchange;
        if how > 0 {
            assert!(conn.respond_head(NOW, exchange, &head(200, Some(9))));
            conn.respond_chunk(NOW, exchange, b"1234");
        }
        match how {
            2 => conn.respond_end(NOW, exchange),
            _ => conn.abort(NOW, exchange),
        }
        assert!(!ok(&mut conn, NOW, exchange, b"late"));
        let out = frames(&output(&mut conn));
        assert!(out.contains(&(3, 0, 1, vec![0, 0, 0, 2])), "INTERNAL_ERROR");
        assert!(!out.iter().any(|frame| frame.0 == 0 && frame.1 & 1 == 1));
        assert!(ok(&mut conn, NOW, other, b"fine"));
        assert_eq!((conn.state(), conn.in_flight()), (ConnState::Open, 0));
    }
}

#[test]
fn a_slow_reader_gets_every_byte_and_the_output_stays_bounded() {
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut conn, exchange) = asked(H1_GET);
    assert!(conn.respond_head(NOW, exchange, &head(200, Some(body.len() as u64))));
    let bound = Limits::default().output_bytes / 2;
    assert!(conn.room(exchange) <= bound);
    assert!(give(&mut conn, exchange, &body, 1_000).ends_with(&body));

    // A peer that reads nothing is given no more than the bound.
    let (mut conn, exchange) = asked(H1_GET);
    assert!(conn.respond_head(NOW, exchange, &head(200, None)));
    while conn.respond_chunk(NOW, exchange, &body) > 0 {}
    assert_eq!(conn.room(exchange), 0);
    assert!(output(&mut conn).len() <= bound + 64);
    assert!(conn.room(exchange) > 0);
}

#[test]
fn http_2_gives_no_more_than_the_windows_and_goes_on_when_they_open() {
    let body: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut conn, exchange) = asked(&h2_get());
    assert!(conn.respond_head(NOW, exchange, &head(200, None)));
    let (mut read, mut sent) = (Vec::new(), 0);
    let mut ended = false;
    while !ended {
        let taken = conn.respond_chunk(NOW, exchange, &body[sent..]);
        sent += taken;
        if sent == body.len() {
            conn.respond_end(NOW, exchange);
        }
        let out = frames(&output(&mut conn));
        for (kind, flags, stream, payload) in out {
            if (kind, stream) == (0, 1) {
                assert!(payload.len() <= 16_384);
                ended |= flags & 1 == 1;
                read.extend(payload);
            }
        }
        if taken == 0 && !ended {
            // Nothing is owed to whom the window is closed; other streams' requests still come.
            assert_eq!((read.len(), conn.has_output()), (sent, false));
            let more = 65_535_u32.to_be_bytes();
            conn.receive(NOW, &[frame(8, 0, 0, &more), frame(8, 0, 1, &more)].concat());
            assert!(request(&mut conn).is_none());
            assert!(conn.room(exchange) > 0);
        }
    }
    assert_eq!(read, body);
    assert_eq!((conn.state(), conn.in_flight()), (ConnState::Open, 0));
}

#[test]
fn a_reset_in_the_middle_is_told_once_and_takes_no_more() {
    let (mut conn, exchange) = asked(&h2_get());
    assert!(conn.respond_head(NOW, exchange, &head(200, None)));
    conn.respond_chunk(NOW, exchange, b"half");
    conn.receive(NOW, &frame(3, 0, 1, &[0, 0, 0, 8]));
    assert!(matches!(conn.next_event(), Some(Event::Cancelled(id)) if id == exchange));
    assert!(conn.next_event().is_none());
    assert_eq!(
        (conn.room(exchange), conn.respond_chunk(NOW, exchange, b"more")),
        (0, 0)
    );
    conn.respond_end(NOW, exchange);
    conn.abort(NOW, exchange);
    assert_eq!((conn.state(), conn.in_flight()), (ConnState::Open, 0));
    assert!(!frames(&output(&mut conn)).iter().any(|frame| frame.0 == 3));
}

#[test]
fn a_drain_in_the_middle_lets_the_answer_end() {
    for is_h2 in [false, true] {
        let (mut conn, exchange) = asked(&if is_h2 { h2_get() } else { H1_GET.to_vec() });
        assert!(conn.respond_head(NOW, exchange, &head(200, None)));
        conn.respond_chunk(NOW, exchange, b"half");
        conn.drain(NOW);
        if is_h2 {
            let ping = frames(&output(&mut conn)).into_iter().find(|frame| frame.0 == 6);
            conn.receive(NOW, &frame(6, 1, 0, &ping.expect("the drain's PING").3));
            assert!(request(&mut conn).is_none());
        }
        assert_eq!(conn.state(), ConnState::Draining);
        assert_eq!(conn.respond_chunk(NOW, exchange, b"whole"), 5);
        conn.respond_end(NOW, exchange);
        let out = output(&mut conn);
        assert!(out.windows(5).any(|bytes| bytes == b"whole"));
        assert!(conn.wants_shutdown());
    }
}

#[test]
fn an_end_of_the_peers_side_does_not_cut_the_answer() {
    for bytes in [H1_GET.to_vec(), h2_get()] {
        let (mut conn, exchange) = asked(&bytes);
        assert!(conn.respond_head(NOW, exchange, &head(200, None)));
        conn.receive_eof(NOW);
        assert!(conn.next_event().is_none());
        let body = vec![7; 100_000];
        let fits = if bytes == H1_GET { body.len() } else { 60_000 };
        let out = give(&mut conn, exchange, &body[..fits], 4_096);
        assert!(out.len() > fits);
        assert!(conn.is_closed());
    }
}

#[test]
fn a_peer_that_does_not_read_is_cut_by_the_write_time_out() {
    let config = Rc::new(ConnConfig::cleartext());
    let mut conn = Conn::new(config.clone(), NOW);
    conn.receive(NOW, H1_GET);
    let exchange = request(&mut conn).expect("a request").exchange;
    assert!(conn.respond_head(NOW, exchange, &head(200, None)));
    conn.respond_chunk(NOW, exchange, b"nobody reads this");
    let at = NOW.after(config.deadlines.write);
    assert_eq!(conn.timeout(), Some(at));
    conn.handle_timeout(at);
    assert!(conn.is_closed());
    assert_eq!(conn.room(exchange), 0);
}
