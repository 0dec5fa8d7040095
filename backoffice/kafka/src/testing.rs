//! Entries, and a topic of its own for each test on a real broker.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tidegate_follow::Record;
use tidegate_shard_core::Millis;
use tidegate_shard_core::entry::{Effect, Entry};

use crate::Settings;
use crate::reader::Reader;

/// The chain hash that these tests give a shard's op.
pub(crate) fn chain(shard: u16, op: u64) -> u64 {
    match op {
        0 => 0,
        op => (u64::from(shard) << 48 | op).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// An entry that changes no row.
pub(crate) fn entry(op: u64) -> Entry {
    Entry::new(Millis(1), Effect::Digest { digest: op })
}

/// A shard's record.
pub(crate) fn record(shard: u16, op: u64) -> Record {
    let mut payload = Vec::new();
    entry(op).encode(&mut payload);
    Record {
        shard,
        op,
        previous: chain(shard, op - 1),
        chain: chain(shard, op),
        payload: payload.into(),
    }
}

/// The next records of some shards, op after op.
pub(crate) fn records(shards: &[u16], ops: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    ops.flat_map(|op| shards.iter().map(move |shard| record(*shard, op)))
        .collect()
}

/// Settings of a topic of the test's own, with one replica; none, with a line that says so, when there is no broker.
pub(crate) fn on_a_broker(test: &str, shards: u16) -> Option<Settings> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let settings = settings_of(
        &format!("tidegate-test-{now}-{}-{number}", std::process::id()),
        shards,
    );
    if settings.is_none() {
        println!("SKIPPED: {test}: TIDEGATE_TEST_KAFKA names no broker (scripts/services up kafka)");
    }
    settings
}

/// Settings of a topic with one replica; none when there is no broker.
pub(crate) fn settings_of(topic: &str, shards: u16) -> Option<Settings> {
    Some(Settings {
        brokers: std::env::var("TIDEGATE_TEST_KAFKA").ok()?,
        topic: topic.into(),
        transactional_id: topic.into(),
        shards,
        replication: 1,
        min_insync_replicas: 1,
        ..Settings::default()
    })
}

/// Every committed record of the topic, by partition, is what is expected. A commit is answered before what it committed can be read, so it is waited for; but nothing
/// more may come.
#[track_caller]
pub(crate) fn assert_committed(settings: &Settings, expected: &[Vec<Record>], what: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = committed(settings);
        let is_part = found
            .iter()
            .zip(expected)
            .all(|(found, all)| all.starts_with(found));
        if found == expected || !is_part || Instant::now() >= deadline {
            assert_eq!(found, expected, "{what}");
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until all that is in the topic can be read: a commit is answered before its markers are in the partitions.
pub(crate) fn settle(settings: &Settings) {
    let (committed, all) = (Reader::to_look(settings), Reader::of_the_uncommitted(settings));
    let (committed, all) = (committed.unwrap(), all.unwrap());
    let deadline = Instant::now() + Duration::from_secs(30);
    for partition in 0..i32::from(settings.shards) {
        let written = all.ends(partition, deadline).unwrap().1;
        while committed.ends(partition, deadline).unwrap().1 < written {
            assert!(Instant::now() < deadline, "partition {partition} does not settle");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Every committed record of the topic, by partition.
fn committed(settings: &Settings) -> Vec<Vec<Record>> {
    let reader = Reader::to_look(settings).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut all = vec![Vec::new(); usize::from(settings.shards)];
    let starts: Vec<_> = (0..i32::from(settings.shards))
        .map(|partition| (partition, 0))
        .collect();
    reader
        .read_to_end(&starts, deadline, |partition, found| {
            all[partition as usize].push(found.record.unwrap());
        })
        .unwrap();
    all
}

/// Each shard's records 1 to `last`, once and in order.
pub(crate) fn whole(shards: u16, last: u64) -> Vec<Vec<Record>> {
    (0..shards)
        .map(|shard| (1..=last).map(|op| record(shard, op)).collect())
        .collect()
}

/// Makes the topic of some settings as they say, but with this setting of its own.
pub(crate) fn make_topic_with(settings: &Settings, name: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> = settings.client().create().unwrap();
    let topic = NewTopic::new(
        &settings.topic,
        i32::from(settings.shards),
        TopicReplication::Fixed(1),
    )
    .set(name, value);
    let made = block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

/// Puts a value into a partition, as somebody who knows nothing of transactions does.
pub(crate) fn put(settings: &Settings, partition: i32, value: &[u8]) {
    let producer: BaseProducer = settings.client().create().unwrap();
    let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&settings.topic)
        .partition(partition)
        .payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
}

/// A transaction of another producer with one record, open.
pub(crate) struct Open(BaseProducer);

impl Open {
    /// Writes the record to its partition.
    pub(crate) fn begin(settings: &Settings, record: &Record) -> Open {
        let mut config = settings.client();
        config.set("transactional.id", format!("{}-another", settings.topic));
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(Duration::from_secs(30)).unwrap();
        producer.begin_transaction().unwrap();
        let mut value = Vec::new();
        crate::encode(record, &mut value);
        let message: BaseRecord<'_, (), [u8]> = BaseRecord::to(&settings.topic)
            .partition(record.shard.into())
            .payload(&value);
        producer.send(message).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(30)).unwrap();
        Open(producer)
    }

    /// Commits it, or aborts it.
    pub(crate) fn end(self, commits: bool) {
        let timeout = Duration::from_secs(30);
        match commits {
            true => self.0.commit_transaction(timeout).unwrap(),
            false => self.0.abort_transaction(timeout).unwrap(),
        }
    }
}
