//! HTTP/2 by its bytes.

mod common;

use common::client::{Client, GET, POST, block, frame, frames, hello, poll};
use common::{cleartext, echo, ok, output, requests};
use std::rc::Rc;
use std::task::Poll;
use tidegate_conn::{Conn, ConnConfig, ConnState, Event, ExchangeId, Nanos, Protocol, Refusal};

/// Passes bytes both ways until nothing moves, answering with the path.
fn shuttle(client: &mut Client, conn: &mut Conn, now: Nanos) -> Vec<common::Seen> {
    let mut all = Vec::new();
    loop {
        let to_server = client.take_output();
        let (seen, out) = echo(conn, now, &to_server);
        all.extend(seen);
        client.give(&out);
        if to_server.is_empty() && out.is_empty() {
            return all;
        }
    }
}

#[test]
fn a_post_is_handed_on_whole_and_answered() {
    let mut conn = cleartext();
    let mut client = Client::new();
    let mut response = Box::pin(client.request("POST", "/v1/orders", b"hello"));
    let seen = shuttle(&mut client, &mut conn, Nanos(1));
    assert_eq!(conn.protocol(), Some(Protocol::H2));
    assert_eq!(
        (
            seen[0].method.as_str(),
            seen[0].path.as_str(),
            seen[0].authority.as_str()
        ),
        ("POST", "/v1/orders", "a")
    );
    assert_eq!(seen[0].body, b"hello");
    let Poll::Ready(Ok(answer)) = poll(response.as_mut()) else {
        panic!("no answer")
    };
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], "10");
    let mut body = answer.into_body();
    let mut data = Box::pin(body.data());
    let Poll::Ready(Some(Ok(data))) = poll(data.as_mut()) else {
        panic!("no body")
    };
    assert_eq!(&data[..], b"/v1/orders");
    assert!(client.ended.is_none() && conn.wants_read() && !conn.has_output());
}

#[test]
fn a_thousand_requests_on_a_hundred_streams() {
    let mut conn = cleartext();
    let mut client = Client::new();
    shuttle(&mut client, &mut conn, Nanos(1));
    for _ in 0..10 {
        let mut responses: Vec<_> = (0..100)
            .map(|n| Box::pin(client.request("POST", &format!("/{n}"), &[7; 300])))
            .collect();
        let seen = shuttle(&mut client, &mut conn, Nanos(2));
        assert_eq!(seen.len(), 100);
        assert!(
            responses
                .iter_mut()
                .all(|response| matches!(poll(response.as_mut()), Poll::Ready(Ok(_))))
        );
    }
    assert_eq!(conn.in_flight(), 0);
}

#[test]
fn a_large_body_comes_through_and_a_larger_one_is_413() {
    let mut conn = cleartext();
    let mut client = Client::new();
    let mut fits = Box::pin(client.request("POST", "/", &vec![1; 65_536]));
    let seen = shuttle(&mut client, &mut conn, Nanos(1));
    assert_eq!(seen[0].body.len(), 65_536);
    assert!(matches!(poll(fits.as_mut()), Poll::Ready(Ok(answer)) if answer.status() == 200));
    let mut too_large = Box::pin(client.request("POST", "/", &vec![1; 65_537]));
    assert!(shuttle(&mut client, &mut conn, Nanos(2)).is_empty());
    let answer = poll(too_large.as_mut());
    assert!(
        matches!(&answer, Poll::Ready(Ok(answer)) if answer.status() == 413),
        "{answer:?}"
    );
    // The connection lives on.
    let mut after = Box::pin(client.request("GET", "/after", b""));
    shuttle(&mut client, &mut conn, Nanos(3));
    assert!(matches!(poll(after.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn a_reset_cancels_an_exchange_and_its_answer_goes_nowhere() {
    let mut conn = cleartext();
    let mut bytes = hello();
    bytes.extend(frame(1, 5, 1, &block(&GET)));
    conn.receive(Nanos(1), &bytes);
    assert_eq!(requests(&mut conn).len(), 1);
    assert_eq!(conn.in_flight(), 1);
    conn.receive(Nanos(2), &frame(3, 0, 1, &8_u32.to_be_bytes()));
    assert!(matches!(conn.next_event(), Some(Event::Cancelled(ExchangeId(1)))));
    assert_eq!(conn.in_flight(), 0);
    assert!(!ok(&mut conn, Nanos(3), ExchangeId(1), b"late"));
}

#[test]
fn a_drain_sends_two_goaways_and_finishes_what_is_in_flight() {
    let mut conn = cleartext();
    let mut bytes = hello();
    bytes.extend(frame(1, 5, 1, &block(&GET)));
    conn.receive(Nanos(1), &bytes);
    assert_eq!(requests(&mut conn).len(), 1);
    output(&mut conn);
    conn.drain(Nanos(2));
    assert_eq!(conn.state(), ConnState::Draining);
    let sent = frames(&output(&mut conn));
    let goaway = sent.iter().find(|frame| frame.0 == 7).expect("the first GOAWAY");
    assert_eq!(&goaway.3[..4], &0x7fff_ffff_u32.to_be_bytes());
    let ping = sent.iter().find(|frame| frame.0 == 6).expect("a PING").3.clone();
    // A stream that was on its way is still served.
    conn.receive(Nanos(3), &frame(1, 5, 3, &block(&GET)));
    assert_eq!(requests(&mut conn).len(), 1);
    conn.receive(Nanos(3), &frame(6, 1, 0, &ping));
    requests(&mut conn);
    let sent = frames(&output(&mut conn));
    let goaway = sent.iter().find(|frame| frame.0 == 7).expect("the second GOAWAY");
    assert_eq!(&goaway.3[..4], &3_u32.to_be_bytes());
    ok(&mut conn, Nanos(4), ExchangeId(1), b"one");
    ok(&mut conn, Nanos(4), ExchangeId(3), b"three");
    let sent = frames(&output(&mut conn));
    assert_eq!(sent.iter().filter(|frame| frame.0 == 0).count(), 2);
    assert_eq!(conn.state(), ConnState::Closing);
}

#[test]
fn a_drain_without_the_pings_answer_is_cut_after_a_second() {
    let config = Rc::new(ConnConfig::cleartext());
    let mut conn = Conn::new(config.clone(), Nanos(0));
    conn.receive(Nanos(1), &hello());
    requests(&mut conn);
    output(&mut conn);
    conn.drain(Nanos(2));
    output(&mut conn);
    let at = conn.timeout().unwrap();
    assert_eq!(at, Nanos(1_000_000_002));
    conn.handle_timeout(at);
    output(&mut conn);
    assert_eq!(conn.state(), ConnState::Closing);
    assert_eq!(config.counters.refused(Refusal::H2DrainTimeout), 1);
}

/// Feeds the bytes, and returns the config for its counters, the connection and what it said.
fn abused(bytes: &[u8]) -> (Rc<ConnConfig>, Conn, Vec<u8>) {
    let config = Rc::new(ConnConfig::cleartext());
    let mut conn = Conn::new(config.clone(), Nanos(0));
    let mut out = Vec::new();
    for part in bytes.chunks(16 * 1024) {
        conn.receive(Nanos(1), part);
        requests(&mut conn);
        out.extend(output(&mut conn));
    }
    (config, conn, out)
}

fn last_goaway(out: &[u8]) -> Option<u32> {
    let frame = frames(out).into_iter().rfind(|frame| frame.0 == 7)?;
    Some(u32::from_be_bytes([
        frame.3[4], frame.3[5], frame.3[6], frame.3[7],
    ]))
}

const ENHANCE_YOUR_CALM: u32 = 0xb;

#[test]
fn abuse_ends_in_enhance_your_calm() {
    let mut rapid_reset = hello();
    for stream in 0..200_u32 {
        rapid_reset.extend(frame(1, 5, 2 * stream + 1, &block(&GET)));
        rapid_reset.extend(frame(3, 0, 2 * stream + 1, &8_u32.to_be_bytes()));
    }
    let mut pings = hello();
    let mut settings = hello();
    let mut empty_data = hello();
    empty_data.extend(frame(1, 4, 1, &block(&POST)));
    for _ in 0..2_000 {
        pings.extend(frame(6, 0, 0, &[0; 8]));
        settings.extend(frame(4, 0, 0, &[]));
        empty_data.extend(frame(0, 0, 1, &[]));
    }
    let mut continuations = hello();
    continuations.extend(frame(1, 1, 1, &block(&GET)));
    for _ in 0..1_000 {
        continuations.extend(frame(9, 0, 1, &[]));
    }
    for (name, bytes) in [
        ("rapid reset", rapid_reset),
        ("ping", pings),
        ("settings", settings),
        ("empty data", empty_data),
        ("continuation", continuations),
    ] {
        let (_, conn, out) = abused(&bytes);
        assert_eq!(last_goaway(&out), Some(ENHANCE_YOUR_CALM), "{name}");
        assert_eq!(conn.state(), ConnState::Closing, "{name}");
    }
}

#[test]
fn a_header_bomb_is_refused_and_costs_little() {
    // One field of 4,000 bytes in the dynamic table, then named a thousand times: 4 MB for 1 KB.
    let mut bytes = block(&GET);
    let value = "x".repeat(3_900);
    let mut field = block(&[("x", &value)]);
    field[0] = 0x40;
    bytes.extend(field);
    bytes.extend(vec![0xbe; 1_000]);
    let mut all = hello();
    all.extend(frame(1, 5, 1, &bytes));
    let (_, mut conn, out) = abused(&all);
    assert!(requests(&mut conn).is_empty());
    let answered_431 = frames(&out).iter().any(|frame| frame.0 == 1);
    assert!(answered_431 || last_goaway(&out).is_some(), "refused");
}

#[test]
fn malformed_requests_are_stream_errors_or_400() {
    let with = |extra: &[(&'static str, &'static str)]| {
        let mut fields = GET.to_vec();
        fields.extend(extra);
        fields
    };
    for fields in [
        with(&[("Upper", "case")]),
        with(&[("x", "a\r\nb: c")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[(":path", "/again")]),
        with(&[("te", "gzip")]),
        with(&[("authorization", "a"), ("authorization", "b")]),
        with(&[("host", "b")]),
        with(&[("content-length", "1")]),
        vec![(":method", "GET"), (":scheme", "https"), (":authority", "a")],
        vec![(":method", "GET"), (":scheme", "https"), (":path", "/")],
        vec![(":method", "CONNECT"), (":authority", "a:1")],
    ] {
        let mut bytes = hello();
        bytes.extend(frame(1, 5, 1, &block(&fields)));
        bytes.extend(frame(1, 5, 3, &block(&GET)));
        let config = Rc::new(ConnConfig::cleartext());
        let mut conn = Conn::new(config, Nanos(0));
        conn.receive(Nanos(1), &bytes);
        let seen = requests(&mut conn);
        assert_eq!(
            seen.iter().map(|seen| seen.exchange.0).collect::<Vec<_>>(),
            [3],
            "{fields:?}"
        );
    }
}

#[test]
fn a_slow_body_is_408_after_10_s_and_a_slow_head_ends_the_connection_after_5_s() {
    let mut conn = cleartext();
    let mut bytes = hello();
    bytes.extend(frame(1, 4, 1, &block(&POST)));
    bytes.extend(frame(0, 0, 1, b"some"));
    conn.receive(Nanos(0), &bytes);
    assert!(requests(&mut conn).is_empty());
    output(&mut conn);
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(10)));
    conn.handle_timeout(Nanos::from_secs(10));
    let sent = frames(&output(&mut conn));
    assert!(sent.iter().any(|frame| frame.0 == 1 && frame.2 == 1), "an answer");
    assert!(
        sent.iter()
            .any(|frame| frame.0 == 3 && frame.2 == 1 && frame.3 == [0; 4]),
        "RST_STREAM NO_ERROR: {sent:?}"
    );

    let at = Nanos::from_secs(20);
    let head = frame(1, 5, 3, &block(&GET));
    conn.receive(at, &head[..20]);
    assert!(requests(&mut conn).is_empty());
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(25)));
    conn.handle_timeout(Nanos::from_secs(25));
    assert_eq!(last_goaway(&output(&mut conn)), Some(ENHANCE_YOUR_CALM));
    assert_eq!(conn.state(), ConnState::Closing);
}

#[test]
fn a_window_held_at_zero_ends_the_connection() {
    let mut conn = cleartext();
    let mut bytes = common::client::PREFACE.to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    bytes.extend(frame(1, 5, 1, &block(&GET)));
    conn.receive(Nanos(0), &bytes);
    let seen = requests(&mut conn);
    ok(&mut conn, Nanos(0), seen[0].exchange, b"never taken");
    output(&mut conn);
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(10)));
    conn.handle_timeout(Nanos::from_secs(10));
    assert_eq!(last_goaway(&output(&mut conn)), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn an_idle_connection_is_drained_after_75_s() {
    let mut conn = cleartext();
    conn.receive(Nanos(0), &hello());
    requests(&mut conn);
    output(&mut conn);
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(75)));
    conn.handle_timeout(Nanos::from_secs(75));
    assert_eq!(last_goaway(&output(&mut conn)), Some(0));
    conn.handle_timeout(Nanos::from_secs(76));
    output(&mut conn);
    assert_eq!(conn.state(), ConnState::Closing);
}

#[test]
fn a_peer_that_stops_reading_stops_being_read_and_output_keeps_its_cap() {
    let mut conn = cleartext();
    let mut bytes = hello();
    for stream in 0..100_u32 {
        bytes.extend(frame(1, 5, 2 * stream + 1, &block(&GET)));
    }
    conn.receive(Nanos(1), &bytes);
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 100);
    let body = vec![b'x'; 1_500];
    for request in &seen {
        ok(&mut conn, Nanos(1), request.exchange, &body);
    }
    assert!(conn.next_event().is_none());
    assert!(!conn.wants_read(), "150 KB wait, and 64 KiB is the bound");
    let mut total = 0;
    while conn.has_output() {
        let mut out = Vec::new();
        if !conn.transmit(&mut out, 10_000) {
            break;
        }
        assert!(out.len() <= 10_000);
        total += out.len();
    }
    // The connection's window of 65,535 bytes is what the peer granted.
    assert!(total > 65_000 && total < 80_000, "{total}");
    assert!(conn.wants_read());
    conn.receive(Nanos(2), &frame(8, 0, 0, &1_000_000_u32.to_be_bytes()));
    assert!(conn.next_event().is_none());
    let rest = output(&mut conn);
    assert!(total + rest.len() > 150_000);
}

#[test]
fn age_and_number_of_requests_ask_to_close() {
    let mut config = ConnConfig::cleartext();
    config.limits.requests = 2;
    let mut conn = Conn::new(Rc::new(config), Nanos(0));
    let mut bytes = hello();
    for stream in [1, 3, 5] {
        bytes.extend(frame(1, 5, stream, &block(&GET)));
    }
    conn.receive(Nanos(1), &bytes);
    assert_eq!(requests(&mut conn).len(), 3, "those on their way are served");
    assert_eq!(last_goaway(&output(&mut conn)), Some(0));

    let mut conn = cleartext();
    conn.receive(Nanos::from_secs(3_599), &hello());
    requests(&mut conn);
    output(&mut conn);
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(3_600)));
    conn.handle_timeout(Nanos::from_secs(3_600));
    assert_eq!(last_goaway(&output(&mut conn)), Some(0));
    assert_eq!(conn.state(), ConnState::Draining);
}

#[test]
fn expect_100_continue_is_answered() {
    let mut conn = cleartext();
    let mut fields = POST.to_vec();
    fields.push(("expect", "100-continue"));
    let mut bytes = hello();
    bytes.extend(frame(1, 4, 1, &block(&fields)));
    conn.receive(Nanos(1), &bytes);
    assert!(requests(&mut conn).is_empty());
    let sent = frames(&output(&mut conn));
    // HPACK: a literal :status by the name of static entry 8, value "100" in Huffman code or not.
    let interim = sent
        .iter()
        .find(|frame| frame.0 == 1 && frame.2 == 1)
        .expect("an interim answer");
    assert_eq!(interim.1 & 1, 0, "not the end of the stream");
    conn.receive(Nanos(2), &frame(0, 1, 1, b"body"));
    let seen = requests(&mut conn);
    assert_eq!(seen[0].body, b"body");
    assert!(ok(&mut conn, Nanos(3), seen[0].exchange, b"done"));
    assert!(
        frames(&output(&mut conn))
            .iter()
            .any(|frame| frame.0 == 0 && frame.3 == b"done")
    );
}
