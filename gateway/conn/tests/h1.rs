//! HTTP/1.1 by its bytes.

mod common;

use common::{cleartext, echo, ok, output, requests};
use tidegate_conn::{Answer, Nanos};

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
fn answers_leave_in_the_order_of_the_requests() {
    let mut conn = cleartext();
    let one = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    conn.receive(Nanos(1), one);
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
    ok(&mut conn, Nanos(2), seen[0].exchange, b"one");
    let out = String::from_utf8(output(&mut conn)).unwrap();
    let (one, two, three) = (
        out.find("one").unwrap(),
        out.find("two").unwrap(),
        out.find("three").unwrap(),
    );
    assert!(one < two && two < three);
}
