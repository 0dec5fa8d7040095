//! Faults of the way to the server, and of others that write to it.

#[path = "support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use std::time::{Duration, Instant};

use database::{Scratch, runtime};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use proxy::Proxy;
use shop::Shop;
use tidegate_follow::{Record, Store, StoreError};
use tidegate_mysql::{Mysql, MysqlError, Settings};

fn log(seed: u64) -> Vec<Record> {
    let mut shop = Shop::new(2, seed);
    for _ in 0..120 {
        shop.act();
    }
    shop.log
}

fn impatient(url: String) -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(2),
        answer_timeout: Duration::from_secs(2),
        back_off_max: Duration::from_millis(50),
        ..Settings::new(url)
    }
}

fn failure(done: Result<(), StoreError<MysqlError>>) -> MysqlError {
    match done {
        Err(StoreError::Failed(error)) => error,
        other => panic!("handing it in again would help, so it is `Failed`, not {other:?}"),
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_done_when_the_batch_is_handed_in_again() {
    let Some(scratch) = Scratch::make() else { return };
    let proxy = Proxy::before(&scratch.url);
    let mut store = Mysql::open(impatient(proxy.url(&scratch.url))).unwrap();
    let log = log(1);
    proxy.lose_the_next_commit();
    failure(store.apply(&log));
    let committed = scratch.dump();
    assert!(committed.len() > log.len() / 2, "the server had done it");
    store.apply(&log).unwrap();
    assert_eq!(scratch.dump(), committed);
}

#[test]
fn a_server_that_falls_silent_is_given_up_within_the_time_out_and_followed_again_when_it_speaks() {
    let Some(scratch) = Scratch::make() else { return };
    let proxy = Proxy::before(&scratch.url);
    let mut store = Mysql::open(impatient(proxy.url(&scratch.url))).unwrap();
    let log = log(2);
    store.apply(&log[..50]).unwrap();
    proxy.silent(true);
    for _ in 0..2 {
        let begun = Instant::now();
        let error = failure(store.apply(&log));
        assert!(matches!(error, MysqlError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    proxy.silent(false);
    store.apply(&log).unwrap();
    let there = scratch.dump();
    store.apply(&log).unwrap();
    assert_eq!(scratch.dump(), there);
}

#[test]
fn a_connection_that_the_server_ended_is_made_anew() {
    let Some(scratch) = Scratch::make() else { return };
    let mut store = Mysql::open(impatient(scratch.url.clone())).unwrap();
    let log = log(3);
    store.apply(&log[..50]).unwrap();
    end_connections(&scratch, &connections(&scratch));
    failure(store.apply(&log));
    store.apply(&log).unwrap();
}

#[test]
fn a_connection_that_the_server_ended_while_nothing_came_costs_no_failure() {
    let Some(scratch) = Scratch::make() else { return };
    let mut store = Mysql::open(impatient(scratch.url.clone())).unwrap();
    let log = log(7);
    store.apply(&log[..50]).unwrap();
    end_connections(&scratch, &connections(&scratch));
    std::thread::sleep(Duration::from_millis(5_100));
    store.apply(&log).unwrap();
}

/// The connections of stores to a database.
fn connections(scratch: &Scratch) -> Vec<String> {
    scratch.rows(&format!(
        "SELECT id FROM information_schema.processlist WHERE db = '{}' AND command = 'Sleep'",
        scratch.name()
    ))
}

/// The server ends connections.
fn end_connections(scratch: &Scratch, ids: &[String]) {
    assert!(!ids.is_empty());
    for id in ids {
        scratch.run(&format!(
            "KILL {}",
            id.trim_matches(|c: char| !c.is_ascii_digit())
        ));
    }
}

/// A store that had a connection has it still; somebody else's may be on its way out.
fn still_there(scratch: &Scratch, before: &[String]) {
    let now = connections(scratch);
    assert!(
        !before.is_empty() && before.iter().all(|id| now.contains(id)),
        "{before:?}, {now:?}"
    );
}

/// Has a store apply a log while another connection is within a transaction; `before` and `meanwhile` are what that does.
fn beside(scratch: &Scratch, store: &mut Mysql, log: &[Record], before: &str, meanwhile: &str) -> MysqlError {
    let runtime = runtime();
    let opts = Opts::from_url(&scratch.url).unwrap();
    let mut other = runtime.block_on(Conn::new(opts)).unwrap();
    let before = format!("START TRANSACTION; {before}");
    runtime.block_on(other.query_drop(before)).unwrap();
    let error = std::thread::scope(|threads| {
        let applying = threads.spawn(|| failure(store.apply(log)));
        std::thread::sleep(Duration::from_millis(500));
        runtime.block_on(other.query_drop(meanwhile)).unwrap();
        applying.join().unwrap()
    });
    runtime.block_on(other.query_drop("ROLLBACK")).unwrap();
    runtime.block_on(other.disconnect()).unwrap();
    error
}

#[test]
fn a_lock_that_somebody_holds_for_too_long_is_waited_for_again_on_the_same_connection() {
    let Some(scratch) = Scratch::make() else { return };
    let mut store = Mysql::open(impatient(scratch.url.clone())).unwrap();
    let log = log(4);
    store.apply(&log[..50]).unwrap();
    let before = connections(&scratch);
    let lock = "SELECT shard FROM marks FOR UPDATE";
    let error = beside(&scratch, &mut store, &log, lock, "DO 1");
    assert_eq!(error.code(), Some(1205), "{error}");
    store.apply(&log).unwrap();
    still_there(&scratch, &before);
}

#[test]
fn the_victim_of_a_deadlock_is_handed_in_again_on_the_same_connection_and_nothing_is_doubled() {
    let (Some(scratch), Some(quiet)) = (Scratch::make(), Scratch::make()) else {
        return;
    };
    let mut store = Mysql::open(impatient(scratch.url.clone())).unwrap();
    let log = log(6);
    store.apply(&log[..50]).unwrap();
    let before = connections(&scratch);
    // The server ends the one that has written less.
    let write = "UPDATE history SET at = at + 1;".repeat(100);
    let lock = format!("{write} SELECT id FROM orders FOR UPDATE");
    let error = beside(
        &scratch,
        &mut store,
        &log,
        &lock,
        "SELECT shard FROM marks FOR UPDATE",
    );
    assert_eq!(error.code(), Some(1213), "{error}");
    store.apply(&log).unwrap();
    still_there(&scratch, &before);
    quiet.open().apply(&log).unwrap();
    assert_eq!(scratch.dump(), quiet.dump());
}

#[test]
fn an_address_that_leads_to_another_store_is_refused() {
    let (Some(scratch), Some(other)) = (Scratch::make(), Scratch::make()) else {
        return;
    };
    let mut store = Mysql::open(impatient(scratch.url.clone())).unwrap();
    let foreign = other.open();
    let mine = connections(&scratch);
    // As after a fail-over to the wrong place.
    scratch.run(&format!("UPDATE store SET name = '{}'", foreign.name()));
    end_connections(&scratch, &mine);
    let log = log(5);
    failure(store.apply(&log));
    let error = failure(store.apply(&log)).to_string();
    assert!(
        error.contains(foreign.name()) && error.contains(store.name()),
        "{error}"
    );
    assert_eq!(scratch.rows("SELECT * FROM orders").len(), 0);
}
