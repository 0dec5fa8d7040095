//! What `tidegate-backoffice dump` prints.

#[path = "../../mysql/tests/support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "../../mysql/tests/support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use std::process::Command;

use database::Scratch;
use shop::Shop;
use tidegate_backoffice::store::Sqlite;
use tidegate_backoffice::store::reader::{self, Reader};
use tidegate_follow::{Record, Store};

/// The lines of the embedded store's dump.
fn embedded(log: &[Record]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("store.db");
    let mut store = Sqlite::open(&file).expect("a store");
    store.apply(log).expect("it is taken");
    let mut lines = Vec::new();
    let each = |order| lines.push(serde_json::to_string(&order).expect("JSON"));
    reader::orders(&Reader::open(&file).expect("its file"), each).expect("it is read");
    lines
}

#[test]
fn a_dump_of_mysql_has_the_lines_that_a_dump_of_sqlite_has_of_the_same_log() {
    let Some(scratch) = Scratch::make() else { return };
    let mut shop = Shop::new(5, 23);
    for _ in 0..1500 {
        shop.act();
    }
    scratch.open().apply(&shop.log).expect("it is taken");
    let (before, place) = scratch.url.rsplit_once('@').expect("a user");
    let (user, password) = before
        .trim_start_matches("mysql://")
        .split_once(':')
        .expect("a password");
    let dump = Command::new(env!("CARGO_BIN_EXE_tidegate-backoffice"))
        .args(["dump", "--set", &format!("mysql.url=mysql://{user}@{place}")])
        .env("BACKOFFICE_MYSQL_PASSWORD", password)
        .output()
        .expect("it runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let printed = String::from_utf8(dump.stdout).expect("text");
    let (printed, embedded): (Vec<&str>, _) = (printed.lines().collect(), embedded(&shop.log));
    assert!(
        embedded.len() > 2 * tidegate_mysql::PAGE_MAX,
        "{} orders are more than two pages",
        embedded.len()
    );
    assert_eq!(printed, embedded);
}

#[test]
fn a_dump_of_a_database_that_nobody_serves_fails_with_a_line_that_names_the_remedy() {
    let dump = Command::new(env!("CARGO_BIN_EXE_tidegate-backoffice"))
        .args(["dump", "--set", "mysql.url=mysql://tidegate@127.0.0.1:1/tidegate"])
        .output()
        .expect("it runs");
    let line = String::from_utf8(dump.stderr).expect("text");
    assert!(!dump.status.success() && dump.stdout.is_empty());
    assert!(line.contains("tidegate-backoffice doctor"), "{line}");
}
