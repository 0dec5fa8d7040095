//! What an operator sees and may do on the admin address, from outside.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Gateway, until};
use serde_json::Value;

fn json(gateway: &Gateway, path: &str) -> Value {
    let (status, body) = gateway.admin(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// A POST with further header lines; the status.
fn post(gateway: &Gateway, path: &str, fields: &str) -> u16 {
    let mut socket = TcpStream::connect(&gateway.admin).unwrap();
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nhost: {}\r\n{fields}connection: close\r\ncontent-length: 0\r\n\r\n",
        gateway.admin
    )
    .unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text[9..12].parse().unwrap()
}

#[test]
fn the_last_requests_are_found_by_what_happened_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &["server.threads=2"]);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let placed = client.place(&alice, "one", "SKU-7", 1);
    let id = placed.header("x-request-id").unwrap().to_owned();
    assert_eq!(
        client.request("GET", "/v1/stock/NO-SUCH", "", &[], "").status,
        404
    );

    let found = json(&gateway, &format!("/debug/requests?id={id}"));
    let record = &found["requests"][0];
    assert_eq!(record["status"], 201);
    assert_eq!(record["sku"], "SKU-7");
    assert_eq!(record["order"], placed.member("order_id"));
    assert_eq!(record["client"], "127.0.0.1");
    assert!(record["stages"]["commit_us"].as_f64().unwrap() > 0.0, "{record}");
    let total = record["total_us"].as_f64().unwrap();
    let stages = record["stages"].as_object().unwrap();
    let sum: f64 = stages.values().map(|us| us.as_f64().unwrap()).sum();
    assert!(total + 1.0 >= sum, "{record}");
    assert_eq!(record["buyer"].as_str().unwrap().len(), 32);

    let unknown = json(&gateway, "/debug/requests?code=unknown_sku&status=404");
    assert_eq!(unknown["requests"][0]["sku"], "NO-SUCH");
    assert_eq!(unknown["requests"].as_array().unwrap().len(), 1);
    let (status, text) = gateway.admin("/debug/requests?slower_than=5");
    assert_eq!(status, 400);
    assert!(text.contains("5ms"), "{text}");

    until("demand is shown", || {
        let hot = json(&gateway, "/debug/hot?limit=1");
        hot["skus"][0]["sku"] == "SKU-7"
            && hot["skus"][0]["orders"] == 1
            && hot["skus"][0]["stock"]["held"] == 1
    });
}

#[test]
fn a_browser_pauses_a_sku_with_the_token_and_changes_nothing_without() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[]);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let origin = format!(
        "origin: http://{}\r\nsec-fetch-site: same-origin\r\n",
        gateway.admin
    );
    let token = std::fs::read_to_string(folder.path().join("admin.token")).unwrap();
    let with_token = format!("{origin}x-tidegate-token: {}\r\n", token.trim());

    assert_eq!(post(&gateway, "/skus/SKU-1/pause", &origin), 401);
    assert_eq!(post(&gateway, "/breakers/shard-0?state=open", &origin), 401);
    assert_eq!(post(&gateway, "/drain", &origin), 401);
    assert_eq!(client.place(&alice, "before", "SKU-1", 1).status, 201);

    assert_eq!(post(&gateway, "/skus/SKU-1/pause", &with_token), 200);
    let refused = client.place(&alice, "paused", "SKU-1", 1);
    assert_eq!(
        (refused.status, refused.member("code")),
        (409, "paused".to_owned())
    );
    assert_eq!(json(&gateway, "/skus/SKU-1")["paused"], true);
    until("the console shows it", || {
        let view = json(&gateway, "/console.json");
        view["hot"][0]["paused"] == true && view["hot"][0]["refused"] == 1
    });
    let view = json(&gateway, "/console.json");
    assert!(
        view["log"][0]["text"].as_str().unwrap().contains("SKU-1"),
        "{view}"
    );
    assert_eq!(view["feed"][0][0], "applied_total");

    assert_eq!(post(&gateway, "/skus/SKU-1/resume", &with_token), 200);
    assert_eq!(client.place(&alice, "resumed", "SKU-1", 1).status, 201);
    assert_eq!(post(&gateway, "/skus/NO-SUCH/pause", &with_token), 404);
    assert_eq!(post(&gateway, "/skus/a%20b/pause", &with_token), 400);
    // A script on this machine, as ever.
    assert_eq!(post(&gateway, "/reload", ""), 200);
}
