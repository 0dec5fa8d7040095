//! Any split of the input into pieces gives the same events and the same output.

mod common;

use common::client::{Client, GET, POST, block, frame, hello};
use common::{Seen, cleartext, ok, output, request};
use proptest::prelude::*;
use tidegate_conn::Nanos;

/// Feeds the pieces, answering each request when it comes.
fn fed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Seen>, Vec<u8>) {
    let mut conn = cleartext();
    let mut all = Vec::new();
    let mut out = Vec::new();
    for piece in pieces {
        conn.receive(Nanos(1), piece);
        while let Some(seen) = request(&mut conn) {
            ok(&mut conn, Nanos(1), seen.exchange, seen.path.as_bytes());
            all.push(seen);
        }
        out.extend(output(&mut conn));
    }
    (all, out)
}

/// Cuts `bytes` at the places that the seeds name.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn h1_request() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..600);
    prop_oneof![
        8 => ("[a-z]{0,12}", body.clone()).prop_map(|(path, body)| {
            let mut bytes = format!("POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend(body);
            bytes
        }),
        8 => ("[a-z]{0,12}", prop::collection::vec(body, 0..4)).prop_map(|(path, chunks)| {
            let mut bytes = format!("POST /{path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                bytes.extend(format!("{:x};e=f\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\nT: x\r\n\r\n");
            bytes
        }),
        4 => Just(b"POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
        4 => Just(b"\r\nGET /e HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        1 => Just(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec()),
        1 => Just(b"GET / HTTP/1.1\nHost: a\r\n\r\n".to_vec()),
        1 => Just(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9_000)).into_bytes()),
        1 => Just(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(17_000)).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 1..60),
    ]
}

fn h2_frame(stream: u32) -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..600);
    prop_oneof![
        8 => Just(frame(1, 5, stream, &block(&GET))),
        8 => body.prop_map(move |body| [frame(1, 4, stream, &block(&POST)), frame(0, 1, stream, &body)].concat()),
        2 => Just([frame(1, 1, stream, &block(&POST)[..10]), frame(9, 4, stream, &block(&POST)[10..])].concat()),
        2 => Just(frame(6, 0, 0, &[7; 8])),
        1 => Just(frame(8, 0, 0, &1_000_u32.to_be_bytes())),
        1 => Just(frame(200, 0, stream, b"unknown")),
        1 => Just([frame(1, 5, stream, &block(&[(":method", "GET")]))].concat()),
        1 => Just(frame(1, 5, stream, &block(&[("Upper", "case")]))),
        1 => Just(frame(0, 1, stream, b"of no stream")),
        1 => Just(frame(1, 5, stream, &[0xff, 0xff, 0xff, 0xff])),
        1 => Just([frame(1, 4, stream, &block(&POST)), frame(3, 0, stream, &[0, 0, 0, 8])].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_http_1_1(
        parts in prop::collection::vec(h1_request(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = parts.concat();
        let whole = fed(std::iter::once(&bytes[..]));
        prop_assert_eq!(&fed(pieces(&bytes, &cuts).into_iter()), &whole);
        prop_assert_eq!(&fed(bytes.chunks(1)), &whole);
    }

    #[test]
    fn of_http_2(
        parts in prop::collection::vec(any::<u8>(), 1..6)
            .prop_flat_map(|seeds| {
                (0..seeds.len() as u32).map(|n| h2_frame(2 * n + 1)).collect::<Vec<_>>()
            }),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = [hello(), parts.concat()].concat();
        let whole = fed(std::iter::once(&bytes[..]));
        prop_assert_eq!(&fed(pieces(&bytes, &cuts).into_iter()), &whole);
        prop_assert_eq!(&fed(bytes.chunks(1)), &whole);
    }
}

#[test]
fn of_what_the_h2_crates_client_says() {
    let mut client = Client::new();
    let _responses: Vec<_> = (0..20)
        .map(|n| client.request("POST", &format!("/{n}"), &vec![n as u8; 100 * n]))
        .collect();
    let bytes = client.take_output();
    let whole = fed(std::iter::once(&bytes[..]));
    assert_eq!(whole.0.len(), 20);
    for size in [1, 2, 3, 5, 9, 10, 100, 1_000] {
        let (seen, out) = fed(bytes.chunks(size));
        assert!(seen == whole.0, "pieces of {size}");
        assert!(out == whole.1, "pieces of {size}");
    }
}
