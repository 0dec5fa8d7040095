//! What a connection allocates for a request, and keeps when it is idle: counted by the allocator.

mod common;

use common::post::{BODY, post};
use common::tls::{TlsClient, client, keys, server};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_conn::{Answer, Conn, ConnConfig, Event, Nanos};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

fn note(calls: u64, bytes: i64) {
    // A thread that is ending has no counters any more; nothing is measured there.
    let _ = CALLS.try_with(|count| count.set(count.get() + calls));
    let _ = BYTES.try_with(|count| count.set(count.get() + bytes));
}

// SAFETY: every call goes on to the system's allocator unchanged; counting touches no memory of it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn calls<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = CALLS.get();
    let result = work();
    (CALLS.get() - before, result)
}

/// One turn of the shell: the request in, the answer out.
fn turn(conn: &mut Conn, now: Nanos, wire: &[u8], out: &mut Vec<u8>) {
    conn.receive(now, wire);
    let mut exchange = None;
    while let Some(event) = conn.next_event() {
        if let Event::Request(request) = event {
            assert_eq!(request.body, BODY);
            exchange = Some(request.exchange);
        }
    }
    let headers: [(&str, &[u8]); 3] = [
        ("content-type", b"application/json"),
        ("location", b"/v1/orders/1"),
        ("x-request-id", b"0123456789"),
    ];
    let answer = Answer {
        status: 201,
        headers: &headers,
        body: BODY,
    };
    assert!(conn.respond(now, exchange.expect("a request"), &answer));
    out.clear();
    assert!(conn.transmit(out, 64 * 1024));
    assert!(!conn.has_output() && conn.next_event().is_none());
}

#[test]
fn a_request_in_cleartext_allocates_nothing() {
    let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
    let wire = post();
    let mut out = Vec::with_capacity(4096);
    turn(&mut conn, Nanos(1), &wire, &mut out);
    let (allocations, ()) = calls(|| {
        for n in 2..102 {
            turn(&mut conn, Nanos(n), &wire, &mut out);
        }
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_request_over_tls_allocates_only_rustls_two_records() {
    let keys = keys();
    let mut conn = Conn::new(Rc::new(ConnConfig::with_tls(Arc::new(server(&keys)))), Nanos(0));
    let mut client = TlsClient::new(client(&keys, &[b"http/1.1"]));
    client.shuttle(&mut conn, Nanos(1));
    let mut out = Vec::with_capacity(4096);
    let mut total = 0;
    for n in 0..110 {
        client.write(&post());
        let wire = client.take_wire();
        let (allocations, ()) = calls(|| turn(&mut conn, Nanos(n), &wire, &mut out));
        client.give(&out);
        if n >= 10 {
            total += allocations;
        }
    }
    println!("h1 over TLS: {} allocations a request", total as f64 / 100.0);
    assert!(
        total <= 200,
        "one for the record read and one for the record written: {total} in 100"
    );
}

#[test]
fn an_idle_tls_connection_keeps_under_24_kib() {
    let keys = keys();
    let config = Rc::new(ConnConfig::with_tls(Arc::new(server(&keys))));
    let client_config = client(&keys, &[b"http/1.1"]);
    const CONNECTIONS: i64 = 20;
    let mut kept = Vec::with_capacity(CONNECTIONS as usize);
    let mut out = Vec::with_capacity(64 * 1024);
    let mut total = 0;
    for n in 0..CONNECTIONS as u64 {
        let mut client = TlsClient::new(client_config.clone());
        let before = BYTES.get();
        let mut conn = Box::new(Conn::new(config.clone(), Nanos(0)));
        let mut used = BYTES.get() - before;
        // The handshake and a large request, then nothing.
        client.write(&post());
        for _ in 0..4 {
            let wire = client.take_wire();
            let before = BYTES.get();
            if !wire.is_empty() {
                conn.receive(Nanos(n), &wire);
            }
            out.clear();
            conn.transmit(&mut out, 64 * 1024);
            used += BYTES.get() - before;
            client.give(&out);
        }
        let before = BYTES.get();
        turn_handed(&mut conn, &mut out);
        used += BYTES.get() - before;
        total += used;
        kept.push(conn);
    }
    let each = total / CONNECTIONS;
    println!("idle TLS on h1: {each} bytes by the allocator (aws-lc's C side not counted)");
    assert!(each <= 24 * 1024, "{each}");
}

fn turn_handed(conn: &mut Conn, out: &mut Vec<u8>) {
    let Some(Event::Request(request)) = conn.next_event() else {
        panic!("a request")
    };
    let exchange = request.exchange;
    assert!(conn.next_event().is_none());
    conn.respond(
        Nanos(2),
        exchange,
        &Answer {
            status: 200,
            headers: &[],
            body: BODY,
        },
    );
    out.clear();
    conn.transmit(out, 64 * 1024);
    assert!(conn.next_event().is_none());
}

#[test]
fn what_an_h2_request_allocates() {
    use common::client::Client;
    let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
    let mut client = Client::new();
    let mut out = Vec::with_capacity(64 * 1024);
    let mut total = 0;
    let before = BYTES.get();
    let mut clients = 0;
    for n in 0..60 {
        let client_before = BYTES.get();
        let response = client.request("POST", "/v1/orders", BODY);
        let wire = client.take_output();
        clients += BYTES.get() - client_before;
        let (allocations, ()) = calls(|| turn(&mut conn, Nanos(n), &wire, &mut out));
        let client_before = BYTES.get();
        client.give(&out);
        drop((response, wire));
        clients += BYTES.get() - client_before;
        if n >= 10 {
            total += allocations;
        }
    }
    println!("h2 in cleartext: {} allocations a request", total as f64 / 50.0);
    assert!(total <= 50 * 24, "{total} in 50");
    let idle = BYTES.get() - before - clients;
    println!("idle h2: {idle} bytes without TLS");
    assert!(idle <= 40 * 1024, "64 KiB with TLS: {idle}");
}

#[test]
fn what_a_hostile_peer_makes_a_connection_hold_is_bounded() {
    // Without an end, without answers: the shell reads while it is asked to.
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let tiny_chunks = [head, b"1\r\nx\r\n".repeat(100_000)].concat();
    let endless_head = [
        b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(),
        b"X: y\r\n".repeat(100_000),
    ]
    .concat();
    let pipelined = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50_000);
    for bytes in [tiny_chunks, endless_head, pipelined] {
        let before = BYTES.get();
        let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
        let mut most = 0;
        for piece in bytes.chunks(16 * 1024) {
            if !conn.wants_read() {
                break;
            }
            conn.receive(Nanos(1), piece);
            while conn.next_event().is_some() {}
            most = most.max(BYTES.get() - before);
        }
        assert!(most <= 256 * 1024, "{most}");
    }
}

#[test]
fn one_slow_request_does_not_make_an_h2_connection_remember_all_that_came_after_it() {
    use common::client::{POST, block, frame, hello};
    let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
    // The first waits for its body.
    conn.receive(Nanos(1), &[hello(), frame(1, 4, 1, &block(&POST))].concat());
    assert!(conn.next_event().is_none());
    let mut out = Vec::with_capacity(64 * 1024);
    let before = BYTES.get();
    for n in 1..9_000_u32 {
        let id = 2 * n + 1;
        let bytes = [
            frame(1, 4, id, &block(&POST)),
            frame(0, 1, id, BODY),
            frame(8, 0, 0, &1_000_u32.to_be_bytes()),
        ];
        turn(
            &mut conn,
            Nanos(u64::from(n) * 100_000),
            &bytes.concat(),
            &mut out,
        );
    }
    let grown = BYTES.get() - before;
    assert!(grown <= 16 * 1024, "{grown} bytes after 9,000 requests");
}
