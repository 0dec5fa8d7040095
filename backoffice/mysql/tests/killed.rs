//! The server itself dies, or loses its place as the writer. These tests are alone in their program, since they take the server away from
//! everybody, and they only do that to the server of `scripts/services`.

#[path = "support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use database::{Scratch, block_on};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use shop::Shop;
use tidegate_follow::{BATCH_RECORDS_MAX, Record, Store, StoreError};

const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");

/// One test has the server at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn services(words: &[&str]) -> String {
    let output = Command::new(SERVICES)
        .args(words)
        .output()
        .expect("scripts/services runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A database on the server of `scripts/services`.
fn on_our_server() -> Option<Scratch> {
    let scratch = Scratch::make()?;
    let (before, _) = scratch.url.rsplit_once('/').expect("a database");
    let ours =
        services(&["env"]).contains(before) && services(&["status", "mariadb"]).contains("mariadb runs");
    if !ours {
        println!("SKIPPED: the server is not the one of scripts/services, so it is not killed");
    }
    ours.then_some(scratch)
}

fn a_day() -> Vec<Record> {
    let mut shop = Shop::new(3, 21);
    for _ in 0..3000 {
        shop.act();
    }
    shop.log
}

/// Brings all of it in, however often a batch fails; gives how often that was.
fn drain(scratch: &Scratch, log: &[Record], batches: &AtomicUsize) -> usize {
    let mut store = scratch.open();
    let (mut failures, begun) = (0, Instant::now());
    for batch in log.chunks(20) {
        loop {
            match store.apply(batch) {
                Ok(()) => break,
                Err(StoreError::Failed(_)) => failures += 1,
                Err(other) => panic!("a fault of the server stops no shard: {other}"),
            }
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "it goes on within two minutes"
            );
        }
        batches.fetch_add(1, Ordering::SeqCst);
    }
    failures
}

#[test]
fn a_server_that_is_killed_twice_in_the_middle_of_a_drain_has_the_rows_of_an_undisturbed_one() {
    let _alone = ALONE.lock();
    let (Some(quiet), Some(scratch)) = (on_our_server(), on_our_server()) else {
        return;
    };
    let log = a_day();
    let batches = AtomicUsize::new(0);
    assert_eq!(drain(&quiet, &log, &batches), 0);
    let expected = quiet.dump();
    let all = batches.swap(0, Ordering::SeqCst);
    let reached = |part: usize| {
        while batches.load(Ordering::SeqCst) < part {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let failures = std::thread::scope(|threads| {
        let drained = threads.spawn(|| drain(&scratch, &log, &batches));
        for part in [all / 5, all / 2] {
            reached(part);
            services(&["kill", "mariadb"]);
            services(&["up", "mariadb"]);
        }
        drained.join().expect("the drain ends")
    });
    assert!(failures >= 2, "the kills were met: {failures}");
    assert_eq!(scratch.dump(), expected);
}

#[test]
fn a_server_that_lost_its_place_as_the_writer_is_tried_again_until_it_has_it() {
    let _alone = ALONE.lock();
    let Some(scratch) = on_our_server() else { return };
    let log = a_day();
    let mut store = scratch.open();
    store.apply(&log[..100]).unwrap();
    as_root(&scratch, "SET GLOBAL read_only = 1");
    for _ in 0..3 {
        match store.apply(&log[..200]) {
            Err(StoreError::Failed(error)) => assert_eq!(error.code(), Some(1290), "{error}"),
            other => panic!("it will be a writer again: {other:?}"),
        }
    }
    let marks = store.marks().unwrap();
    as_root(&scratch, "SET GLOBAL read_only = 0");
    store.apply(&log[..200]).unwrap();
    assert_ne!(store.marks().unwrap(), marks);
}

#[test]
fn batches_of_the_usual_size_go_into_a_server_that_takes_only_small_packets() {
    let _alone = ALONE.lock();
    let (Some(usual), Some(small)) = (on_our_server(), on_our_server()) else {
        return;
    };
    let log = a_day();
    usual.open().apply(&log).unwrap();
    as_root(&small, "SET GLOBAL max_allowed_packet = 16384");
    let mut store = small.open();
    for batch in log.chunks(BATCH_RECORDS_MAX) {
        store.apply(batch).expect("statements fit");
    }
    as_root(&small, "SET GLOBAL max_allowed_packet = DEFAULT");
    assert_eq!(small.dump(), usual.dump());
}

/// The server's own root, as `scripts/services` makes it; only that may turn a server into a replica.
fn as_root(scratch: &Scratch, sql: &str) {
    let (_, address) = scratch.url.rsplit_once('@').expect("a user");
    let opts = Opts::from_url(&format!("mysql://root@{address}")).expect("a URL");
    block_on(async {
        let mut conn = Conn::new(opts).await.expect("root may come");
        conn.query_drop(sql).await.expect("root may do it");
        conn.disconnect().await.expect("a good end");
    });
}
