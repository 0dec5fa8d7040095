//! What a request costs in this crate alone. Not a test of anything: `cargo test --release -p tidegate-conn --test
//! speed -- --ignored --nocapture`.

mod common;

use common::client::Client;
use common::post::{BODY, post};
use common::tls::{TlsClient, client, keys, server};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_conn::{Answer, Conn, ConnConfig, Event, ExchangeId, Nanos};

const ROUNDS: u32 = 20_000;

fn turn(conn: &mut Conn, now: Nanos, wire: &[u8], waiting: &mut Vec<ExchangeId>, out: &mut Vec<u8>) {
    conn.receive(now, wire);
    while let Some(event) = conn.next_event() {
        if let Event::Request(request) = event {
            waiting.push(request.exchange);
        }
    }
    let headers: [(&str, &[u8]); 4] = [
        ("content-type", b"application/json"),
        ("location", b"/v1/orders/123456789012345678"),
        ("x-request-id", b"0123456789abcdef"),
        ("date", b"Mon, 23 Nov 2026 16:00:00 GMT"),
    ];
    for exchange in waiting.drain(..) {
        conn.respond(
            now,
            exchange,
            &Answer {
                status: 201,
                headers: &headers,
                body: BODY,
            },
        );
    }
    out.clear();
    conn.transmit(out, 64 * 1024);
    assert!(!conn.has_output());
}

fn report(name: &str, spent: Duration, requests: u32) {
    println!("{name}: {} ns a request", spent.as_nanos() / u128::from(requests));
}

#[test]
#[ignore = "a measurement"]
fn of_http_1_1() {
    let mut conn = Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0));
    let (mut waiting, mut out) = (Vec::new(), Vec::new());
    let wire = post();
    let begun = Instant::now();
    for n in 0..9_000 {
        turn(&mut conn, Nanos(n), &wire, &mut waiting, &mut out);
    }
    report("h1 cleartext", begun.elapsed(), 9_000);

    let keys = keys();
    let mut config = ConnConfig::with_tls(Arc::new(server(&keys)));
    config.limits.requests = u64::MAX;
    let mut conn = Conn::new(Rc::new(config), Nanos(0));
    let mut client = TlsClient::new(client(&keys, &[b"http/1.1"]));
    client.shuttle(&mut conn, Nanos(1));
    let mut spent = Duration::ZERO;
    for n in 0..ROUNDS {
        client.write(&wire);
        let sealed = client.take_wire();
        let begun = Instant::now();
        turn(&mut conn, Nanos(u64::from(n)), &sealed, &mut waiting, &mut out);
        spent += begun.elapsed();
        client.give(&out);
    }
    report("h1 over TLS", spent, ROUNDS);
}

#[test]
#[ignore = "a measurement"]
fn of_http_2() {
    let mut config = ConnConfig::cleartext();
    config.limits.requests = u64::MAX;
    let mut conn = Conn::new(Rc::new(config), Nanos(0));
    let mut client = Client::new();
    let (mut waiting, mut out) = (Vec::new(), Vec::new());
    let token = format!("Bearer {}", "t".repeat(300));
    let mut spent = Duration::ZERO;
    for n in 0..ROUNDS / 16 {
        let mut responses = Vec::new();
        for k in 0..16 {
            let request = http::Request::post("https://localhost/v1/orders")
                .header("authorization", &token)
                .header("idempotency-key", format!("{n}-{k}"))
                .header("content-type", "application/json")
                .header("x-forwarded-for", "10.0.0.1")
                .body(())
                .unwrap();
            let (response, mut stream) = client.send.send_request(request, false).unwrap();
            stream.send_data(bytes::Bytes::from_static(BODY), true).unwrap();
            responses.push(response);
        }
        let wire = client.take_output();
        let begun = Instant::now();
        turn(&mut conn, Nanos(u64::from(n)), &wire, &mut waiting, &mut out);
        spent += begun.elapsed();
        client.give(&out);
        for mut response in responses {
            let answer = common::client::poll(std::pin::Pin::new(&mut response));
            let std::task::Poll::Ready(Ok(answer)) = answer else {
                panic!("no answer")
            };
            let mut body = answer.into_body();
            let mut flow = body.flow_control().clone();
            let data = common::client::poll(Box::pin(body.data()).as_mut());
            let std::task::Poll::Ready(Some(Ok(data))) = data else {
                panic!("no body")
            };
            flow.release_capacity(data.len()).unwrap();
        }
    }
    report("h2 cleartext, 16 streams", spent, ROUNDS);
}
