//! What the edge does with a socket before the first request, from outside: a real process and real sockets.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Client, Gateway};

/// Limits that the tests would meet.
const OFF: [&str; 2] = ["limits.user.rate=off", "limits.address.rate=off"];
const SHELLS: [&str; 3] = ["server.io=uring", "server.io=epoll", "server.io=monoio"];

const STOCK: &str = "/v1/stock/SKU-1";

#[test]
fn few_long_connections_end_up_even_over_the_net_threads() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [shell, "server.threads=8", OFF[0], OFF[1]];
        let mut gateway = Gateway::start(folder.path(), &set);
        // A hash spreads 64 over 8 as evenly as this about once in a hundred times, and then without a hand-over.
        let mut clients: Vec<Client> = (0..64).map(|_| gateway.connect()).collect();
        let open = gateway.wait_for("tidegate_connections", |sum| sum == 64);
        let (most, least) = (open.iter().max().unwrap(), open.iter().min().unwrap());
        assert!(open.len() == 8 && most - least <= 3, "{shell}: {open:?}");
        gateway.wait_for("tidegate_connections_handed_over_total", |sum| sum > 0);
        for client in &mut clients {
            assert_eq!(client.request("GET", STOCK, "", &[], "").status, 200, "{shell}");
        }
        drop(clients);
        gateway.wait_for("tidegate_connections", |sum| sum == 0);
        assert_eq!(gateway.terminate(), 0, "{shell}");
    }
}

#[test]
fn a_drain_while_connections_are_handed_over_ends_in_order() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.threads=4",
            "timeouts.drain_ms=1000",
            OFF[0],
            OFF[1],
        ];
        let mut gateway = Gateway::start(folder.path(), &set);
        let address = gateway.address.clone();
        let opening = std::thread::spawn(move || {
            // Until nobody listens any more.
            let mut open = Vec::new();
            while let Ok(socket) = TcpStream::connect(&address) {
                open.push(socket);
                if open.len() > 400 {
                    open.clear();
                }
            }
        });
        gateway.wait_for("tidegate_connections_handed_over_total", |sum| sum > 50);
        // The process checks at its end that it counts no connection.
        assert_eq!(gateway.terminate(), 0, "{shell}");
        opening.join().unwrap();
    }
}

/// How often this reason was counted, once it is more than nothing.
fn refusals(gateway: &Gateway, reason: &str) -> u64 {
    let name = format!("tidegate_refusals_total{{reason=\"{reason}\"}}");
    gateway.wait_for(&name, |sum| sum > 0).iter().sum()
}

fn v2(version_command: u8, family_transport: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([version_command, family_transport]);
    header.extend((addresses.len() as u16).to_be_bytes());
    header.extend(addresses);
    header
}

/// 203.0.113.9:12345 to 192.0.2.1:443, in both versions.
const V1: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 443\r\n";
const V2_ADDRESSES: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb];

/// Statuses of requests on one connection, each with an X-Forwarded-For of its own.
fn statuses(mut client: Client, claimed: std::ops::Range<u8>) -> Vec<u16> {
    let ask = |n| {
        let forwarded = format!("198.51.100.{n}");
        client
            .request("GET", STOCK, "", &[("x-forwarded-for", &forwarded)], "")
            .status
    };
    claimed.map(ask).collect()
}

#[test]
fn the_address_of_a_proxy_header_is_the_clients() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.threads=2",
            "server.proxy_protocol=on",
            "limits.address.rate=0.001",
            "limits.address.burst=2",
            OFF[0],
        ];
        let mut gateway = Gateway::start(folder.path(), &set);
        // Three addresses are claimed, but the client is not one who is believed: it has one bucket.
        let client = gateway.connect_by(&[&V1[..9], &V1[9..]], None);
        assert_eq!(statuses(client, 0..3), [200, 200, 429], "{shell}");
        // The other version, the same client.
        let second = v2(0x21, 0x11, &V2_ADDRESSES);
        let client = gateway.connect_by(&[&second[..14], &second[14..20], &second[20..]], None);
        assert_eq!(statuses(client, 0..1), [429], "{shell}");
        let other = gateway.connect_by(&[b"PROXY TCP6 2001:db8::9 2001:db8::1 1 443\r\n"], None);
        assert_eq!(statuses(other, 0..2), [200, 200], "{shell}");
        // A proxy behind the proxy is believed about its clients, and so is the proxy that speaks for itself.
        let behind = b"PROXY TCP4 127.0.0.9 127.0.0.1 12345 443\r\n";
        let client = gateway.connect_by(&[behind], None);
        assert_eq!(statuses(client, 0..4), [200; 4], "{shell}");
        for (n, header) in [(10, v2(0x20, 0, &[])), (20, b"PROXY UNKNOWN\r\n".to_vec())] {
            assert_eq!(
                statuses(gateway.connect_by(&[&header], None), n..n + 1),
                [200],
                "{shell}"
            );
        }
        assert_eq!(gateway.terminate(), 0);
    }
}

#[test]
fn a_trusted_peer_without_a_header_is_cut_and_counted() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [shell, "server.proxy_protocol=on", OFF[0], OFF[1]];
        let gateway = Gateway::start(folder.path(), &set);
        assert!(gateway.connect().is_cut(), "{shell}");
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        for bad in [
            &b"PROXY TCP4 here there 1 2\r\n"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            &long,
        ] {
            assert!(gateway.connect_by(&[bad], None).is_cut(), "{shell}");
        }
        gateway.wait_for("tidegate_refusals_total{reason=\"bad_proxy_header\"}", |sum| {
            sum == 4
        });
        gateway.wait_for("tidegate_connections", |sum| sum == 0);
    }
}

#[test]
fn a_header_of_somebody_else_is_not_read() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.proxy_protocol=on",
            "server.trusted_proxies=[\"192.0.2.0/24\"]",
            OFF[0],
            OFF[1],
        ];
        let gateway = Gateway::start(folder.path(), &set);
        assert!(gateway.connect_by(&[V1], None).is_cut(), "{shell}");
        assert_eq!(refusals(&gateway, "tls_error"), 1, "{shell}");
        assert_eq!(statuses(gateway.connect(), 0..1), [200], "{shell}");
    }
}

#[test]
fn handshakes_of_one_address_are_limited_also_behind_a_proxy() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let direct = "server.trusted_proxies=[]";
        let limit = ["limits.handshakes.rate=0.001", "limits.handshakes.burst=3"];
        let set = [
            shell,
            "server.threads=2",
            direct,
            limit[0],
            limit[1],
            OFF[0],
            OFF[1],
        ];
        let gateway = Gateway::start(folder.path(), &set);
        for _ in 0..3 {
            assert_eq!(statuses(gateway.connect(), 0..1), [200], "{shell}");
        }
        for _ in 0..3 {
            assert!(gateway.connect().is_cut(), "{shell}");
        }
        gateway.wait_for("tidegate_refusals_total{reason=\"connection_refused\"}", |sum| {
            sum == 3
        });

        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.proxy_protocol=on",
            limit[0],
            limit[1],
            OFF[0],
            OFF[1],
        ];
        let gateway = Gateway::start(folder.path(), &set);
        for _ in 0..3 {
            assert_eq!(statuses(gateway.connect_by(&[V1], None), 0..1), [200], "{shell}");
        }
        assert!(gateway.connect_by(&[V1], None).is_cut(), "{shell}");
        let other = gateway.connect_by(&[b"PROXY TCP4 203.0.113.10 192.0.2.1 1 443\r\n"], None);
        assert_eq!(
            statuses(other, 0..1),
            [200],
            "{shell}: the proxy itself is exempt"
        );
    }
}

/// How long the gateway lets a connection live that sends `bytes`, one after the other, and then nothing.
fn lives(gateway: &Gateway, bytes: &[u8]) -> Duration {
    let mut socket = TcpStream::connect(&gateway.address).unwrap();
    let began = Instant::now();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = bytes.iter();
    while began.elapsed() < Duration::from_secs(15) {
        if let Some(byte) = bytes.next() {
            let _ = socket.write_all(&[*byte]);
        }
        match socket.read(&mut [0; 64]) {
            // An alert, before the end.
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => return began.elapsed(),
        }
    }
    panic!("it is not closed");
}

#[test]
fn a_handshake_that_is_not_finished_in_time_is_closed_however_it_dawdles() {
    // A ClientHello's first bytes: a record of 512 bytes is announced.
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0; 400]].concat();
    for shell in SHELLS {
        for proxied in ["off", "on"] {
            let folder = tempfile::tempdir().unwrap();
            let proxy = format!("server.proxy_protocol={proxied}");
            let set = [shell, &proxy, "timeouts.handshake_ms=600", OFF[0], OFF[1]];
            let gateway = Gateway::start(folder.path(), &set);
            let slow: &[u8] = if proxied == "on" { V1 } else { &hello };
            for bytes in [&[][..], slow] {
                let lived = lives(&gateway, bytes);
                let bounds = Duration::from_millis(550)..Duration::from_millis(3000);
                assert!(bounds.contains(&lived), "{shell}, {proxied}: {lived:?}");
            }
            assert_eq!(refusals(&gateway, "handshake_timeout"), 2, "{shell}, {proxied}");
            gateway.wait_for("tidegate_connections", |sum| sum == 0);
        }
    }
}

#[test]
fn more_tokens_than_a_turn_verifies_are_all_answered_in_order() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.threads=1",
            "overload.shed_after_ms=60000",
            OFF[0],
            OFF[1],
        ];
        let gateway = Gateway::start(folder.path(), &set);
        let token = gateway.token("alice", None);
        let forged = &token[..token.len() - 8];
        let mut clients: Vec<Client> = (0..4).map(|_| gateway.connect()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            let ask = |k| {
                format!(
                    "GET /v1/orders/1 HTTP/1.1\r\nhost: localhost\r\nx-request-id: {n}-{k}\r\n\
                     authorization: Bearer {forged}{n:04}{k:04}\r\n\r\n"
                )
            };
            client.send((0..150).map(ask).collect::<String>().as_bytes());
        }
        for (n, client) in clients.iter_mut().enumerate() {
            for k in 0..150 {
                let answer = client.response();
                assert_eq!(answer.status, 401, "{shell}");
                assert_eq!(
                    answer.header("x-request-id"),
                    Some(format!("{n}-{k}").as_str()),
                    "{shell}"
                );
            }
            let good = client.request("GET", "/v1/orders/1", &token, &[], "");
            assert_eq!(good.status, 404, "{shell}: {}", good.body);
        }
    }
}

#[test]
fn a_connection_full_of_unknown_tokens_does_not_stop_the_others() {
    const FLOOD: usize = 12_000;
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.threads=1",
            "overload.shed_after_ms=60000",
            "http.requests_per_connection=100000",
            // An order that no shard knows is not asked for elsewhere: that takes more turns.
            "backoffice.mode=none",
            OFF[0],
            OFF[1],
        ];
        let gateway = Gateway::start(folder.path(), &set);
        let token = gateway.token("alice", None);
        let forged = token[..token.len() - 8].to_owned();
        let mut client = gateway.connect();
        let first = client.request("GET", "/v1/orders/1", &token, &[], "");
        assert_eq!(first.status, 404, "{shell}: the token is known now");
        let (mut flooder, answered) = (gateway.connect(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&answered);
        let flood = std::thread::spawn(move || {
            let ask = |n| {
                format!(
                    "GET /v1/orders/1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {forged}{n:08}\r\n\r\n"
                )
            };
            let send = |flooder: &mut Client, from: usize| {
                flooder.send((from..from + 100).map(ask).collect::<String>().as_bytes());
            };
            (0..8).for_each(|burst| send(&mut flooder, burst * 100));
            for n in 0..FLOOD {
                assert_eq!(flooder.response().status, 401);
                count.store(n, Ordering::Relaxed);
                if n % 100 == 99 && n + 701 < FLOOD {
                    send(&mut flooder, n + 701);
                }
            }
        });
        common::until("the flood has begun", || answered.load(Ordering::Relaxed) > 100);
        for _ in 0..10 {
            let known = client.request("GET", "/v1/orders/1", &token, &[], "");
            assert_eq!(known.status, 404, "{shell}");
        }
        let meanwhile = answered.load(Ordering::Relaxed);
        assert!(
            meanwhile < FLOOD / 4 * 3,
            "{shell}: {meanwhile} others came first"
        );
        flood.join().unwrap();
    }
}
