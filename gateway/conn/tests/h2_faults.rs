//! HTTP/2: faults that were found by review, each by the bytes that showed it.

mod common;

use common::client::{Client, GET, POST, block, frame, frames, hello};
use common::{cleartext, echo, ok, output, request, requests};
use std::rc::Rc;
use tidegate_conn::{Conn, ConnConfig, ConnState, ExchangeId, Nanos};

const ENHANCE_YOUR_CALM: u32 = 0xb;

/// The stream and the reason of every GOAWAY.
fn goaways(out: &[u8]) -> Vec<(u32, u32)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let is_goaway = |frame: &(u8, u8, u32, Vec<u8>)| frame.0 == 7;
    let all = frames(out).into_iter().filter(is_goaway);
    all.map(|frame| (number(&frame.3[..4]), number(&frame.3[4..8])))
        .collect()
}

fn opened(bytes: &[u8]) -> Conn {
    let mut conn = cleartext();
    conn.receive(Nanos(1), &[hello(), bytes.to_vec()].concat());
    conn
}

fn answered(out: &[u8]) -> usize {
    frames(out).iter().filter(|frame| frame.0 == 1).count()
}

#[test]
fn what_was_asked_before_the_end_is_answered_also_when_the_first_answer_is_immediate() {
    let mut conn = opened(&[1, 3, 5].map(|id| frame(1, 5, id, &block(&GET))).concat());
    conn.receive_eof(Nanos(2));
    let mut count = 0;
    while let Some(seen) = request(&mut conn) {
        assert!(ok(&mut conn, Nanos(2), seen.exchange, b"x"));
        count += 1;
    }
    assert_eq!(count, 3);
    assert_eq!(answered(&output(&mut conn)), 3);
    assert_eq!(conn.state(), ConnState::Closed);
}

#[test]
fn frames_that_are_cut_by_every_read_are_no_slow_head() {
    let mut conn = opened(b"");
    let frame_of = |n: u32| frame(1, 5, 2 * n + 1, &block(&GET));
    let wire: Vec<u8> = (0..100).flat_map(frame_of).collect();
    let length = frame_of(0).len();
    conn.receive(Nanos(1), &wire[..5]);
    for (n, piece) in wire[5..].chunks_exact(length).enumerate() {
        let now = Nanos::from_millis(100 * (n as u64 + 1));
        conn.receive(now, piece);
        for seen in requests(&mut conn) {
            ok(&mut conn, now, seen.exchange, b"x");
        }
        conn.handle_timeout(now);
        assert!(goaways(&output(&mut conn)).is_empty(), "after {n} requests");
    }
}

#[test]
fn frames_of_a_stream_beyond_the_second_goaway_do_not_end_the_connection() {
    let mut conn = opened(&frame(1, 5, 1, &block(&GET)));
    assert_eq!(requests(&mut conn).len(), 1);
    conn.drain(Nanos(2));
    conn.receive(Nanos(3), &frame(6, 1, 0, b"tidegate"));
    requests(&mut conn);
    output(&mut conn);
    let late = [frame(1, 4, 3, &block(&POST)), frame(0, 1, 3, b"on its way")];
    conn.receive(Nanos(4), &late.concat());
    assert!(requests(&mut conn).is_empty());
    assert!(goaways(&output(&mut conn)).is_empty());
    assert!(ok(&mut conn, Nanos(5), ExchangeId(1), b"still answered"));
    assert_eq!(answered(&output(&mut conn)), 1);
}

#[test]
fn a_goaway_never_names_a_higher_stream_than_the_one_before() {
    let mut conn = opened(&frame(1, 5, 1, &block(&GET)));
    requests(&mut conn);
    conn.drain(Nanos(2));
    let bytes = [
        frame(6, 1, 0, b"tidegate"),
        frame(1, 5, 3, &block(&GET)),
        frame(5, 0, 1, &[]),
    ];
    conn.receive(Nanos(3), &bytes.concat());
    requests(&mut conn);
    let last: Vec<u32> = goaways(&output(&mut conn))
        .iter()
        .map(|(last, _)| *last)
        .collect();
    assert_eq!(last, [0x7fff_ffff, 1, 1]);
}

#[test]
fn every_frame_that_costs_its_sender_nothing_is_counted() {
    let padding = [frame(1, 4, 1, &block(&POST)), frame(0, 8, 1, &[0]).repeat(600)].concat();
    let headers = [
        frame(1, 5, 1, &block(&[(":method", "GET")])),
        frame(1, 5, 1, &block(&GET)).repeat(600),
    ]
    .concat();
    for (name, bytes) in [
        ("padding and no data", padding),
        ("acknowledgements of no PING", frame(6, 1, 0, &[0; 8]).repeat(600)),
        ("acknowledgements of no SETTINGS", frame(4, 1, 0, &[]).repeat(600)),
        (
            "GOAWAY",
            [frame(1, 4, 1, &block(&POST)), frame(7, 0, 0, &[0; 8]).repeat(600)].concat(),
        ),
        ("heads of a stream that was reset", headers),
    ] {
        let mut conn = opened(&bytes);
        assert!(requests(&mut conn).is_empty(), "{name}");
        let last = goaways(&output(&mut conn)).last().map(|(_, reason)| *reason);
        assert_eq!(last, Some(ENHANCE_YOUR_CALM), "{name}");
    }
}

#[test]
fn a_compression_bomb_ends_the_connection_whether_it_is_a_request_or_trailers() {
    // A name of 4,000 bytes, then entries that repeat it by two bytes and a value of none.
    let mut bomb = block(&[(&"n".repeat(4_000), "")]);
    bomb[0] = 0x40;
    bomb.extend([0x7e, 0x00].repeat(4_000));
    let request = [block(&GET), bomb.clone()].concat();
    let trailers = [frame(1, 4, 1, &block(&POST)), frame(1, 5, 1, &bomb)].concat();
    for bytes in [frame(1, 5, 1, &request), trailers] {
        let mut conn = opened(&bytes);
        assert!(requests(&mut conn).is_empty());
        assert_eq!(goaways(&output(&mut conn)), [(1, ENHANCE_YOUR_CALM)]);
    }
}

#[test]
fn a_head_twice_too_large_is_431_and_its_connection_lives() {
    let value = "v".repeat(8_000);
    let large = block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "/"),
        ("x", &value),
        ("y", &value),
        ("z", &value),
    ]);
    let bytes = [
        frame(1, 1, 1, &large[..16_000]),
        frame(9, 4, 1, &large[16_000..]),
        frame(1, 5, 3, &block(&GET)),
    ];
    let mut conn = opened(&bytes.concat());
    assert_eq!(requests(&mut conn).len(), 1);
    let out = output(&mut conn);
    assert!(goaways(&out).is_empty());
    assert!(frames(&out).iter().any(|frame| frame.0 == 1 && frame.2 == 1));
}

#[test]
fn continuations_of_more_bytes_than_two_heads_end_the_connection() {
    let bytes = [
        frame(1, 1, 1, &block(&GET)),
        frame(9, 0, 1, &[0; 16_000]).repeat(3),
    ];
    let mut conn = opened(&bytes.concat());
    assert!(requests(&mut conn).is_empty());
    assert_eq!(goaways(&output(&mut conn)), [(0, ENHANCE_YOUR_CALM)]);
}

#[test]
fn resets_that_the_peer_provokes_end_the_connection() {
    let bytes: Vec<u8> = (0..600_u32)
        .flat_map(|n| {
            [
                frame(1, 5, 2 * n + 1, &block(&GET)),
                frame(8, 0, 2 * n + 1, &[0; 4]),
            ]
            .concat()
        })
        .collect();
    let mut conn = opened(&bytes);
    requests(&mut conn);
    let out = output(&mut conn);
    assert_eq!(goaways(&out), [(1_001, ENHANCE_YOUR_CALM)]);
    assert_eq!(conn.in_flight(), 0);
}

#[test]
fn a_small_window_is_not_used_up_by_bytes_that_are_owed() {
    let mut config = ConnConfig::cleartext();
    config.limits.h2_connection_window = 65_535;
    let mut conn = Conn::new(Rc::new(config), Nanos(0));
    conn.receive(Nanos(1), &hello());
    let mut window = 65_535_i64;
    let mut give = |conn: &mut Conn, id: u32, size: usize, ends: u8| {
        window -= size as i64;
        assert!(window >= 0, "stream {id} waits for a window that never comes");
        conn.receive(Nanos(1), &frame(0, ends, id, &vec![0; size]));
        let seen = requests(conn);
        for frame in frames(&output(conn))
            .iter()
            .filter(|frame| (frame.0, frame.2) == (8, 0))
        {
            window += i64::from(u32::from_be_bytes(frame.3[..].try_into().unwrap()));
        }
        seen.len()
    };
    // 30,000 bytes of a whole body are owed, which is under half; then one of 60,000 comes.
    conn.receive(Nanos(1), &frame(1, 4, 1, &block(&POST)));
    give(&mut conn, 1, 15_000, 0);
    assert_eq!(give(&mut conn, 1, 15_000, 1), 1);
    conn.receive(Nanos(1), &frame(1, 4, 3, &block(&POST)));
    for _ in 0..3 {
        give(&mut conn, 3, 15_000, 0);
    }
    assert_eq!(give(&mut conn, 3, 15_000, 1), 1);
}

#[test]
fn padding_and_refused_bodies_leak_no_window_over_10_000_requests() {
    let mut conn = opened(b"");
    requests(&mut conn);
    output(&mut conn);
    let mut window = 1024 * 1024_i64;
    for n in 0..10_000_u32 {
        let id = 2 * n + 1;
        // The padding's length, 900 bytes of body, 100 of padding.
        let mut padded = vec![100];
        padded.extend([7; 1_000]);
        let body = match n % 4 {
            0 => vec![frame(0, 9, id, &padded)],
            1 => vec![frame(0, 8, id, &padded), frame(0, 1, id, b"")],
            // Reset by the peer, one in two hundred.
            2 if n % 200 == 2 => vec![frame(0, 8, id, &padded), frame(3, 0, id, &[0, 0, 0, 8])],
            _ => vec![
                frame(0, 8, id, &padded),
                frame(1, 5, id, &block(&[("trailer", "x")])),
            ],
        };
        window -= 1_001;
        assert!(window >= 0, "leaked after {n} requests");
        let now = Nanos::from_millis(u64::from(n) * 10);
        let bytes = [vec![frame(1, 4, id, &block(&POST))], body].concat().concat();
        let (_, out) = echo(&mut conn, now, &bytes);
        for frame in frames(&out) {
            let is_goaway = frame.0 == 7;
            assert!(!is_goaway || n >= 9_000, "GOAWAY after {n} requests");
            if (frame.0, frame.2) == (8, 0) {
                window += i64::from(u32::from_be_bytes(frame.3[..].try_into().unwrap()));
            }
        }
        // The client grants what the answers used.
        conn.receive(now, &frame(8, 0, 0, &11_u32.to_be_bytes()));
        assert!(request(&mut conn).is_none());
    }
    assert!(window > 256 * 1024, "{window}");
}

#[test]
fn trailers_end_a_body_and_pseudo_headers_in_them_reset_it() {
    let post = |id, trailer: &[(&str, &str)]| {
        [
            frame(1, 4, id, &block(&POST)),
            frame(0, 0, id, b"body"),
            frame(1, 5, id, &block(trailer)),
        ]
        .concat()
    };
    let bytes = [post(1, &[("checksum", "1")]), post(3, &[(":path", "/")])].concat();
    let mut conn = opened(&bytes);
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].exchange, &seen[0].body[..]),
        (ExchangeId(1), &b"body"[..])
    );
    assert!(seen[0].fields.is_empty(), "trailers are no fields of the head");
    assert!(
        frames(&output(&mut conn))
            .iter()
            .any(|frame| (frame.0, frame.2) == (3, 3))
    );
}

#[test]
fn a_table_that_is_made_small_and_large_in_one_frame_is_acknowledged_with_both() {
    let mut conn = opened(&frame(1, 5, 1, &block(&GET)));
    requests(&mut conn);
    ok(&mut conn, Nanos(1), ExchangeId(1), b"x");
    output(&mut conn);
    // HEADER_TABLE_SIZE 0, then 4,096.
    let settings = [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 16, 0];
    conn.receive(
        Nanos(2),
        &[frame(4, 0, 0, &settings), frame(1, 5, 3, &block(&GET))].concat(),
    );
    requests(&mut conn);
    ok(&mut conn, Nanos(2), ExchangeId(3), b"x");
    let head = frames(&output(&mut conn))
        .into_iter()
        .find(|frame| frame.0 == 1)
        .unwrap();
    assert_eq!(head.3[..4], [0x20, 0x3f, 0xe1, 0x1f]);
}

#[test]
fn a_drain_does_not_cut_an_answer_that_waits_for_a_window() {
    let mut conn = opened(&[frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]), frame(1, 5, 1, &block(&GET))].concat());
    requests(&mut conn);
    ok(&mut conn, Nanos(1), ExchangeId(1), b"slowly");
    conn.drain(Nanos(2));
    output(&mut conn);
    conn.handle_timeout(Nanos::from_secs(2));
    assert_eq!(
        goaways(&output(&mut conn)),
        [(1, 0)],
        "what is served, and no error"
    );
    assert_eq!(conn.state(), ConnState::Draining);
    conn.receive(Nanos::from_secs(2), &frame(8, 0, 1, &[0, 0, 0, 100]));
    requests(&mut conn);
    assert!(
        frames(&output(&mut conn))
            .iter()
            .any(|frame| frame.0 == 0 && frame.3 == b"slowly")
    );
}

#[test]
fn the_h2_crates_client_reads_heads_whatever_table_and_window_it_grants() {
    for (table, window) in [(0, 1), (64, 100), (4_096, 65_535), (65_536, 1 << 20)] {
        let mut client = Client::with(
            h2::client::Builder::new()
                .header_table_size(table)
                .initial_window_size(window),
        );
        let mut conn = cleartext();
        for n in 0..50 {
            let mut response = Box::pin(client.request("GET", &format!("/{n}"), b""));
            let mut body = None;
            let mut text = Vec::new();
            for _ in 0..40 {
                let (_, out) = echo(&mut conn, Nanos(1), &client.take_output());
                client.give(&out);
                if body.is_none()
                    && let std::task::Poll::Ready(answer) = common::client::poll(response.as_mut())
                {
                    let answer = answer.unwrap();
                    assert_eq!(answer.headers()["content-type"], "text/plain");
                    body = Some(answer.into_body());
                }
                let Some(body) = &mut body else { continue };
                let piece = common::client::poll(Box::pin(body.data()).as_mut());
                if let std::task::Poll::Ready(Some(piece)) = piece {
                    let piece = piece.unwrap();
                    text.extend_from_slice(&piece);
                    body.flow_control().release_capacity(piece.len()).unwrap();
                }
            }
            assert_eq!(text, format!("/{n}").as_bytes(), "table {table}, window {window}");
        }
    }
}

#[test]
fn head_204_and_304_end_with_their_heads() {
    let head = [
        (":method", "HEAD"),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", "/"),
    ];
    for (fields, status, length) in [(head, 200, Some("5")), (GET, 204, None), (GET, 304, None)] {
        let mut conn = opened(&frame(1, 5, 1, &block(&fields)));
        assert_eq!(requests(&mut conn).len(), 1);
        let answer = tidegate_conn::Answer {
            status,
            headers: &[],
            body: if status == 200 { b"12345" } else { b"" },
        };
        assert!(conn.respond(Nanos(1), ExchangeId(1), &answer));
        let sent = frames(&output(&mut conn));
        let of_stream: Vec<_> = sent.iter().filter(|frame| frame.2 == 1).collect();
        assert_eq!(
            (of_stream.len(), of_stream[0].0, of_stream[0].1),
            (1, 1, 5),
            "{status}"
        );
        // A content-length is a literal: its value is the block's end.
        let ends_with_length = of_stream[0].3.ends_with(b"\x015");
        assert_eq!(ends_with_length, length.is_some(), "{status}");
    }
}

#[test]
fn a_large_answer_leaves_whole_through_windows_of_any_size_and_in_frames_of_16_kib_at_most() {
    for (window, grant) in [(0_u32, 1_000_u32), (1, 777), (65_535, 65_535)] {
        // INITIAL_WINDOW_SIZE, and MAX_FRAME_SIZE of 16 MiB.
        let mut settings = [0, 4, 0, 0, 0, 0, 0, 5, 0, 0xff, 0xff, 0xff];
        settings[2..6].copy_from_slice(&window.to_be_bytes());
        let mut conn = opened(&[frame(4, 0, 0, &settings), frame(1, 5, 1, &block(&GET))].concat());
        requests(&mut conn);
        let body: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        assert!(ok(&mut conn, Nanos(1), ExchangeId(1), &body));
        let (mut got, mut has_ended) = (Vec::new(), false);
        let mut granted = window;
        while !has_ended {
            for (kind, flags, stream, payload) in frames(&output(&mut conn)) {
                if (kind, stream) == (0, 1) {
                    assert!(payload.len() <= 16_384);
                    got.extend(payload);
                    has_ended = flags & 1 == 1;
                }
            }
            assert!(got.len() <= granted as usize, "more than was granted");
            let more = grant.to_be_bytes();
            conn.receive(Nanos(2), &[frame(8, 0, 1, &more), frame(8, 0, 0, &more)].concat());
            assert!(request(&mut conn).is_none());
            granted += grant;
            assert!(granted < 1_000_000, "{} of the body came", got.len());
        }
        assert!(got == body, "window {window}");
    }
}

#[test]
fn a_head_that_lies_unread_because_the_output_is_full_is_not_late() {
    let late = frame(1, 5, 201, &block(&GET));
    let heads: Vec<u8> = (0..100_u32)
        .flat_map(|n| frame(1, 5, 2 * n + 1, &block(&GET)))
        .collect();
    let mut conn = opened(&[&heads[..], &late[..5]].concat());
    for seen in requests(&mut conn) {
        ok(&mut conn, Nanos(1), seen.exchange, &[b'x'; 1_500]);
    }
    assert!(!conn.wants_read());
    conn.receive(Nanos(2), &late[5..]);
    assert!(request(&mut conn).is_none());
    for second in 1..8 {
        // The peer reads, but slowly.
        assert!(conn.transmit(&mut Vec::new(), 500));
        conn.handle_timeout(Nanos::from_secs(second));
        assert_eq!(conn.state(), ConnState::Open, "after {second} s");
    }
    output(&mut conn);
    assert_eq!(requests(&mut conn).len(), 1, "read when there is room");
}

#[test]
fn a_request_that_lies_unread_has_waited_since_its_first_byte_came() {
    let get = |stream| frame(1, 5, stream, &block(&GET));
    let second = get(3);
    let mut conn = opened(&get(1));
    conn.receive(Nanos(20), &second[..7]);
    conn.receive(Nanos(30), &[&second[7..], &get(5)].concat());
    let mut times = Vec::new();
    while let Some(event) = conn.next_event() {
        if let tidegate_conn::Event::Request(request) = event {
            times.push(request.first_byte_at);
        }
    }
    assert_eq!(times, [Nanos(1), Nanos(20), Nanos(30)]);
}

#[test]
fn what_nobody_takes_is_not_read_without_end() {
    let body = vec![b'x'; 16_384];
    for begin in [opened(b""), {
        let mut conn = cleartext();
        conn.receive(Nanos(1), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        conn
    }] {
        let mut conn = begin;
        let mut count = 0;
        while conn.wants_read() {
            conn.receive(Nanos(2), &body);
            count += 1;
            assert!(count < 10, "not without end");
        }
        assert!(count >= 4, "a whole frame or head fits");
    }
}

#[test]
fn a_body_that_comes_late_is_no_wait_of_ours() {
    let mut conn = opened(&frame(1, 4, 1, &block(&POST)));
    assert!(conn.next_event().is_none());
    conn.receive(Nanos(80), &frame(0, 1, 1, b"body"));
    let Some(tidegate_conn::Event::Request(request)) = conn.next_event() else {
        panic!("no request")
    };
    assert_eq!((request.first_byte_at, request.whole_at), (Nanos(1), Nanos(80)));
    let mut conn = cleartext();
    conn.receive(
        Nanos(1),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
    );
    assert!(conn.next_event().is_none());
    conn.receive(Nanos(80), b"body");
    let Some(tidegate_conn::Event::Request(request)) = conn.next_event() else {
        panic!("no request")
    };
    assert_eq!((request.first_byte_at, request.whole_at), (Nanos(1), Nanos(80)));
}
