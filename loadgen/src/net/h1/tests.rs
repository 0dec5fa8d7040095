use super::*;
use crate::users::Users;

fn sent(n: u32) -> H1 {
    let users = Users::mint(None, "u", 1, false, |_| {}).unwrap();
    let mut h1 = H1::default();
    for flight in 0..n {
        let request = Request {
            flight,
            path: b"/".to_vec(),
            ..Request::default()
        };
        h1.send(&request, users.identity(0), "host", &mut Vec::new());
    }
    h1
}

const TWO: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";

#[test]
fn a_request_is_written_as_rfc_9112_wants_it() {
    let users = Users::mint(None, "u", 1, false, |_| {}).unwrap();
    let mut out = Vec::new();
    let request = Request {
        method: Method::Post,
        path: b"/v1/orders".to_vec(),
        key: b"k".to_vec(),
        body: b"{}".to_vec(),
        ..Request::default()
    };
    H1::default().send(&request, users.identity(0), "h:1", &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "POST /v1/orders HTTP/1.1\r\nhost: h:1\r\nx-forwarded-for: 10.0.0.1\r\nidempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    );
}

#[test]
fn answers_are_the_same_for_every_split_of_the_bytes() {
    for cut in 0..=TWO.len() {
        let mut h1 = sent(2);
        let mut got = Vec::new();
        for part in [&TWO[..cut], &TWO[cut..]] {
            h1.plain().extend_from_slice(part);
            while let Some((flight, status, body)) = h1.next_answer().unwrap() {
                got.push((flight, status, body.to_vec()));
            }
        }
        assert_eq!(
            got,
            [(0, 201, b"ok".to_vec()), (1, 200, b"abcd".to_vec())],
            "cut at {cut}"
        );
        assert!(h1.is_closing());
        assert_eq!(h1.in_flight(), 0);
    }
}

#[test]
fn an_answer_nobody_asked_for_and_two_lengths_are_refused() {
    let mut h1 = sent(0);
    h1.plain()
        .extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(h1.next_answer().is_err());
    for head in [
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: +1",
        "Transfer-Encoding: gzip",
        "X: y",
    ] {
        let mut h1 = sent(1);
        h1.plain()
            .extend_from_slice(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\na").as_bytes());
        assert!(h1.next_answer().is_err(), "{head}");
    }
}
