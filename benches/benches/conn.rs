//! The connection machine alone: an order in, a 201 out, no socket. The client's side of TLS runs outside of the clock.

use std::io::{Read as _, Write as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tidegate_conn::{Answer, Conn, ConnConfig, Event, Nanos, set_tls_defaults};

const BODY: &str = r#"{"lines":[{"sku":"SKU-1","qty":1}]}"#;
const ANSWER: &[u8] = br#"{"order_id":"123456789012345678","status":"pending","total":1000,"currency":"CNY","pay_by":"2026-01-01T00:15:00Z","lines":[{"sku":"SKU-1","qty":1}]}"#;
/// Requests a connection makes in a benchmark: it must not be asked to close.
const REQUESTS: u64 = 1 << 40;

/// What a client of ours sends, token included.
fn request() -> Vec<u8> {
    let token = "e".repeat(260);
    format!(
        "POST /v1/orders HTTP/1.1\r\nhost: 127.0.0.1:8443\r\nauthorization: Bearer {token}\r\nx-forwarded-for: 10.0.0.1\r\n\
         idempotency-key: 1f2e3d-12345\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

/// One turn of a shell: bytes in, the request's answer, bytes out. Returns how many requests were seen.
fn turn(conn: &mut Conn, input: &[u8], out: &mut Vec<u8>) -> usize {
    let now = Nanos(1);
    conn.receive(now, input);
    let mut seen = 0;
    while let Some(event) = conn.next_event() {
        let Event::Request(request) = event else { continue };
        assert_eq!(request.body.len(), BODY.len());
        let exchange = request.exchange;
        seen += 1;
        let headers: [(&str, &[u8]); 4] = [
            ("date", b"Thu, 01 Jan 2026 00:00:00 GMT"),
            ("content-type", b"application/json"),
            ("location", b"/v1/orders/123456789012345678"),
            ("x-request-id", b"0123456789abcdef0123456789abcdef"),
        ];
        conn.respond(
            now,
            exchange,
            &Answer {
                status: 201,
                headers: &headers,
                body: ANSWER,
            },
        );
    }
    out.clear();
    while conn.has_output() && conn.transmit(out, 64 * 1024) {}
    seen
}

fn cleartext(c: &mut Criterion) {
    let mut group = c.benchmark_group("h1");
    let one = request();
    let sixteen = one.repeat(16);
    for (name, bytes, count) in [
        ("an order, cleartext", &one, 1),
        ("16 orders pipelined, cleartext", &sixteen, 16),
    ] {
        let mut config = ConnConfig::cleartext();
        config.limits.requests = REQUESTS;
        let mut conn = Conn::new(Rc::new(config), Nanos(0));
        let mut out = Vec::new();
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(turn(&mut conn, bytes, &mut out) as u64, count))
        });
    }
    group.finish();
}

/// A client over TLS, and the server's machine behind it.
struct Pair {
    client: rustls::ClientConnection,
    conn: Conn,
    out: Vec<u8>,
}

impl Pair {
    fn new() -> Pair {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let certificate = made.cert.der().clone();
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key);
        let mut server = server.expect("they belong together");
        set_tls_defaults(&mut server);
        let mut config = ConnConfig::with_tls(Arc::new(server));
        config.limits.requests = REQUESTS;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let mut client = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let mut pair = Pair {
            client: rustls::ClientConnection::new(Arc::new(client), name).expect("a client"),
            conn: Conn::new(Rc::new(config), Nanos(0)),
            out: Vec::new(),
        };
        while pair.client.is_handshaking() {
            let wire = pair.client_wire();
            turn(&mut pair.conn, &wire, &mut pair.out);
            pair.client_reads();
        }
        pair
    }

    /// What the client has for the wire.
    fn client_wire(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).expect("a Vec takes everything");
        }
        wire
    }

    /// Gives the client what the server sent; returns the plaintext's length.
    fn client_reads(&mut self) -> usize {
        let mut wire = &self.out[..];
        let mut plain = 0;
        while !wire.is_empty() {
            self.client.read_tls(&mut wire).expect("from memory");
            let state = self.client.process_new_packets().expect("it is TLS");
            let mut piece = vec![0; state.plaintext_bytes_to_read()];
            self.client.reader().read_exact(&mut piece).expect("it is there");
            plain += piece.len();
        }
        plain
    }
}

fn tls(c: &mut Criterion) {
    let request = request();
    let mut pair = Pair::new();
    c.bench_function("h1/an order, TLS 1.3", |b| {
        b.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations {
                pair.client.writer().write_all(&request).expect("a record");
                let wire = pair.client_wire();
                let began = Instant::now();
                let seen = turn(&mut pair.conn, &wire, &mut pair.out);
                spent += began.elapsed();
                assert_eq!(seen, 1);
                assert!(pair.client_reads() > ANSWER.len());
            }
            spent
        });
    });
    c.bench_function("h1/a full handshake, both sides", |b| b.iter(Pair::new));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = cleartext, tls
}
criterion_main!(benches);
