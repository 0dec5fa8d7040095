//! `tidegate store migrate`: the real binary moves the store of a gateway that was killed.

mod common;

use common::{Gateway, path, text, tidegate, until};
use serde_json::Value;

const OFF: [&str; 2] = ["limits.user.rate=off", "limits.address.rate=off"];

/// Waits until the store has so many orders of a user.
fn listed(gateway: &Gateway, token: &str, count: usize) {
    let mut client = gateway.connect();
    until("the store has the orders", || {
        let answer = client.request("GET", "/v1/orders?limit=100", token, &[], "");
        let page: Value = serde_json::from_str(&answer.body).expect("JSON");
        page["orders"].as_array().map(Vec::len) == Some(count)
    });
}

#[test]
fn a_shop_goes_on_with_the_store_it_was_moved_to_and_never_again_with_the_one_it_left() {
    let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = disk.path().canonicalize().unwrap().join("shop.db");
    let migrate = || tidegate(&["store", "migrate", path(folder.path()), "--to", path(&target)]);
    let gateway = Gateway::start(folder.path(), &OFF);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    for n in 0..5 {
        assert_eq!(client.place(&alice, &format!("k{n}"), "SKU-1", 1).status, 201);
    }
    drop(client);
    listed(&gateway, &alice, 5);
    let refused = migrate();
    let said = text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("stop it first"),
        "{said}"
    );
    gateway.kill();

    let moved = migrate();
    assert!(moved.status.success(), "{}", text(&moved.stderr));
    let setting = format!("backoffice.store={}", path(&target));
    let printed = text(&moved.stdout);
    assert!(
        printed.ends_with(&format!("[backoffice]\nstore = \"{}\"\n", target.display())),
        "{printed}"
    );
    let refused = common::run(folder.path()).output().unwrap();
    let said = text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("tidegate store migrate"),
        "{said}"
    );

    let gateway = Gateway::start(folder.path(), &[&*setting, OFF[0], OFF[1]]);
    listed(&gateway, &alice, 5);
    assert_eq!(gateway.connect().place(&alice, "k5", "SKU-1", 1).status, 201);
    listed(&gateway, &alice, 6);
    gateway.kill();
    let again = migrate();
    assert!(
        text(&again.stderr).contains("feeds the store in that file already"),
        "{}",
        text(&again.stderr)
    );
    let dumped = tidegate(&["store", "dump", path(folder.path()), "--set", &setting]);
    assert_eq!(text(&dumped.stdout).lines().count(), 6);
}
