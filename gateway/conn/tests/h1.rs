//! HTTP/1.1 by its bytes.

mod common;

use common::{cleartext, echo, ok, output, requests};
use std::rc::Rc;
use tidegate_conn::{Answer, Conn, ConnConfig, ConnState, Event, Limits, Nanos};

fn get(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

#[test]
fn a_post_is_handed_on_whole_and_answered() {
    let mut conn = cleartext();
    let (seen, out) = echo(
        &mut conn,
        Nanos(1),
        b"POST /v1/orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/v1/orders");
    assert_eq!(seen[0].body, b"hello");
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\n/v1/orders"
    );
    assert!(!conn.is_closed() && conn.wants_read());
}

#[test]
fn the_fields_of_the_order_path_are_picked() {
    let mut conn = cleartext();
    conn.receive(
        Nanos(7),
        b"POST /v1/orders?x=1 HTTP/1.1\r\nHOST: shop:8443\r\nAuthorization: Bearer t\r\nIDEMPOTENCY-KEY: k\r\n\
          Content-Type: application/json\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nx-forwarded-for:3.3.3.3\r\n\
          X-Request-Id: r\r\ntraceparent: 00-t\r\nContent-Length: 2\r\nOther:  x y \r\n\r\n{}",
    );
    let Some(Event::Request(request)) = conn.next_event() else {
        panic!("a request")
    };
    let picked = request.head.picked;
    assert_eq!(request.head.method, "POST");
    assert_eq!(request.head.path_and_query, "/v1/orders?x=1");
    assert_eq!(request.head.authority, "shop:8443");
    assert_eq!(request.first_byte_at, Nanos(7));
    assert_eq!(picked.authorization, Some(&b"Bearer t"[..]));
    assert_eq!(picked.idempotency_key, Some(&b"k"[..]));
    assert_eq!(picked.content_type, Some(&b"application/json"[..]));
    assert_eq!(picked.x_forwarded_for, Some(&b"3.3.3.3"[..]));
    assert_eq!(picked.x_request_id, Some(&b"r"[..]));
    assert_eq!(picked.traceparent, Some(&b"00-t"[..]));
    assert_eq!(picked.host, Some(&b"shop:8443"[..]));
    assert_eq!(picked.content_length, Some(2));
    let from_right: Vec<_> = (0..4).map(|n| request.head.forwarded_for(n)).collect();
    assert_eq!(
        from_right,
        [Some(&b"3.3.3.3"[..]), Some(b"2.2.2.2"), Some(b"1.1.1.1"), None]
    );
    assert_eq!(request.head.field("OTHER"), Some(&b"x y"[..]));
    assert_eq!(request.head.fields().count(), 10);
}

#[test]
fn answers_leave_in_the_order_of_the_requests() {
    let mut conn = cleartext();
    conn.receive(Nanos(1), &[get("/1", ""), get("/2", ""), get("/3", "")].concat());
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 3);
    ok(&mut conn, Nanos(2), seen[2].exchange, b"three");
    assert!(!conn.has_output());
    ok(&mut conn, Nanos(2), seen[1].exchange, b"two");
    assert!(!conn.respond(
        Nanos(2),
        seen[1].exchange,
        &Answer {
            status: 200,
            headers: &[],
            body: b""
        }
    ));
    assert!(!conn.has_output());
    assert_eq!(conn.in_flight(), 1);
    ok(&mut conn, Nanos(2), seen[0].exchange, b"one");
    let out = String::from_utf8(output(&mut conn)).unwrap();
    let (one, two, three) = (
        out.find("one").unwrap(),
        out.find("two").unwrap(),
        out.find("three").unwrap(),
    );
    assert!(one < two && two < three);
}

#[test]
fn a_pipeline_is_bounded_and_goes_on_as_answers_come() {
    let mut conn = cleartext();
    conn.receive(Nanos(1), &get("/", "").repeat(40));
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), Limits::default().pipelined);
    assert!(!conn.wants_read());
    ok(&mut conn, Nanos(1), seen[0].exchange, b"");
    assert_eq!(requests(&mut conn).len(), 1, "an answer makes room for a request");
    for request in &seen[1..] {
        ok(&mut conn, Nanos(1), request.exchange, b"");
    }
    assert_eq!(requests(&mut conn).len(), 15);
}

#[test]
fn a_peer_that_stops_reading_stops_being_read_and_is_closed_after_10_s() {
    let mut conn = cleartext();
    let mut rounds = 0;
    while conn.wants_read() {
        conn.receive(Nanos(1), &get("/", ""));
        for request in requests(&mut conn) {
            ok(&mut conn, Nanos(1), request.exchange, &[b'x'; 1_000]);
        }
        rounds += 1;
        assert!(rounds < 100);
    }
    let mut out = Vec::new();
    assert!(conn.transmit(&mut out, 4_096));
    assert_eq!(out.len(), 4_096);
    assert_eq!(conn.timeout(), Some(Nanos(10_000_000_001)));
    conn.handle_timeout(Nanos(10_000_000_001));
    assert!(conn.is_closed() && !conn.has_output());
}

#[test]
fn expect_100_continue_is_answered_in_its_turn() {
    let expecting = b"POST /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut conn = cleartext();
    conn.receive(Nanos(1), &[&get("/1", "")[..], expecting].concat());
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 1);
    assert!(!conn.has_output(), "not before the first answer");
    ok(&mut conn, Nanos(2), seen[0].exchange, b"one");
    assert!(requests(&mut conn).is_empty());
    let out = String::from_utf8(output(&mut conn)).unwrap();
    assert!(
        out.ends_with("one\u{d}\n\r\n") || out.ends_with("oneHTTP/1.1 100 Continue\r\n\r\n"),
        "{out}"
    );
    conn.receive(Nanos(3), b"ok");
    assert_eq!(requests(&mut conn)[0].body, b"ok");

    let mut conn = cleartext();
    conn.receive(
        Nanos(1),
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 70000\r\n\r\n",
    );
    assert!(requests(&mut conn).is_empty());
    assert!(
        output(&mut conn).starts_with(b"HTTP/1.1 413 "),
        "refused instead of asked for"
    );
}

#[test]
fn an_upgrade_never_makes_the_following_bytes_a_request() {
    let mut conn = cleartext();
    let upgrade = get("/", "Connection: upgrade\r\nUpgrade: websocket\r\n");
    conn.receive(Nanos(1), &[upgrade, get("/smuggled", "")].concat());
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 1);
    ok(&mut conn, Nanos(1), seen[0].exchange, b"");
    assert!(requests(&mut conn).is_empty());
    let out = String::from_utf8(output(&mut conn)).unwrap();
    assert!(out.contains("connection: close\r\n"));
    assert_eq!(conn.state(), ConnState::Closing);
}

#[test]
fn connection_close_closes_and_http_1_0_closes_unless_asked() {
    for (bytes, closes) in [
        (get("/", "Connection: close\r\n"), true),
        (get("/", "Connection: foo, Close\r\n"), true),
        (get("/", "Connection: keep-alive\r\n"), false),
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), true),
        (
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(),
            false,
        ),
    ] {
        let mut conn = cleartext();
        let (seen, out) = echo(&mut conn, Nanos(1), &[bytes.clone(), bytes].concat());
        assert_eq!(seen.len(), if closes { 1 } else { 2 });
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.contains("connection: close"), closes, "{out}");
        assert_eq!(conn.wants_shutdown(), closes);
    }
}

#[test]
fn head_gets_the_length_and_no_body() {
    let mut conn = cleartext();
    let (_, out) = echo(&mut conn, Nanos(1), b"HEAD /path HTTP/1.1\r\nHost: a\r\n\r\n");
    let out = String::from_utf8(out).unwrap();
    assert!(out.ends_with("content-length: 5\r\n\r\n"), "{out}");
}

#[test]
fn a_drain_takes_what_has_begun_and_nothing_more() {
    // Idle: at once.
    let mut conn = cleartext();
    echo(&mut conn, Nanos(1), &get("/", ""));
    conn.drain(Nanos(2));
    assert!(conn.wants_shutdown());
    // In flight: its answer says close.
    let mut conn = cleartext();
    conn.receive(Nanos(1), &get("/", ""));
    let seen = requests(&mut conn);
    conn.drain(Nanos(2));
    assert_eq!(conn.state(), ConnState::Draining);
    ok(&mut conn, Nanos(3), seen[0].exchange, b"");
    assert!(
        String::from_utf8(output(&mut conn))
            .unwrap()
            .contains("connection: close")
    );
    assert!(conn.wants_shutdown());
    // Begun: it is finished first.
    let mut conn = cleartext();
    conn.receive(Nanos(1), b"GET / HTTP/1.1\r\n");
    assert!(requests(&mut conn).is_empty());
    conn.drain(Nanos(2));
    let (seen, out) = echo(
        &mut conn,
        Nanos(3),
        &[b"Host: a\r\n\r\n".to_vec(), get("/more", "")].concat(),
    );
    assert_eq!(seen.len(), 1);
    assert!(String::from_utf8(out).unwrap().contains("connection: close"));
    assert!(conn.wants_shutdown());
}

#[test]
fn age_and_number_of_requests_ask_to_close() {
    let mut config = ConnConfig::cleartext();
    config.limits.requests = 3;
    let mut conn = Conn::new(Rc::new(config), Nanos(0));
    let (seen, out) = echo(&mut conn, Nanos(1), &get("/", "").repeat(5));
    assert_eq!(seen.len(), 3);
    assert_eq!(
        String::from_utf8(out)
            .unwrap()
            .matches("connection: close")
            .count(),
        1
    );

    let mut conn = cleartext();
    let hour = Nanos::from_secs(3_600);
    conn.receive(Nanos::from_secs(3_590), &get("/", ""));
    let seen = requests(&mut conn);
    assert_eq!(conn.timeout(), Some(hour));
    conn.handle_timeout(hour);
    ok(&mut conn, hour, seen[0].exchange, b"");
    assert!(
        String::from_utf8(output(&mut conn))
            .unwrap()
            .contains("connection: close")
    );
}

#[test]
fn an_idle_connection_closes_after_75_s_without_a_word() {
    let mut conn = cleartext();
    echo(&mut conn, Nanos::from_secs(10), &get("/", ""));
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(85)));
    conn.handle_timeout(Nanos::from_secs(84));
    assert_eq!(conn.state(), ConnState::Open);
    conn.handle_timeout(Nanos::from_secs(85));
    assert!(conn.wants_shutdown() && !conn.has_output());
}

#[test]
fn after_the_peers_end_what_it_asked_is_answered() {
    let mut conn = cleartext();
    conn.receive(
        Nanos(1),
        &[get("/", "").repeat(20), b"GET /half".to_vec()].concat(),
    );
    conn.receive_eof(Nanos(2));
    let mut answered = 0;
    loop {
        let seen = requests(&mut conn);
        if seen.is_empty() {
            break;
        }
        for request in &seen {
            ok(&mut conn, Nanos(3), request.exchange, b"");
        }
        answered += seen.len();
    }
    assert_eq!(answered, 20);
    output(&mut conn);
    assert!(conn.is_closed());
}

#[test]
fn tiny_chunks_are_put_together_while_their_headers_are_thrown_away() {
    let body: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
    let mut bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in &body {
        bytes.extend(b"1;e\r\n");
        bytes.extend([*byte, b'\r', b'\n']);
    }
    bytes.extend(b"0\r\nTrailer: ");
    bytes.extend([b't'; 9_000]);
    bytes.extend(b"\r\n\r\n");
    // The extensions are more than 4 KiB in all, which is the bound.
    let mut conn = cleartext();
    conn.receive(Nanos(1), &bytes);
    assert!(requests(&mut conn).is_empty());
    assert!(output(&mut conn).starts_with(b"HTTP/1.1 400 "));

    let mut bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in &body {
        bytes.extend([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    bytes.extend(b"0\r\nTrailer: ");
    bytes.extend([b't'; 9_000]);
    bytes.extend(b"\r\n\r\n");
    for size in [100, 4_097, 16_384] {
        let mut conn = cleartext();
        let mut seen = Vec::new();
        for piece in [bytes.clone(), get("/next", "")].concat().chunks(size) {
            assert!(conn.wants_read());
            conn.receive(Nanos(1), piece);
            seen.extend(requests(&mut conn));
        }
        assert_eq!(seen.len(), 2);
        assert!(seen[0].body == body);
    }
}
