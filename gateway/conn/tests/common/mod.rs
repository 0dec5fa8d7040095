//! What the tests of the byte interface share.
#![allow(dead_code)]

pub mod client;
pub mod post;
pub mod tls;

use std::rc::Rc;
use tidegate_conn::{Answer, Conn, ConnConfig, Event, ExchangeId, Nanos};

/// A request, copied out of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub exchange: ExchangeId,
    pub method: String,
    pub path: String,
    pub authority: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

pub fn cleartext() -> Conn {
    Conn::new(Rc::new(ConnConfig::cleartext()), Nanos(0))
}

/// Takes the next request, if one is there.
pub fn request(conn: &mut Conn) -> Option<Seen> {
    while let Some(event) = conn.next_event() {
        if let Event::Request(request) = event {
            return Some(Seen {
                exchange: request.exchange,
                method: request.head.method.to_owned(),
                path: request.head.path_and_query.to_owned(),
                authority: request.head.authority.to_owned(),
                fields: request
                    .head
                    .fields()
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .collect(),
                body: request.body.to_vec(),
            });
        }
    }
    None
}

/// Takes every request that is there.
pub fn requests(conn: &mut Conn) -> Vec<Seen> {
    std::iter::from_fn(|| request(conn)).collect()
}

pub fn output(conn: &mut Conn) -> Vec<u8> {
    let mut out = Vec::new();
    while conn.has_output() && conn.transmit(&mut out, usize::MAX) {}
    out
}

pub fn ok(conn: &mut Conn, now: Nanos, exchange: ExchangeId, body: &[u8]) -> bool {
    conn.respond(
        now,
        exchange,
        &Answer {
            status: 200,
            headers: &[("content-type", b"text/plain")],
            body,
        },
    )
}

/// Feeds bytes, answers each request 200 with its own path, and returns requests and output.
pub fn echo(conn: &mut Conn, now: Nanos, bytes: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    conn.receive(now, bytes);
    let mut all = Vec::new();
    let mut out = Vec::new();
    loop {
        let seen = requests(conn);
        if seen.is_empty() {
            break;
        }
        for request in &seen {
            ok(conn, now, request.exchange, request.path.as_bytes());
        }
        out.extend(output(conn));
        all.extend(seen);
    }
    out.extend(output(conn));
    (all, out)
}
