//! TLS, by a rustls client in memory.

mod common;

use common::tls::{TlsClient, client, keys, server};
use common::{ok, output, requests};
use std::rc::Rc;
use std::sync::Arc;
use tidegate_conn::{Conn, ConnConfig, ConnState, Nanos, Protocol, Refusal};

const REQUEST: &[u8] = b"POST /v1/orders HTTP/1.1\r\nHost: localhost:8443\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_request_over_tls_is_answered() {
    let keys = keys();
    let mut conn = Conn::new(Rc::new(ConnConfig::with_tls(Arc::new(server(&keys)))), Nanos(0));
    assert_eq!(conn.state(), ConnState::Handshake);
    let mut client = TlsClient::new(client(&keys, &[b"http/1.1"]));
    client.write(REQUEST);
    client.shuttle(&mut conn, Nanos(1));
    assert_eq!(conn.protocol(), Some(Protocol::H1));
    assert_eq!(conn.sni(), Some("localhost"));
    let seen = requests(&mut conn);
    assert_eq!(seen[0].body, b"hello");
    ok(&mut conn, Nanos(2), seen[0].exchange, b"world");
    let plain = client.shuttle(&mut conn, Nanos(2));
    assert!(plain.starts_with(b"HTTP/1.1 200 OK\r\n") && plain.ends_with(b"world"));
}

#[test]
fn a_drained_connection_says_close_notify() {
    let keys = keys();
    let mut conn = Conn::new(Rc::new(ConnConfig::with_tls(Arc::new(server(&keys)))), Nanos(0));
    let mut client = TlsClient::new(client(&keys, &[]));
    client.shuttle(&mut conn, Nanos(1));
    conn.drain(Nanos(2));
    let wire = output(&mut conn);
    assert!(conn.wants_shutdown());
    let mut bytes = &wire[..];
    client.0.read_tls(&mut bytes).unwrap();
    assert!(client.0.process_new_packets().unwrap().peer_has_closed());
    conn.receive_eof(Nanos(3));
    assert!(conn.is_closed());
}

#[test]
fn what_is_not_tls_gets_an_alert_and_the_end() {
    let keys = keys();
    let config = Rc::new(ConnConfig::with_tls(Arc::new(server(&keys))));
    let mut conn = Conn::new(config.clone(), Nanos(0));
    conn.receive(Nanos(1), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let wire = output(&mut conn);
    assert_eq!(wire.first(), Some(&21), "an alert record");
    assert!(conn.wants_shutdown());
    assert_eq!(config.counters.refused(Refusal::TlsError), 1);
    conn.handle_timeout(conn.timeout().unwrap());
    assert!(conn.is_closed());
}

#[test]
fn a_handshake_that_dawdles_is_closed_after_5_s() {
    let keys = keys();
    let config = Rc::new(ConnConfig::with_tls(Arc::new(server(&keys))));
    let mut conn = Conn::new(config.clone(), Nanos(0));
    let hello = TlsClient::new(client(&keys, &[])).take_wire();
    conn.receive(Nanos::from_secs(1), &hello[..20]);
    assert_eq!(conn.timeout(), Some(Nanos::from_secs(5)));
    conn.handle_timeout(Nanos::from_secs(5));
    assert_eq!(config.counters.refused(Refusal::HandshakeTimeout), 1);
    assert_eq!(conn.state(), ConnState::Closing);
}

#[test]
fn a_ticket_of_one_configuration_resumes_on_another_with_the_same_ticketer() {
    let keys = keys();
    let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    let mut one = server(&keys);
    one.ticketer = ticketer.clone();
    let mut two = server(&keys);
    two.ticketer = ticketer;
    let client_config = client(&keys, &[b"http/1.1"]);
    for (server, resumed) in [(one, 0), (two, 1)] {
        let config = Rc::new(ConnConfig::with_tls(Arc::new(server)));
        let mut conn = Conn::new(config.clone(), Nanos(0));
        let mut client = TlsClient::new(client_config.clone());
        client.shuttle(&mut conn, Nanos(1));
        assert_eq!(config.counters.handshakes.get(), 1);
        assert_eq!(config.counters.handshakes_resumed.get(), resumed);
    }
}

#[test]
fn a_client_that_would_not_be_let_in_again_is_not_let_in_by_its_ticket() {
    let keys = keys();
    let mut server = server(&keys);
    server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    let server = Arc::new(server);
    let client_config = client(&keys, &[b"http/1.1"]);
    let meet = |admitted: bool| {
        let mut config = ConnConfig::with_tls(server.clone());
        config.admits_again = Some(Box::new(move |chain| {
            assert!(chain.is_none(), "this client brought no certificate");
            admitted
        }));
        let config = Rc::new(config);
        let mut conn = Conn::new(config.clone(), Nanos(0));
        let mut client = TlsClient::new(client_config.clone());
        client.write(REQUEST);
        client.shuttle(&mut conn, Nanos(1));
        (requests(&mut conn).len(), conn.state(), config)
    };
    // A full handshake verifies by itself and does not ask.
    assert_eq!(meet(false).0, 1);
    let (count, _, config) = meet(true);
    assert_eq!((count, config.counters.handshakes_resumed.get()), (1, 1));
    let (count, state, config) = meet(false);
    assert_eq!((count, state), (0, ConnState::Closing));
    assert_eq!(config.counters.refused(Refusal::TlsError), 1);
    assert_eq!(config.counters.handshakes.get(), 0);
}

#[test]
fn any_split_of_the_records_gives_the_same_answer() {
    let keys = keys();
    let config = Rc::new(ConnConfig::with_tls(Arc::new(server(&keys))));
    for piece in [1, 2, 7, 100, 1000] {
        let mut conn = Conn::new(config.clone(), Nanos(0));
        let mut client = TlsClient::new(client(&keys, &[b"http/1.1"]));
        client.shuttle(&mut conn, Nanos(1));
        client.write(REQUEST);
        for part in client.take_wire().chunks(piece) {
            conn.receive(Nanos(2), part);
        }
        let seen = requests(&mut conn);
        assert_eq!(seen.len(), 1);
        ok(&mut conn, Nanos(3), seen[0].exchange, b"x");
        // The answer leaves in pieces as well, and no piece is over its cap.
        let mut plain = Vec::new();
        while conn.has_output() {
            let mut out = Vec::new();
            conn.transmit(&mut out, piece);
            assert!(out.len() <= piece);
            plain.extend(client.give(&out));
        }
        assert!(plain.ends_with(b"\r\n\r\nx"));
    }
}

#[test]
fn a_host_that_the_certificate_does_not_cover_is_misdirected() {
    let keys = keys();
    let mut config = ConnConfig::with_tls(Arc::new(server(&keys)));
    config.covers = Some(Box::new(|sni, host| {
        sni == Some("localhost") && host == "localhost"
    }));
    let config = Rc::new(config);
    let mut conn = Conn::new(config.clone(), Nanos(0));
    let mut client = TlsClient::new(client(&keys, &[]));
    client.write(REQUEST);
    client.write(b"GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    client.shuttle(&mut conn, Nanos(1));
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 1, "the second was refused");
    ok(&mut conn, Nanos(2), seen[0].exchange, b"");
    let plain = String::from_utf8(client.shuttle(&mut conn, Nanos(2))).unwrap();
    assert!(plain.contains("HTTP/1.1 421 Misdirected Request\r\n"), "{plain}");
    assert_eq!(config.counters.refused(Refusal::Misdirected), 1);
}

#[test]
fn alpn_chooses_http_2() {
    use common::client::{GET, block, frame, frames, hello};
    let keys = keys();
    let mut conn = Conn::new(Rc::new(ConnConfig::with_tls(Arc::new(server(&keys)))), Nanos(0));
    let mut client = TlsClient::new(client(&keys, &[b"h2", b"http/1.1"]));
    client.write(&hello());
    client.write(&frame(1, 5, 1, &block(&GET)));
    client.shuttle(&mut conn, Nanos(1));
    assert_eq!(conn.protocol(), Some(Protocol::H2));
    let seen = requests(&mut conn);
    assert_eq!(seen.len(), 1);
    ok(&mut conn, Nanos(2), seen[0].exchange, b"hello");
    let sent = frames(&client.shuttle(&mut conn, Nanos(2)));
    assert!(
        sent.iter()
            .any(|frame| frame.0 == 0 && frame.2 == 1 && frame.3 == b"hello"),
        "{sent:?}"
    );
    // What follows ALPN h2 must be HTTP/2.
    let mut conn = Conn::new(Rc::new(ConnConfig::with_tls(Arc::new(server(&keys)))), Nanos(0));
    let mut client = TlsClient::new(common::tls::client(&keys, &[b"h2"]));
    client.write(REQUEST);
    client.shuttle(&mut conn, Nanos(1));
    assert!(requests(&mut conn).is_empty());
    client.shuttle(&mut conn, Nanos(1));
    assert_eq!(conn.state(), ConnState::Closing);
}
