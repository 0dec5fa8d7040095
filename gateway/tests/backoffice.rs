//! The shop in one process, from outside: orders are listed, paid and looked up where the store has them, across kill -9.

mod common;

use common::{Client, Gateway, path, until};
use serde_json::Value;

const OFF: [&str; 2] = ["limits.user.rate=off", "limits.address.rate=off"];

fn json(client: &mut Client, target: &str, token: &str) -> Value {
    let answer = client.request("GET", target, token, &[], "");
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}

/// The caller's orders, once there are `count` of them in the store.
fn listed(client: &mut Client, token: &str, count: usize) -> Vec<Value> {
    let mut orders = Vec::new();
    until("the store has the orders", || {
        let page = json(client, "/v1/orders?limit=100", token);
        orders = page["orders"].as_array().expect("a list").clone();
        orders.len() >= count
    });
    assert_eq!(orders.len(), count, "none is there twice");
    orders
}

fn approve(client: &mut Client, page: &str) {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let shown = client.request("POST", page, "", &form, "action=approve");
    assert_eq!(shown.status, 303, "{shown:?}");
}

#[test]
fn an_order_is_listed_as_the_shard_shows_it_and_only_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let (alice, bob) = (gateway.token("alice", None), gateway.token("bob", None));
    let operator = gateway.token("root", Some("operator"));
    let mut client = gateway.connect();
    let ids: Vec<String> = (0..3)
        .map(|n| {
            client
                .place(&alice, &format!("k{n}"), "SKU-1", 1)
                .member("order_id")
        })
        .collect();
    let orders = listed(&mut client, &alice, 3);
    for (order, id) in orders.iter().zip(ids.iter().rev()) {
        assert_eq!(order["order_id"], **id, "newest first");
        assert_eq!(*order, json(&mut client, &format!("/v1/orders/{id}"), &alice));
    }
    let page = json(&mut client, "/v1/orders?limit=2", &alice);
    assert_eq!(page["next"], *ids[1]);
    let rest = json(
        &mut client,
        &format!("/v1/orders?limit=2&after={}", ids[1]),
        &alice,
    );
    assert_eq!(
        (rest["orders"][0]["order_id"].clone(), rest["next"].clone()),
        (Value::from(&*ids[0]), Value::Null)
    );
    assert!(listed(&mut client, &bob, 0).is_empty());
    let history = format!("/v1/orders/{}/history", ids[0]);
    assert_eq!(json(&mut client, &history, &alice)["steps"][0]["kind"], "placed");
    assert_eq!(client.request("GET", &history, &bob, &[], "").status, 404);
    assert_eq!(
        json(&mut client, "/v1/orders?user=alice", &operator)["orders"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    for (target, token, code) in [
        ("/v1/orders?user=alice", &alice, "forbidden"),
        ("/v1/orders?limit=0", &alice, "invalid_parameter"),
        ("/v1/orders?stat=pending", &alice, "invalid_parameter"),
    ] {
        assert_eq!(
            client.request("GET", target, token, &[], "").member("code"),
            code,
            "{target}"
        );
    }
}

#[test]
fn the_catalogue_is_listed_and_searched_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let mut client = gateway.connect();
    let mut page = Value::Null;
    until("the store has the catalogue", || {
        page = json(&mut client, "/v1/skus?q=SKU-99&limit=3", "");
        page["skus"].as_array().map(Vec::len) == Some(3)
    });
    gateway.wait_for("tidegate_feed_applied_total", |records| records > 1000);
    assert_eq!(
        (page["skus"][0]["sku"].as_str(), page["next"].as_str()),
        (Some("SKU-99"), Some("SKU-991"))
    );
    let flash = json(&mut client, "/v1/skus?q=FLASH", "");
    assert_eq!(
        (
            flash["skus"][0]["stock"].as_u64(),
            flash["skus"][0]["buyer_limit"].as_u64()
        ),
        (Some(500), Some(2))
    );
    assert_eq!(
        client.request("GET", "/v1/catalogue/export", "", &[], "").status,
        401
    );
}

#[test]
fn a_paid_order_is_confirmed_and_stays_so_across_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let id = client.place(&alice, "first", "SKU-1", 2).member("order_id");
    let pay = format!("/v1/orders/{id}/pay");
    let charge = client.request("POST", &pay, &alice, &[], "");
    assert_eq!(
        (charge.status, charge.member("amount")),
        (201, "2000".to_owned()),
        "{charge:?}"
    );
    let again = client.request("POST", &pay, &alice, &[], "");
    assert_eq!(
        again.member("charge"),
        charge.member("charge"),
        "an open charge is found again"
    );
    drop(client);
    gateway.kill();

    let gateway = Gateway::start(folder.path(), &OFF);
    let mut client = gateway.connect();
    approve(&mut client, &charge.member("payment_url"));
    let read = format!("/v1/orders/{id}");
    until("it is confirmed", || {
        json(&mut client, &read, &alice)["status"] == "confirmed"
    });
    drop(client);
    gateway.kill();

    let gateway = Gateway::start(folder.path(), &["shards.threads=2", OFF[0], OFF[1]]);
    let mut client = gateway.connect();
    until("the store has it", || {
        listed(&mut client, &alice, 1)[0]["status"] == "confirmed"
    });
    let steps = json(&mut client, &format!("{read}/history"), &alice);
    let kinds: Vec<&str> = steps["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["placed", "payment_started", "confirmed"]);
    let twice = client.request("POST", &pay, &alice, &[], "");
    assert_eq!(twice.status, 409, "{twice:?}");
}

#[test]
fn a_declined_charge_leaves_the_order_to_be_paid_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let id = client.place(&alice, "first", "SKU-1", 1).member("order_id");
    let pay = format!("/v1/orders/{id}/pay");
    let first = client.request("POST", &pay, &alice, &[], "");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let declined = client.request("POST", &first.member("payment_url"), "", &form, "action=decline");
    assert_eq!(declined.status, 303, "{declined:?}");
    let mut second = client.request("POST", &pay, &alice, &[], "");
    until("the charge is closed, and another can be made", || {
        second = client.request("POST", &pay, &alice, &[], "");
        second.status == 201 && second.member("charge") != first.member("charge")
    });
    approve(&mut client, &second.member("payment_url"));
    let read = format!("/v1/orders/{id}");
    until("it is confirmed", || {
        json(&mut client, &read, &alice)["status"] == "confirmed"
    });
    let unknown = client.request(
        "GET",
        "/pay/simulated/ch_00000000000000000000000000000000",
        "",
        &[],
        "",
    );
    assert_eq!(unknown.status, 404);
}

#[test]
fn a_directory_that_served_without_a_store_is_caught_up_with_and_then_keeps_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &["backoffice.mode=none", OFF[0], OFF[1]]);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    for n in 0..20 {
        assert_eq!(client.place(&alice, &format!("k{n}"), "SKU-1", 1).status, 201);
    }
    drop(client);
    gateway.kill();

    let gateway = Gateway::start(folder.path(), &OFF);
    listed(&mut gateway.connect(), &alice, 20);
    gateway.kill();

    let refused = common::run(folder.path())
        .args(["--set", "backoffice.mode=none"])
        .output()
        .unwrap();
    let said = common::text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("backoffice.mode=embedded"),
        "{said}"
    );
    std::fs::remove_file(folder.path().join("store.db")).unwrap();
    let refused = common::run(folder.path()).output().unwrap();
    let said = common::text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("put that store's file back"),
        "{said}"
    );
}

#[test]
fn the_store_lies_where_the_configuration_says_and_is_found_there_by_whoever_is_told() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let setting = format!("backoffice.store={}", path(&disk.path().join("shop.db")));
    let set = [&*setting, OFF[0], OFF[1]];
    let gateway = Gateway::start(folder.path(), &set);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    assert_eq!(client.place(&alice, "k", "SKU-1", 1).status, 201);
    listed(&mut client, &alice, 1);
    assert!(disk.path().join("shop.db").exists() && !folder.path().join("store.db").exists());
    drop(client);
    gateway.kill();

    let dumped = common::tidegate(&["store", "dump", path(folder.path()), "--set", &setting]);
    assert!(
        common::text(&dumped.stdout).contains("\"user\":\"alice\""),
        "{dumped:?}"
    );
    let refused = common::tidegate(&["store", "marks", path(folder.path())]);
    assert!(
        common::text(&refused.stderr).contains("backoffice.store"),
        "{refused:?}"
    );
    // With the default path it would begin another store; it says so, and makes none.
    let refused = common::run(folder.path()).output().unwrap();
    let said = common::text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("put that store's file back"),
        "{said}"
    );
    assert!(!folder.path().join("store.db").exists());
    let elsewhere = format!("backoffice.store={}", path(&disk.path().join("none/shop.db")));
    let refused = common::run(folder.path())
        .args(["--set", &elsewhere])
        .output()
        .unwrap();
    let said = common::text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("mount its disk"),
        "{said}"
    );

    // A copy of the directory names the same store: two gateways never write one.
    let copy = tempfile::tempdir().unwrap();
    for file in ["MANIFEST", "cert.pem", "key.pem", "token.key"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let running = Gateway::start(folder.path(), &set);
    let refused = common::run(copy.path())
        .args(["--set", &setting])
        .output()
        .unwrap();
    let said = common::text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("another process writes"),
        "{said}"
    );
    running.kill();

    // Another shop's store is named as such, by a start, by the doctor and by `store`.
    let other = tempfile::tempdir().unwrap();
    Gateway::start(other.path(), &OFF).kill();
    for args in [&["run", "--data"][..], &["doctor", "--data"], &["store", "dump"]] {
        let mut command = std::process::Command::new(common::TIDEGATE);
        let refused = command
            .args(args)
            .arg(other.path())
            .args(["--set", &setting])
            .output()
            .unwrap();
        let said = common::text(&refused.stderr) + &common::text(&refused.stdout);
        assert!(
            !refused.status.success() && said.contains("feeds the store"),
            "{args:?}: {said}"
        );
    }
    listed(&mut Gateway::start(folder.path(), &set).connect(), &alice, 1);
}

#[test]
fn ids_that_no_shard_can_have_made_are_unknown_and_open_no_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &OFF);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    // Bits 12 to 21 are the shard's: 1023 of 64.
    let id = (1023_u64 << 12) | 1;
    for _ in 0..30 {
        for (method, action) in [("GET", ""), ("POST", "/cancel"), ("POST", "/pay")] {
            let answer = client.request(method, &format!("/v1/orders/{id}{action}"), &alice, &[], "");
            assert_eq!(
                answer.member("code"),
                "unknown_order",
                "{method} {action}: {answer:?}"
            );
        }
    }
    assert_eq!(client.request("GET", "/v1/orders", &alice, &[], "").status, 200);
}
