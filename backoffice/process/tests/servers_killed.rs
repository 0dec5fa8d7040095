//! The broker and the database die while an edge follows. Alone in its file: it takes them from every other test, and only those of
//! `scripts/services`.

#[path = "../../mysql/tests/support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/edge.rs"]
mod edge;
#[path = "support/keys.rs"]
mod keys;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod process;
#[path = "../../mysql/tests/support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use database::{Scratch, block_on};
use edge::{Edge, last_marks};
use keys::{PASSWORD, SHARDS, a_day, on_database, on_topic, undisturbed};
use process::Process;

fn services(words: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
    let output = Command::new(script).args(words).output();
    String::from_utf8_lossy(&output.expect("the script runs").stdout).into_owned()
}

/// Whether both servers are those of the script.
fn are_ours() -> bool {
    let (env, status) = (services(&["env"]), services(&["status"]));
    let named = ["TIDEGATE_TEST_MYSQL", "TIDEGATE_TEST_KAFKA"].map(|name| {
        let value = std::env::var(name).unwrap_or_default();
        env.contains(&format!("export {name}={value}\n"))
    });
    let ours = named == [true, true] && status.contains("mariadb runs") && status.contains("kafka runs");
    if !ours {
        println!("SKIPPED: the servers are not those of scripts/services, so they are not killed");
    }
    ours
}

#[test]
fn a_broker_and_a_database_that_die_on_the_way_cost_time_and_no_entry() {
    if !are_ours() {
        return;
    }
    let Some(scratch) = Scratch::make() else { return };
    let (mut set, password) = on_database(&scratch);
    let Some(()) = on_topic(&mut set) else { return };
    let log = a_day(20_000, 41);
    let all: u64 = last_marks(&log).values().map(|mark| mark.op).sum();
    let process = Process::start(&set, &[(PASSWORD, &password)]);
    let mut edge = Edge::new(log.clone(), SHARDS);
    let (port, applied) = (process.grpc, Arc::clone(&edge.applied));
    std::thread::scope(|threads| {
        let followed = threads.spawn(move || block_on(edge.follow(port)));
        for (part, server) in [(0.1, "kafka"), (0.4, "mariadb")] {
            while applied.load(Ordering::SeqCst) < (all as f64 * part) as u64 {
                assert!(!followed.is_finished(), "the kill comes on the way");
                std::thread::sleep(Duration::from_millis(1));
            }
            services(&["kill", server]);
            services(&["up", server]);
        }
        followed.join().expect("all is applied");
    });
    assert_eq!(scratch.dump(), undisturbed(&log));
    assert!(
        process.ask("/livez").starts_with("HTTP/1.1 200"),
        "it was never started anew"
    );
}
