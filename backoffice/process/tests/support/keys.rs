//! What a test's process is started with, and what its edge has to say.

use tidegate_follow::{Record, Store};

use crate::database::Scratch;
use crate::shop::Shop;

/// Shards of these tests: two groups, one of them not whole.
pub const SHARDS: u16 = 10;
/// The variable with the store's password.
pub const PASSWORD: &str = "BACKOFFICE_MYSQL_PASSWORD";

/// What a shop of these shards logs in a day.
pub fn a_day(acts: usize, seed: u64) -> Vec<Record> {
    let mut shop = Shop::new(SHARDS, seed);
    for _ in 0..acts {
        shop.act();
    }
    shop.log
}

/// The rows that a log makes without any trouble.
pub fn undisturbed(log: &[Record]) -> Vec<String> {
    let scratch = Scratch::make().expect("there is a server");
    scratch.open().apply(log).expect("it is taken");
    scratch.dump()
}

/// Keys for a database of the test's own, and the password.
pub fn on_database(scratch: &Scratch) -> (Vec<String>, String) {
    let (before, place) = scratch.url.rsplit_once('@').expect("a user");
    let (user, password) = before
        .trim_start_matches("mysql://")
        .split_once(':')
        .expect("a password");
    let set = vec![
        format!("mysql.url=mysql://{user}@{place}"),
        format!("process.shards={SHARDS}"),
        "process.roles=[\"feed\", \"store\"]".into(),
        "feed.marks_ms=20".into(),
    ];
    (set, password.to_owned())
}

/// Further keys for a topic of the test's own; none, with a line that says so, when there is no broker.
pub fn on_topic(set: &mut Vec<String>) -> Option<()> {
    let Ok(brokers) = std::env::var("TIDEGATE_TEST_KAFKA") else {
        println!("SKIPPED: TIDEGATE_TEST_KAFKA names no broker (scripts/services up kafka)");
        return None;
    };
    let name = format!("tidegate-test-{:016x}", getrandom::u64().expect("random bytes"));
    set.extend([
        "process.bus=kafka".to_owned(),
        format!("kafka.brokers={brokers}"),
        format!("kafka.topic={name}"),
        format!("kafka.transactional_id={name}"),
        "kafka.replication=1".into(),
        "kafka.min_insync_replicas=1".into(),
    ]);
    Some(())
}
