//! The whole gateway from outside: a real process, real TLS, a real log, kill -9.

mod common;

use common::{Client, Gateway, TIDEGATE};
use std::process::Command;

const OFF: [&str; 2] = ["limits.user.rate=off", "limits.address.rate=off"];

fn put_sku(client: &mut Client, operator: &str, sku: &str, body: &str) {
    let answer = client.request("PUT", &format!("/v1/skus/{sku}"), operator, &[], body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn an_order_is_there_after_kill_9_and_its_key_finds_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let placed = client.place(&alice, "first", "SKU-1", 2);
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.member("total"), "2000");
    let id = placed.member("order_id");
    assert_eq!(placed.header("location"), Some(&*format!("/v1/orders/{id}")));
    assert!(placed.header("x-request-id").is_some());
    assert_eq!(client.place(&alice, "first", "SKU-1", 2).member("order_id"), id);
    assert_eq!(
        client.place(&alice, "first", "SKU-1", 3).member("code"),
        "key_reused"
    );
    drop(client);
    gateway.kill();

    // Another number of shard threads, too.
    let gateway = Gateway::start(folder.path(), &["shards.threads=3"]);
    let mut client = gateway.connect();
    let read = client.request("GET", &format!("/v1/orders/{id}"), &alice, &[], "");
    assert_eq!(
        (read.status, read.member("status")),
        (200, "pending".to_owned()),
        "{read:?}"
    );
    assert_eq!(client.place(&alice, "first", "SKU-1", 2).member("order_id"), id);
    let bob = gateway.token("bob", None);
    let other = client.request("GET", &format!("/v1/orders/{id}"), &bob, &[], "");
    assert_eq!(other.status, 404, "someone else's order is unknown: {other:?}");
}

#[test]
fn an_order_over_several_shards_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &["shards.threads=3", OFF[0], OFF[1]]);
    let (alice, operator) = (
        gateway.token("alice", None),
        gateway.token("root", Some("operator")),
    );
    let mut client = gateway.connect();
    put_sku(
        &mut client,
        &operator,
        "RARE",
        r#"{"name":"rare","price":5,"currency":"CNY","stock":1}"#,
    );
    let body = |rare: u32| {
        let lines: Vec<String> = (1..=8)
            .map(|n| format!("{{\"sku\":\"SKU-{n}\",\"qty\":1}}"))
            .collect();
        format!(
            "{{\"lines\":[{{\"sku\":\"RARE\",\"qty\":{rare}}},{}]}}",
            lines.join(",")
        )
    };
    let refused = client.request(
        "POST",
        "/v1/orders",
        &alice,
        &[("idempotency-key", "a")],
        &body(2),
    );
    assert_eq!(
        (refused.status, refused.member("code")),
        (409, "sold_out".to_owned()),
        "{refused:?}"
    );
    let placed = client.request(
        "POST",
        "/v1/orders",
        &alice,
        &[("idempotency-key", "b")],
        &body(1),
    );
    assert_eq!(
        (placed.status, placed.member("total")),
        (201, "8005".to_owned()),
        "{placed:?}"
    );
    let stock = client.request("GET", "/v1/stock/SKU-3", &operator, &[], "");
    assert_eq!(
        (stock.member("held"), stock.member("sold")),
        ("1".to_owned(), "0".to_owned()),
        "{stock:?}"
    );
    let id = placed.member("order_id");
    let cancelled = client.request("POST", &format!("/v1/orders/{id}/cancel"), &alice, &[], "");
    assert_eq!(cancelled.member("status"), "cancelled", "{cancelled:?}");
    let mut back = String::new();
    for _ in 0..50 {
        // The other shards learn the outcome a moment later.
        back = client
            .request("GET", "/v1/stock/SKU-3", &operator, &[], "")
            .member("held");
        if back == "0" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(back, "0");
}

#[test]
fn a_flash_sale_sells_every_unit_once_and_keeps_the_limit_of_a_buyer() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let operator = gateway.token("root", Some("operator"));
    put_sku(
        &mut gateway.connect(),
        &operator,
        "HOT",
        r#"{"price":1,"currency":"CNY","stock":30,"buyer_limit":2}"#,
    );
    let sold: u32 = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..4)
            .map(|thread| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut client = gateway.connect();
                    let mut mine = 0;
                    for buyer in 0..6 {
                        let token = gateway.token(&format!("buyer-{thread}-{buyer}"), None);
                        let statuses: Vec<u16> = (0..3)
                            .map(|n| client.place(&token, &format!("k{n}"), "HOT", 1).status)
                            .collect();
                        let got = statuses.iter().filter(|s| **s == 201).count() as u32;
                        assert!(got <= 2, "a limit of 2 was broken: {statuses:?}");
                        mine += got;
                    }
                    mine
                })
            })
            .collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).sum()
    });
    assert_eq!(sold, 30, "24 buyers wanted 48 units of 30");
    let stock = gateway
        .connect()
        .request("GET", "/v1/stock/HOT", &operator, &[], "");
    assert_eq!(
        (stock.member("available"), stock.member("held")),
        ("0".to_owned(), "30".to_owned())
    );
}

#[test]
fn operators_set_prices_change_stock_once_a_key_and_confirm() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let (alice, operator) = (
        gateway.token("alice", None),
        gateway.token("root", Some("operator")),
    );
    let mut client = gateway.connect();
    let missing = client.request("PUT", "/v1/skus/NEW", &operator, &[], r#"{"price":5}"#);
    assert_eq!(
        (missing.status, missing.member("code")),
        (400, "missing_fields".to_owned()),
        "{missing:?}"
    );
    put_sku(
        &mut client,
        &operator,
        "NEW",
        r#"{"price":700,"currency":"EUR","stock":10}"#,
    );
    let change = r#"{"delta":-4,"reason":"damaged"}"#;
    for _ in 0..2 {
        let changed = client.request(
            "POST",
            "/v1/skus/NEW/stock-changes",
            &operator,
            &[("idempotency-key", "c1")],
            change,
        );
        assert_eq!(
            (changed.status, changed.member("stocked")),
            (200, "6".to_owned()),
            "{changed:?}"
        );
    }
    let id = client.place(&alice, "k", "NEW", 6).member("order_id");
    let below = client.request("PUT", "/v1/skus/NEW", &operator, &[], r#"{"stock":5}"#);
    assert_eq!(
        (below.status, below.member("code")),
        (409, "below_committed".to_owned())
    );
    assert_eq!(
        client
            .request(
                "POST",
                &format!("/v1/orders/{id}/confirm"),
                &alice,
                &[],
                r#"{"charge":"c"}"#
            )
            .status,
        403
    );
    for _ in 0..2 {
        let paid = client.request(
            "POST",
            &format!("/v1/orders/{id}/confirm"),
            &operator,
            &[],
            r#"{"charge":"ch_1"}"#,
        );
        assert_eq!(
            (paid.status, paid.member("status")),
            (200, "confirmed".to_owned()),
            "{paid:?}"
        );
    }
    let other = client.request(
        "POST",
        &format!("/v1/orders/{id}/confirm"),
        &operator,
        &[],
        r#"{"charge":"ch_2"}"#,
    );
    assert_eq!(other.member("code"), "already_paid", "{other:?}");
    put_sku(
        &mut client,
        &operator,
        "SOON",
        r#"{"price":1,"currency":"CNY","stock":1,"sale_start":"2099-01-01T00:00:00Z"}"#,
    );
    let early = client.place(&alice, "k2", "SOON", 1);
    assert_eq!(
        (early.status, early.member("code")),
        (409, "not_on_sale".to_owned())
    );
    assert!(early.header("retry-after").is_some());
}

#[test]
fn one_user_gets_the_limit_over_all_net_threads() {
    let folder = tempfile::tempdir().unwrap();
    let set = [
        "server.threads=2",
        "limits.user.rate=0.01",
        "limits.user.burst=20",
        OFF[1],
    ];
    let gateway = Gateway::start(folder.path(), &set);
    let alice = gateway.token("alice", None);
    let mut granted = 0;
    for connection in 0..8 {
        let mut client = gateway.connect();
        for n in 0..10 {
            let answer = client.place(&alice, &format!("{connection}-{n}"), "SKU-5", 1);
            if answer.status == 201 {
                granted += 1;
            } else {
                assert_eq!(
                    (answer.status, answer.member("code")),
                    (429, "rate_limited".to_owned())
                );
                let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert_eq!(answer.header("ratelimit-policy"), Some("\"user\";q=20;w=2000"));
                let state = answer.header("ratelimit").unwrap();
                let left = state.strip_prefix("\"user\";r=0;t=").expect(state);
                let left: u64 = left.parse().unwrap();
                assert!((1..=100).contains(&left) && wait >= left && wait <= left + left / 4 + 2);
            }
        }
    }
    assert_eq!(
        granted, 20,
        "the burst, over whichever threads the connections met"
    );
}

#[test]
fn what_is_not_a_request_is_refused_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    client.send(b"POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let mut client = gateway.connect();
    let wrong_host = "GET /v1/stock/SKU-1 HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n";
    client.send(wrong_host.as_bytes());
    assert_eq!(client.response().status, 421);
    let mut client = gateway.connect();
    assert_eq!(
        client.request("GET", "/v1/orders/1", "nonsense", &[], "").status,
        401
    );
    let answer = client.request("GET", "/v1/orders/1", "", &[], "");
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some());
    assert_eq!(
        client
            .request("POST", "/v1/orders", &alice, &[], "{}")
            .member("code"),
        "missing_idempotency_key"
    );
    let typed = [("idempotency-key", "k"), ("x-request-id", "mine")];
    let bad = client.request("POST", "/v1/orders", &alice, &typed, "{\"lines\":1}");
    assert_eq!(
        (bad.member("code"), bad.header("x-request-id")),
        ("invalid_body".to_owned(), Some("mine"))
    );
    // Pipelined: two requests in one write, answered in order.
    let one = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {alice}\r\n\r\n")
    };
    client.send(format!("{}{}", one("/v1/orders/7"), one("/v1/nothing")).as_bytes());
    assert_eq!(client.response().member("code"), "unknown_order");
    assert_eq!(client.response().member("code"), "not_found");
}

#[test]
fn sigterm_drains_and_a_second_instance_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start(folder.path(), &OFF);
    assert_eq!(gateway.admin("/readyz").0, 200);
    let second = common::run(folder.path()).output().unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        words.contains("another tidegate uses this data directory"),
        "{words}"
    );
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    assert_eq!(client.place(&alice, "k", "SKU-9", 1).status, 201);
    assert_eq!(gateway.terminate(), 0);
    let verified = Command::new(TIDEGATE)
        .args(["log", "verify"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

#[test]
fn the_epoll_shell_serves_the_same_shop() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start(
        folder.path(),
        &["server.io=epoll", "shards.writer=direct", OFF[0]],
    );
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let id = client.place(&alice, "k", "SKU-1", 1).member("order_id");
    assert_eq!(client.place(&alice, "k", "SKU-1", 1).member("order_id"), id);
    drop(client);
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn the_monoio_ring_serves_the_same_shop() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &["server.io=monoio", OFF[0]]);
    let alice = gateway.token("alice", None);
    let id = gateway
        .connect()
        .place(&alice, "k", "SKU-1", 1)
        .member("order_id");
    assert_eq!(
        gateway
            .connect()
            .place(&alice, "k", "SKU-1", 1)
            .member("order_id"),
        id
    );
}

const SHELLS: [&str; 2] = ["server.io=uring", "server.io=epoll"];

#[test]
fn a_thousand_pipelined_requests_are_all_answered() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Gateway::start(folder.path(), &[shell, OFF[0], OFF[1]]);
        let mut client = gateway.connect();
        let one = "GET /v1/stock/SKU-1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.send(one.repeat(1000).as_bytes());
        for n in 0..1000 {
            assert_eq!(client.response().status, 200, "answer {n} in {shell}");
        }
    }
}

#[test]
fn a_peer_that_never_reads_cannot_keep_the_gateway_from_ending() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [shell, OFF[0], OFF[1], "timeouts.drain_ms=2000"];
        let mut gateway = Gateway::start(folder.path(), &set);
        let mut client = gateway.connect();
        let one = "GET /v1/stock/SKU-1 HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000);
        client.give_up_after(std::time::Duration::from_millis(500));
        // Until its own socket takes no more: nothing is ever read.
        while client.try_send(one.as_bytes()) {}
        let began = std::time::Instant::now();
        assert_eq!(gateway.terminate(), 0, "{shell}");
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{shell}");
    }
}
